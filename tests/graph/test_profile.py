"""A profile in one read: each part on and off, each way to a person, and the later pages; on either engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from graph.activity.history import NEWEST, InteractionFilter, read_interactions, read_sessions
from graph.catalogue.reading import ItemFilter, read_item, read_items
from graph.model.catalogue import ItemKey
from graph.model.identity import IdentifierRef, RecordId, RecordKind, RecordRef, UserId
from graph.model.segments import SegmentKey
from graph.model.time import Millis
from graph.profile import (
    ProfileParts,
    Sharing,
    StoredProfile,
    read_profile_of_user,
    read_profiles_of_identifier,
    read_profiles_of_records,
)
from graph.segments.definitions import read_segment, read_segments
from graph.segments.memberships import count_members
from graph.store.client import GraphClient, Writer
from graph.store.system import read_counts, read_version
from tests.api.door import START, Door, given, identify, open_door, viewed

pytestmark = pytest.mark.store

NONE = ProfileParts()
ALL = ProfileParts(
    traits=True, identifiers=True, consents=True, segments=True, rfm=True, recent=5, interactions=5, sessions=5
)
HOUR = 3_600_000

WRITE_DERIVED = """
MATCH (u:User {id: $user})
SET u.rfm_recency = 3.0, u.rfm_frequency = 2.0, u.rfm_monetary = 9.5, u.rfm_recency_score = 5,
    u.rfm_frequency_score = 4, u.rfm_monetary_score = 3, u.rfm_cell = '543', u.rfm_computed_at = 7
