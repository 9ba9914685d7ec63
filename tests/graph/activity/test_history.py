"""Later pages of a person's activity, and filtered ones: newest first, ties by id, of the records decided about."""

from __future__ import annotations

import pytest

from graph.activity.history import (
    MOST_CLAIMED,
    NEWEST,
    InteractionFilter,
    parse_interactions,
    parse_sessions,
    read_interactions,
    read_sessions,
)
from graph.activity.sessions import write_recent_sessions
from graph.model.activity import InteractionFacts, SessionId
from graph.model.identity import Grade, RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.api.door import Door
from tests.crowd import Event, Person, write_crowd
from tests.shop import record

pytestmark = pytest.mark.store

ADA = UserId("ada")


def own(*records: str) -> dict[RecordId, Grade]:
    return dict.fromkeys(map(RecordId, records or ("ada/0", "ada/1")), Grade.PROVEN)


async def test_later_pages_of_activity(door: Door) -> None:
    client, user = door.services.client, own(record("ada"))
    everything = await read_interactions(client, user, InteractionFilter(), 50)
    assert len(everything) == 7
    walked, before = [], NEWEST
    while page := await read_interactions(client, user, InteractionFilter(), 2, before):
        walked += page
        before = (page[-1].at, page[-1].id)
    assert tuple(walked) == everything
    lamps = await read_interactions(client, user, InteractionFilter(types=("VIEWED",), item="i1"), 50)
    assert [event.id for event in lamps] == ["shop|m3", "shop|m0"]
    between = InteractionFilter(since=everything[3].at, until=everything[1].at)
    assert await read_interactions(client, user, between, 50) == everything[2:4]
    assert await read_interactions(client, user, InteractionFilter(types=("RATED",)), 50) == ()
    sessions = await read_sessions(client, user, 50)
    first = await read_sessions(client, user, 3)
    rest = await read_sessions(client, user, 50, (first[-1].started_at, first[-1].id))
    assert first + rest == sessions
    assert len(sessions) == 7


async def ids(
    store: GraphClient,
    limit: int = 50,
    before: tuple[Millis, str] = NEWEST,
    behaviour: dict[RecordId, Grade] | None = None,
) -> list[str]:
    found = await read_interactions(store, behaviour or own(), InteractionFilter(), limit, before)
    return [one.id for one in found]


async def test_events_of_one_instant_come_in_the_order_of_their_ids_over_pages(store: GraphClient) -> None:
    await write_crowd(store, [Person(ADA, [[Event("a"), Event(None, "SEARCHED"), Event("b")], [Event("c")]])])
    everything = await ids(store)
    assert everything == ["ada/1/0", "ada/0/2", "ada/0/1", "ada/0/0"]
    walked: list[str] = []
    at = (await read_interactions(store, own(), InteractionFilter(), 1))[0].at
    while page := await ids(store, 1, (at, walked[-1]) if walked else NEWEST):
        walked += page
    assert walked == everything


async def test_only_the_records_that_were_decided_about_are_read(store: GraphClient) -> None:
    await write_crowd(store, [Person(ADA, [[Event("a")], [Event("b")]]), Person("ben", [[Event("c")]])])
    assert await ids(store, behaviour=own("ada/1")) == ["ada/1/0"]
    assert await ids(store) == ["ada/1/0", "ada/0/0"]
    sessions = await read_sessions(store, own("ada/0"), 50)
    assert [session.id for session in sessions] == ["ada/0"]
    assert await read_sessions(store, {}, 50) == ()
    assert await read_interactions(store, {}, InteractionFilter(), 50) == ()


async def test_what_happened_on_a_device_has_the_grade_of_its_tie(store: GraphClient) -> None:
    await write_crowd(store, [Person(ADA, [[Event("a")]]), Person("device", [[Event("b", days_ago=2)]])])
    await store.write(lambda tx: write_recent_sessions(tx, {RecordId("device/0"): [SessionId("device/0")]}))
    both = {RecordId("ada/0"): Grade.PROVEN, RecordId("device/0"): Grade.CLAIMED}
    found = await read_interactions(store, both, InteractionFilter(), 50)
    assert [(one.id, one.grade) for one in found] == [("ada/0/0", Grade.PROVEN), ("device/0/0", Grade.CLAIMED)]
    sessions = await read_sessions(store, both, 50)
    assert {one.id: one.grade for one in sessions} == {"ada/0": Grade.PROVEN, "device/0": Grade.CLAIMED}


async def test_of_a_claimed_device_the_latest_sessions_are_read_to_a_limit(store: GraphClient) -> None:
    visits = [[Event(f"i{visit}-{n}", days_ago=100 - visit) for n in range(10)] for visit in range(25)]
    await write_crowd(store, [Person("device", visits)])
    for visit in range(25):
        begun = {RecordId("device/0"): [SessionId(f"device/{visit}")]}
        await store.write(lambda tx, begun=begun: write_recent_sessions(tx, begun))  # type: ignore[misc]
    claimed = {RecordId("device/0"): Grade.CLAIMED}
    found = await read_interactions(store, claimed, InteractionFilter(), 500)
    assert len(found) == MOST_CLAIMED
    sessions = await read_sessions(store, claimed, 500)
    assert {one.id for one in sessions} == {f"device/{visit}" for visit in range(5, 25)}
    assert {one.id.rpartition("/")[0] for one in found} <= {one.id for one in sessions}
    assert await read_interactions(store, claimed, InteractionFilter(item="i1-1"), 500) == ()


async def test_an_event_without_an_item_meets_no_filter_of_items(store: GraphClient) -> None:
    await write_crowd(store, [Person(ADA, [[Event("a"), Event(None, "SEARCHED", value=2.0)]])])
    (searched,) = await read_interactions(store, own("ada/0"), InteractionFilter(types=("SEARCHED",)), 50)
    assert (searched.item, searched.value, searched.weight) == (None, 2.0, 5.0)
    assert await read_interactions(store, own("ada/0"), InteractionFilter(types=("SEARCHED",), item="a"), 50) == ()
    assert await read_interactions(store, own("ada/0"), InteractionFilter(types=()), 50) == ()
    assert await read_interactions(store, own("nobody"), InteractionFilter(), 50) == ()


def test_what_a_statement_leaves_out_has_its_default() -> None:
    assert parse_interactions([], {}, 1) == parse_sessions([], {}, 1) == ()
    (bare,) = parse_interactions([["ada/0", "m", 1, "VIEWED", None, None, None, None, None, None, []]], own(), 1)
    assert bare == InteractionFacts("m", Millis(1), "VIEWED", None)
