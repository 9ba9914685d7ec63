"""Segments as their nodes describe them: versions, pages, and what stands in for an unstated purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.model.recommendation import RunId
from graph.model.segments import SegmentFacts, SegmentKey
from graph.model.time import Millis
from graph.profile import Sharing, find_person_of_record
from graph.segments.definitions import (
    SegmentDefinition,
    read_keys_of_kind,
    read_segment,
    read_segments,
    write_segments,
)
from graph.segments.memberships import count_members
from graph.store.client import GraphClient, Writer
from tests.api.door import Door, given
from tests.crowd import NOW, run
from tests.shop import WRITE_DERIVED, record

pytestmark = pytest.mark.store

BUYERS = SegmentDefinition(SegmentKey("buyers"), "rfm", "Buyers", "Who buys.", "analytics", {"least": 4})


@pytest.fixture
async def people(store: GraphClient) -> GraphClient:
    await write_segments(store, [BUYERS], RunId("r0"), NOW)
    return store


async def test_a_changed_definition_raises_the_version(people: GraphClient) -> None:
    async def version() -> int | None:
        found = await read_segment(people, BUYERS.key, default_purpose="analytics")
        assert found is not None
        return found.version

    assert await version() == 1
    await write_segments(people, [replace(BUYERS, title="Good buyers")], RunId("r1"), Millis(NOW + 1))
    assert await version() == 1
    await write_segments(people, [replace(BUYERS, definition={"least": 5})], RunId("r2"), Millis(NOW + 2))
    assert await version() == 2
    assert await read_keys_of_kind(people, "rfm") == ["buyers"]
    assert await read_keys_of_kind(people, "community") == []


async def test_a_segment_is_read_back_as_it_was_last_defined(people: GraphClient) -> None:
    renamed = replace(BUYERS, title="Good buyers", description="Who buys much.", purpose="marketing", kind="rule")
    await write_segments(people, [renamed], RunId("r1"), Millis(NOW + 1))
    found = await read_segment(people, BUYERS.key, default_purpose="analytics")
    assert found == SegmentFacts(BUYERS.key, "marketing", "Good buyers", "rule", "Who buys much.", 1, Millis(NOW + 1))
    assert await read_keys_of_kind(people, "rfm") == []
    assert await people.read("MATCH (s:Segment) RETURN s.created_at AS created, s.run AS run") == [
        {"created": NOW, "run": "r1"}
    ]
    assert await read_segment(people, SegmentKey("none"), default_purpose="analytics") is None


async def test_a_segment_without_a_purpose_gets_the_default_one(people: GraphClient) -> None:
    await run(people, "CREATE (:Segment {key: 'bare'})")
    found = await read_segments(people, 10, default_purpose="service")
    assert [(segment.key, segment.purpose) for segment in found] == [("bare", "service"), ("buyers", "analytics")]
    assert await read_segment(people, SegmentKey("bare"), default_purpose="service") == found[0]


async def test_the_first_definition_of_a_segment_is_version_one(people: GraphClient) -> None:
    await run(people, "CREATE (:Segment {key: 'bare'})")
    await write_segments(people, [replace(BUYERS, key=SegmentKey("bare"))], RunId("r1"), NOW)
    found = await read_segment(people, SegmentKey("bare"), default_purpose="analytics")
    assert found is not None
    assert found.version == 1


async def test_many_segments_are_listed_once_in_pages(store: GraphClient) -> None:
    keys = [SegmentKey(f"s{number:03}") for number in range(501)]
    await write_segments(store, [replace(BUYERS, key=key) for key in reversed(keys)], RunId("r0"), NOW)
    walked: list[SegmentFacts] = []
    while page := await read_segments(store, 300, walked[-1].key if walked else "", default_purpose="analytics"):
        walked += page
    assert [segment.key for segment in walked] == keys == await read_keys_of_kind(store, "rfm")


async def test_segments_and_how_many_are_in_them(door: Door) -> None:
    client = door.services.client
    (ada,) = await find_person_of_record(client, record("ada"), Sharing())
    user = ada.id

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