MERGE (s:Segment {key: 'buyers'}) SET s.purpose = 'analytics', s.title = 'Buyers', s.kind = 'rfm', s.version = 2
MERGE (t:Segment {key: 'former'}) SET t.purpose = 'analytics'
CREATE (u)-[:IN_SEGMENT {since: 5, score: 0.5, version: 2}]->(s)
CREATE (u)-[:IN_SEGMENT {since: 1, until: 2, version: 1}]->(t)
"""


def record(key: str, kind: RecordKind = RecordKind.USER) -> RecordId:
    return RecordRef("shop", kind, key).id


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    async with open_door(store) as door:
        day = int(START) - 24 * HOUR
        await door.load(
            {"type": "item", "itemId": "i1", "title": "Lamp", "category": "home", "price": 9.5, "year": 2001},
            {"type": "item", "itemId": "i2", "category": "home", "available": False, "attributes": {"a": [1]}},
            {"type": "item", "itemId": "i3", "topics": [{"key": "t", "weight": 2}, "u"]},
            identify("ada", email="ada@example.com", firstName="Ada"),
            *given("ada", "analytics"),
            *(viewed("ada", f"i{n % 3 + 1}", f"m{n}", day + n * HOUR) for n in range(6)),
            {"type": "page", "userId": "ada", "name": "Home", "messageId": "p1", "timestamp": day + 9 * HOUR},
        )
        yield door


async def one(found: list[StoredProfile]) -> StoredProfile:
    (profile,) = found
    return profile


async def test_parts_that_are_not_wanted_are_empty(door: Door) -> None:
    found = await one(await read_profiles_of_records(door.services.client, [record("ada")], NONE))
    assert found.records == (RecordRef("shop", RecordKind.USER, "ada"),)
    assert "service" in found.permits
    parts = (found.traits, found.identifiers, found.events, found.segments, found.recent, found.interactions)
    assert not any((*parts, found.sessions, found.rfm))


async def test_all_parts_in_one_read(door: Door) -> None:
    client = door.services.client
    user = (await one(await read_profiles_of_records(client, [record("ada")], NONE))).id

    async def derive(tx: Writer) -> None:
        await tx.run(WRITE_DERIVED, user=user)

    await client.write(derive)
    found = await one(await read_profile_of_user(client, user, ALL))
    (traits,) = found.traits.values()
    assert {name: trait.value for name, trait in traits.items()} == {"email": "ada@example.com", "givenName": "Ada"}
    assert {(i.kind, i.value) for i in found.identifiers} == {("email", "ada@example.com"), ("user_id", "ada")}
    assert [event.statement.purpose for event in found.events] == ["analytics"]
    (member,) = found.segments
    assert (member.segment, member.purpose, member.since, member.score) == ("buyers", "analytics", 5, 0.5)
    assert (member.version, member.title, member.kind) == (2, "Buyers", "rfm")
    assert found.rfm is not None
    assert (found.rfm.cell, found.rfm.monetary, found.rfm.recency_score) == ("543", 9.5, 5)
    assert [event.item for event in found.recent] == ["i3", "i2", "i1", "i3", "i2"]
    assert [event.type for event in found.interactions][:2] == ["VIEWED", "VIEWED"]
    assert found.interactions[0].item is None, "a page has no item"
    assert found.interactions[1].item is not None
    assert found.interactions[1].item.topics == (("t", 2.0), ("u", 1.0))
    assert len(found.sessions) == 5
    assert found.sessions[0].source == "shop"
    assert [session.started_at for session in found.sessions] == sorted(
        (session.started_at for session in found.sessions), reverse=True
    )


async def test_records_come_in_the_order_asked_for(door: Door) -> None:
    await door.load({"type": "identify", "anonymousId": "ada", "traits": {"firstName": "Nobody"}})
    keys = [record("ada"), record("nobody"), record("ada", RecordKind.ANONYMOUS)]
    found = await read_profiles_of_records(door.services.client, keys, ProfileParts(traits=True))
    names = [traits["givenName"].value for profile in found for traits in profile.traits.values()]
    assert names == ["Ada", "Nobody"]
    assert await read_profiles_of_records(door.services.client, [record("nobody")], ALL) == []


async def test_a_retired_id_leads_to_the_one_it_became(door: Door) -> None:
    client = door.services.client
    await door.load({"type": "identify", "anonymousId": "a-1"})
    alone = await one(await read_profiles_of_records(client, [record("a-1", RecordKind.ANONYMOUS)], NONE))
    await door.load({"type": "identify", "userId": "ada", "anonymousId": "a-1"})
    merged = await one(await read_profiles_of_records(client, [record("ada")], NONE))
    assert len(merged.records) == 2
    for user in (alone.id, merged.id):
        assert (await one(await read_profile_of_user(client, user, NONE))).id == merged.id
    assert await read_profile_of_user(client, UserId("nobody"), NONE) == []


async def test_an_identifier_means_only_those_whom_the_viewer_may_know_of(door: Door) -> None:
    client = door.services.client
    mail = IdentifierRef("email", "ada@example.com")
    now = door.clock()
    assert len(await read_profiles_of_identifier(client, mail, Sharing(), now, NONE)) == 1
    acme = Sharing("partner_sharing@acme", "partner_sharing@*", "!partner_sharing@acme")
    assert await read_profiles_of_identifier(client, mail, acme, now, NONE) == []
    await door.load(*given("ada", "partner_sharing", recipient="acme"))
    assert len(await read_profiles_of_identifier(client, mail, acme, door.clock(), NONE)) == 1
    await door.load(*given("ada", "partner_sharing"))
    other = Sharing("partner_sharing@globex", "partner_sharing@*", "!partner_sharing@globex")
    assert len(await read_profiles_of_identifier(client, mail, other, door.clock(), NONE)) == 1
    await door.load(*given("ada", "partner_sharing", state="refused", recipient="globex"))
    assert await read_profiles_of_identifier(client, mail, other, door.clock(), NONE) == []
    assert await read_profiles_of_identifier(client, IdentifierRef("email", "no"), Sharing(), now, ALL) == []


async def test_later_pages_of_activity(door: Door) -> None:
    client = door.services.client
    user = (await one(await read_profiles_of_records(client, [record("ada")], NONE))).id
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


async def test_the_catalogue_by_each_way_into_it(door: Door) -> None:
    client = door.services.client

    async def keys(limit: int = 10, after: str = "", **conditions: object) -> list[str]:
        return [item.key for item in await read_items(client, ItemFilter(**conditions), limit, after)]  # type: ignore[arg-type]

    assert await keys() == ["i1", "i2", "i3"]
    assert await keys(limit=2) == ["i1", "i2"]
    assert await keys(after="i1") == ["i2", "i3"]
    assert await keys(category="home") == ["i1", "i2"]
    assert await keys(category="home", available=False) == ["i2"]
    assert await keys(min_price=9.5, max_price=9.5, min_year=2001, max_year=2001) == ["i1"]
    assert await keys(min_price=10) == []
    assert await keys(topic="u") == ["i3"]
    assert await keys(topic="u", category="home") == []
    assert await keys(keys=(ItemKey("i3"), ItemKey("i1"), ItemKey("no"))) == ["i1", "i3"]
    assert await keys(keys=(ItemKey("i3"), ItemKey("i1")), topic="t") == ["i3"]
    item = await read_item(client, ItemKey("i2"))
    assert item is not None
    assert (item.available, item.attributes) == (False, {"a": [1]})
    assert await read_item(client, ItemKey("no")) is None


async def test_segments_and_how_many_are_in_them(door: Door) -> None:
    client = door.services.client
    user = (await one(await read_profiles_of_records(client, [record("ada")], NONE))).id

    async def derive(tx: Writer) -> None:
        await tx.run(WRITE_DERIVED, user=user)

    await client.write(derive)
    assert [segment.key for segment in await read_segments(client, 10, default_purpose="analytics")] == [
        "buyers",
        "former",
    ]
    assert [segment.key for segment in await read_segments(client, 10, "buyers", default_purpose="analytics")] == [
        "former"
    ]
    found = await read_segment(client, SegmentKey("buyers"), default_purpose="analytics")
    assert found is not None
    assert (found.title, found.purpose, found.version) == ("Buyers", "analytics", 2)
    assert await read_segment(client, SegmentKey("no"), default_purpose="analytics") is None
    assert await count_members(client, SegmentKey("buyers"), door.clock(), default_purpose="analytics") == 1
    assert await count_members(client, SegmentKey("former"), door.clock(), default_purpose="analytics") == 0
    await door.load(*given("ada", "analytics", state="withdrawn"))
    assert await count_members(client, SegmentKey("buyers"), door.clock(), default_purpose="analytics") == 0


async def test_the_store_counts_itself(door: Door) -> None:
    counts = await read_counts(door.services.client)
    assert (counts.records, counts.users, counts.items, counts.interactions) == (1, 1, 3, 7)
    assert (counts.sessions, counts.consents, counts.segments) == (7, 1, 0)
    version = await read_version(door.services.client)
    assert version.engine in ("embedded", "neo4j")
    assert version.migration >= 2
    assert Millis(0) < door.clock()
