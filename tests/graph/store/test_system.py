"""What the store says of itself."""

from __future__ import annotations

import pytest

from graph.model.time import Millis, system_clock
from graph.store.client import GraphClient
from graph.store.system import StoreCounts, read_counts, read_store_time, read_version
from migrations.steps import STEPS
from tests.api.door import Door
from tests.crowd import Event, Person, run, write_crowd

pytestmark = pytest.mark.store


async def test_the_store_counts_itself(door: Door) -> None:
    counts = await read_counts(door.services.client)
    assert (counts.records, counts.users, counts.items, counts.interactions) == (1, 1, 3, 7)
    assert (counts.sessions, counts.consents, counts.segments) == (7, 1, 0)
    version = await read_version(door.services.client)
    assert version.engine in ("embedded", "neo4j")
    assert version.migration >= 2
    assert Millis(0) < door.clock()


async def test_the_store_tells_its_time(store: GraphClient) -> None:
    assert abs(await read_store_time(store) - system_clock()) < 60_000


async def test_an_empty_store_counts_nothing_and_knows_its_last_migration(store: GraphClient) -> None:
    assert await read_counts(store) == StoreCounts(0, 0, 0, 0, 0, 0, 0, 0)
    version = await read_version(store)
    assert (version.engine, version.migration) == (store.engine, STEPS[-1].version)
    assert version.version


async def test_retired_people_are_not_counted_and_events_without_an_item_are(store: GraphClient) -> None:
    await write_crowd(store, [Person("a", [[Event("i"), Event(None, "SEARCHED")]]), Person("b"), Person("c")])
    await run(store, "MATCH (u:User {id: 'b'}) SET u.retired_at = 1 CREATE (:Segment {key: 's'})")
    found = await read_counts(store)
    assert (found.users, found.items, found.interactions, found.segments) == (2, 1, 2, 1)
