"""Reading times, and the time of an event by our clock."""

from __future__ import annotations

import pytest

from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.times import (
    AHEAD,
    EARLIEST,
    LATEST_STATED,
    bound_stated,
    place_event,
    read_stated,
    read_time,
)
from graph.model.time import Millis

NOW = Millis(1_790_000_000_000)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2024-02-29T12:00:00.123Z", 1_709_208_000_123),
        ("2024-02-29T13:00:00.123456789+01:00", 1_709_208_000_123),
        ("2024-02-29T12:00:00.123", 1_709_208_000_123),
        ("2024-02-29", 1_709_164_800_000),
        (1_709_208_000_123, 1_709_208_000_123),
        (1_709_208_000_123.9, 1_709_208_000_123),
        (None, None),
    ],
)
def test_timestamps_are_read_as_milliseconds(value: str | float | None, expected: int | None) -> None:
    assert read_time(value, "timestamp") == expected


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "2024-13-01", "2023-02-29", "12:00", "2024-02-29T25:00:00Z", "9" * 400, 1e300, -1e300, 10**30],
)
def test_a_value_that_is_not_a_time_is_rejected(value: str | float) -> None:
    with pytest.raises(Rejected) as caught:
        read_time(value, "sentAt")
    assert (caught.value.reason, caught.value.field) == (RejectionReason.BAD_TIMESTAMP, "sentAt")


def test_the_senders_clock_is_corrected() -> None:
    decade = 10 * 365 * 86_400_000
    assert place_event(NOW - decade - 5000, NOW - decade, NOW) == NOW - 5000
    assert place_event(NOW - 5000, None, NOW) == NOW - 5000
    assert place_event(None, NOW - decade, NOW) == NOW


@pytest.mark.parametrize("at", [0, EARLIEST - 1, NOW + AHEAD + 1, 253_402_300_799_000])
def test_absurd_dates_are_rejected(at: int) -> None:
    with pytest.raises(Rejected) as caught:
        place_event(at, None, NOW)
    assert caught.value.reason is RejectionReason.BAD_TIMESTAMP


@pytest.mark.parametrize("at", [EARLIEST, NOW, NOW + AHEAD])
def test_dates_at_the_bounds_are_accepted(at: int) -> None:
    assert place_event(at, None, NOW) == at


def test_a_stated_instant_may_lie_in_the_future() -> None:
    assert read_stated(None, "expiresAt") is None
    assert read_stated("2030-01-01", "expiresAt") == 1_893_456_000_000
    assert read_stated(LATEST_STATED, "expiresAt") == LATEST_STATED
    for value in ("never", EARLIEST - 1, LATEST_STATED + 1):
        with pytest.raises(Rejected, match=r"^expiresAt") as caught:
            read_stated(value, "expiresAt")
        assert caught.value.reason is RejectionReason.BAD_TIMESTAMP


def test_a_correction_can_make_a_date_absurd() -> None:
    with pytest.raises(Rejected):
        place_event(NOW, NOW - 2 * AHEAD, NOW)


def test_the_bounds_of_a_stated_instant_allow_the_future() -> None:
    assert bound_stated(NOW + 1000 * AHEAD, "expiresAt") == NOW + 1000 * AHEAD
    with pytest.raises(Rejected):
        bound_stated(0, "expiresAt")
