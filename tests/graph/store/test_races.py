"""Races between writers, on whichever engine is under test: nothing is lost, doubled or written against a withdrawal.

Two clients stand for two processes, so that the embedded engine's write queue (one a client) does not hide the races.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from graph.identity.locks import lock_records, lock_users
from graph.model.identity import RecordId, UserId
from graph.store.client import GraphClient, StoreTarget, Writer

pytestmark = pytest.mark.store


@pytest.fixture
async def clients(store_target: StoreTarget, store: GraphClient) -> AsyncIterator[list[GraphClient]]:
    opened = [await GraphClient.connect(store_target) for _ in range(4)]
    yield opened
    for client in opened:
        await client.close()


async def create(store: GraphClient, statement: str) -> None:
    async def work(tx: Writer) -> None:
        await tx.run(statement)

    await store.write(work)


async def test_a_locked_counter_loses_no_update(clients: list[GraphClient], store: GraphClient) -> None:
    await create(store, "CREATE (u:User {id: 'u', n: 0})")

    async def count(tx: Writer) -> None:
        assert await lock_users(tx, [UserId("u")]) == {"u"}
        [row] = await tx.run("MATCH (u:User {id: 'u'}) RETURN u.n AS n")
        await tx.run("MATCH (u:User {id: 'u'}) SET u.n = $n", n=row["n"] + 1)

    await asyncio.gather(*(client.write(count) for client in clients for _ in range(25)))
    assert await store.read("MATCH (u:User {id: 'u'}) RETURN u.n AS n") == [{"n": 100}]


async def test_no_event_is_written_after_a_withdrawal(clients: list[GraphClient], store: GraphClient) -> None:
    """Two writers add an event where the record still permits it, one withdraws and counts the events; none comes
    later."""
    for round_ in range(15):
        await create(store, f"CREATE (r:Record {{id: 'r{round_}', permitted: true}})")
        record = RecordId(f"r{round_}")

        async def ingest(tx: Writer, record: RecordId = record) -> None:
            await lock_records(tx, [record])
            [row] = await tx.run("MATCH (r:Record {id: $id}) RETURN r.permitted AS permitted", id=record)
            if row["permitted"]:
                await tx.run("MATCH (r:Record {id: $id}) CREATE (r)-[:HAD]->(s:Session {started_at: 1})", id=record)

        async def withdraw(tx: Writer, record: RecordId = record) -> int:
            await lock_records(tx, [record])
            await tx.run("MATCH (r:Record {id: $id}) SET r.permitted = false", id=record)
            [row] = await tx.run(
                "MATCH (r:Record {id: $id}) OPTIONAL MATCH (r)-[:HAD]->(s) RETURN count(s) AS n", id=record
            )
            return int(row["n"])

        results = await asyncio.gather(
            clients[0].write(ingest), clients[2].write(withdraw), clients[1].write(ingest), clients[3].write(ingest)
        )
        [row] = await store.read(
            "MATCH (r:Record {id: $id}) OPTIONAL MATCH (r)-[:HAD]->(s) RETURN count(s) AS n", id=record
        )
        assert row["n"] == results[1]


async def test_racing_merges_make_each_node_once(clients: list[GraphClient], store: GraphClient) -> None:
    async def merge(tx: Writer, start: int) -> None:
        keys = [f"k{(start + step) % 50}" for step in range(50)]
        await tx.run("UNWIND $keys AS key MERGE (t:Topic {key: key}) ON CREATE SET t.seen = 1", keys=keys)

    work = [client.write(lambda tx, s=start: merge(tx, s)) for client in clients for start in (0, 17, 33)]  # type: ignore[misc]
    await asyncio.gather(*work)
    assert await store.read("MATCH (t:Topic) RETURN count(t) AS n, count(DISTINCT t.key) AS keys") == [
        {"n": 50, "keys": 50}
    ]


async def test_racing_merges_of_an_interaction_make_it_once(clients: list[GraphClient], store: GraphClient) -> None:
    await create(store, "CREATE (s:Session {id: 's'}) CREATE (i:Item {key: 'i'})")

    async def merge(tx: Writer) -> None:
        await tx.run(
            "MATCH (s:Session {id: 's'}) MATCH (i:Item {key: 'i'}) "
            "UNWIND $ids AS id MERGE (s)-[v:VIEWED {message_id: id}]->(i) ON CREATE SET v.at = 1",
            ids=[f"m{number}" for number in range(20)],
        )

    await asyncio.gather(*(client.write(merge) for client in clients for _ in range(3)))
    assert await store.read("MATCH (:Session)-[v:VIEWED]->(:Item) RETURN count(v) AS n") == [{"n": 20}]


async def test_concurrent_deletes_break_no_read_or_write(clients: list[GraphClient], store: GraphClient) -> None:
    """Entities vanish between being found and being used; both doors try again instead of failing."""

    async def add(tx: Writer) -> None:
        await tx.run("UNWIND range(1, 60) AS x CREATE (:Session {started_at: x})<-[:HAD]-(:Record {traits: 'x'})")

    async def change(tx: Writer) -> None:
        await tx.run(
            "MATCH (r:Record)-[h:HAD]->(s:Session) SET r.updated_at = 2 "
            "RETURN r.traits AS traits, s.started_at AS at, properties(r) AS all, type(h) AS type"
        )

    async def delete(tx: Writer) -> None:
        await tx.run("MATCH (n) WHERE n:Session OR n:Record DETACH DELETE n")

    async def repeat(client: GraphClient, work: Callable[[Writer], Awaitable[None]]) -> None:
        for _ in range(20):
            await client.write(work)

    async def read(client: GraphClient) -> None:
        while not ended.is_set():
            await client.read(
                "MATCH (r:Record)-[h:HAD]->(s:Session) "
                "RETURN r.traits AS traits, s.started_at AS at, properties(r) AS all, type(h) AS type"
            )

    ended = asyncio.Event()
    readers = [asyncio.create_task(read(client)) for client in clients * 2]
    await asyncio.gather(*map(repeat, clients, (add, change, delete, delete)))
    ended.set()
    await asyncio.gather(*readers)
    await clients[0].write(delete)
    assert await store.read("MATCH (n) WHERE n:Session OR n:Record RETURN count(n) AS n") == [{"n": 0}]


async def test_writers_in_opposite_orders_finish(clients: list[GraphClient], store: GraphClient) -> None:
    await create(store, "UNWIND range(1, 20) AS x CREATE (:Record {id: 'r' + toString(x), n: 0})")

    async def touch(tx: Writer, step: int) -> None:
        records = [RecordId(f"r{number}") for number in range(1, 21)][::step]
        assert await lock_records(tx, records) == set(records)
        await tx.run("UNWIND $ids AS id MATCH (r:Record {id: id}) SET r.n = r.n + 1", ids=records)

    await asyncio.gather(*(c.write(lambda tx, s=step: touch(tx, s)) for c in clients for step in (1, -1) * 5))  # type: ignore[misc]
    assert await store.read("MATCH (r:Record) RETURN DISTINCT r.n AS n") == [{"n": 40}]
