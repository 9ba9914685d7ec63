"""How long a stale run is served, and when a process knows too little to serve any."""

from __future__ import annotations

from graph.model.time import Millis
from resolvers.freshness import STALE_MILLIS, Freshness

NOW = 1_000_000


def test_a_stale_run_is_served_for_a_minute() -> None:
    freshness = Freshness()
    freshness.report({"walk": Millis(NOW)}, Millis(NOW + STALE_MILLIS))
    assert freshness.serves("walk", Millis(NOW + STALE_MILLIS))
    assert not freshness.serves("walk", Millis(NOW + STALE_MILLIS + 1))
    assert freshness.serves("rfm", Millis(NOW + STALE_MILLIS + 1))


def test_a_replaced_run_is_served_again() -> None:
    freshness = Freshness()
    freshness.report({"walk": Millis(0)}, Millis(NOW))
    assert not freshness.serves("walk", Millis(NOW))
    freshness.report({}, Millis(NOW))
    assert freshness.serves("walk", Millis(NOW))


def test_without_a_recent_report_nothing_is_served() -> None:
    freshness = Freshness()
    freshness.report({}, Millis(NOW))
    assert freshness.serves("walk", Millis(NOW + STALE_MILLIS))
    assert not freshness.serves("walk", Millis(NOW + STALE_MILLIS + 1))


def test_a_process_without_a_watch_serves_everything() -> None:
    assert Freshness().serves("walk", Millis(NOW))
