"""RFM and high-value buyers, computed from people who permit analytics."""

from __future__ import annotations

import pytest

from algorithms.segments.rfm import RfmConfig
from graph.model.segments import SegmentKey
from graph.model.time import Millis
from graph.recommendation.runs import read_current_run
from graph.segments.definitions import read_segment
from graph.segments.memberships import read_members
from graph.store.client import GraphClient
from resolvers.refresh import refresh_all
from resolvers.segments.rfm import HIGH_VALUE, refresh_rfm
from tests.context import services_of
from tests.crowd import DAY, NOW, Event, Person, run, write_crowd
from tests.tastes import CONFIG, ITEMS, two_tastes

pytestmark = pytest.mark.store


async def test_high_value_is_relative_and_changes_with_new_buyers(store: GraphClient) -> None:
    await write_crowd(store, two_tastes(), ITEMS)
    services = services_of(store)
    report = (await refresh_all(services, CONFIG)).rfm
    buyers = await read_members(store, SegmentKey("high_value_buyer"))
    assert len(buyers) == report.high_value
    assert buyers == sorted(f"u{number:02}" for number in range(20 - len(buyers), 20))
    assert sum(map(sum, report.grid)) == report.people == 20
    row = (await store.read("MATCH (u:User {id: 'u19'}) RETURN properties(u) AS user"))[0]["user"]
    assert (row["rfm_recency"], row["rfm_frequency"], row["rfm_monetary"]) == (1.0, 8.0, 40.0)
    assert row["rfm_recency_score"] == 5
    later = [Event(f"i{n:02}", "RATED", days_ago=0.5, weight=5.0, value=50.0) for n in range(20)] * 3
    await write_crowd(store, [Person(f"y{number}", [later]) for number in range(30)])
    await refresh_all(services, CONFIG)
    assert set(await read_members(store, SegmentKey("high_value_buyer"))) == {f"y{number}" for number in range(30)}


async def scored(store: GraphClient) -> dict[str, tuple[float, float, float]]:
    """Returns recency, frequency and monetary value of everyone who has them."""
    rows = await store.read(
        "MATCH (u:User) WHERE u.rfm_run IS NOT NULL "
        "RETURN u.id AS id, u.rfm_recency AS r, u.rfm_frequency AS f, u.rfm_monetary AS m"
    )
    return {row["id"]: (row["r"], row["f"], row["m"]) for row in rows}


async def test_purchases_within_the_window_count_and_refunds_are_subtracted(store: GraphClient) -> None:
    def bought(days_ago: float, value: float, order: str, type_: str = "PURCHASED") -> Event:
        return Event("i", type_, days_ago=days_ago, value=value, order=order)

    await write_crowd(
        store,
        [
            Person("a", [[bought(2, 10.0, "o1"), bought(2, 5.0, "o1"), bought(9, 7.0, "o2"), bought(40, 99.0, "o3")]]),
            Person("b", [[bought(3, 20.0, "o4")], [bought(1, 4.0, "o4", "REFUNDED")]]),
            Person("c", [[bought(31, 50.0, "o5"), bought(1, 1.0, "o6", "VIEWED")]]),
        ],
    )
    report = await refresh_rfm(services_of(store), RfmConfig(window_days=30))
    assert await scored(store) == {"a": (2.0, 2.0, 22.0), "b": (3.0, 1.0, 16.0)}
    assert (report.people, report.left_out, sum(map(sum, report.grid))) == (2, 0, 2)


async def test_rfm_can_be_computed_as_of_an_earlier_day(store: GraphClient) -> None:
    await write_crowd(store, [Person("a", [[Event("i", days_ago=10, value=3.0), Event("i", days_ago=2, value=4.0)]])])
    await refresh_rfm(services_of(store), RfmConfig(), as_of=Millis(NOW - 5 * DAY))
    assert await scored(store) == {"a": (5.0, 1.0, 3.0)}


async def test_the_run_is_recorded_with_the_people_it_used(store: GraphClient) -> None:
    await write_crowd(store, [Person("a", [[Event("i", value=3.0)]], epoch=4), Person("b", epoch=9)])
    report = await refresh_rfm(services_of(store), RfmConfig())
    recorded = await read_current_run(store, "rfm")
    assert recorded is not None
    assert (recorded.id, recorded.people, recorded.epoch, recorded.consent_at) == (report.run, 1, 4, NOW)
    assert recorded.metrics == {"high_value": report.high_value, "grid": report.grid, "left_out": 0}
    assert recorded.config == {"rfm": RfmConfig().model_dump(mode="json"), "as_of": None}
    segment = await read_segment(store, HIGH_VALUE, default_purpose="service")
    assert segment is not None
    assert (segment.kind, segment.purpose, segment.version) == ("rfm", "analytics", 1)


async def test_a_person_who_is_no_longer_a_high_value_buyer_leaves_the_segment(store: GraphClient) -> None:
    people = [Person(f"p{n}", [[Event("i", days_ago=9 - n, value=10.0 * n)] * n]) for n in range(1, 6)]
    await write_crowd(store, people)
    await refresh_rfm(services_of(store), RfmConfig())
    before = await read_members(store, HIGH_VALUE)
    assert "p5" in before
    await run(store, "MATCH (u:User {id: 'p5'}) SET u.permits = []")
    await refresh_rfm(services_of(store), RfmConfig())
    assert "p5" not in await read_members(store, HIGH_VALUE)
    assert "p5" not in await scored(store)


async def test_cells_and_high_value_buyers_are_shown_if_enough_accounts_are_in_them(store: GraphClient) -> None:
    small = [[Event("i", days_ago=30, value=1.0)]]
    large = [[Event("i", days_ago=1, value=50.0), Event("i", days_ago=2, value=50.0)]]
    await write_crowd(store, [Person(f"a{n}", small) for n in range(6)] + [Person(f"b{n}", large) for n in range(4)])

    async def shown() -> tuple[bool, set[str]]:
        await refresh_rfm(services_of(store), RfmConfig())
        segment = await read_segment(store, HIGH_VALUE, default_purpose="analytics")
        assert segment is not None
        rows = await store.read("MATCH (u:User) WHERE u.rfm_shown RETURN DISTINCT left(u.id, 1) AS group")
        return segment.shown, {str(row["group"]) for row in rows}

    assert await shown() == (False, {"a"})
    await write_crowd(store, [Person("b4", large)])
    assert await shown() == (True, {"a", "b"})
    await run(store, "MATCH (r:Record {id: 'b4/0'}) SET r.kind = 'anonymous'")
    assert await shown() == (False, {"a"})
