"""The client on whichever engine is under test: reads, writes, limits, errors, cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from graph.errors import ConsentricError, PayloadTooLarge, RateLimited, StoreTimeout, StoreUnavailable, WriteInRead
from graph.store.client import MAX_ROWS, Engine, GraphClient, Row, StoreLimits, StoreTarget, Writer, chunk_rows

pytestmark = pytest.mark.store

ENDLESS = "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b WITH a, b WHERE a + b < 0 RETURN count(*) AS n"
SECRET = "jane.doe@example.org"


async def run(client: GraphClient, statement: str, **parameters: Any) -> list[Row]:
    async def work(tx: Writer) -> list[Row]:
        return await tx.run(statement, **parameters)

    return await client.write(work)


async def count_topics(client: GraphClient) -> int:
    return int((await client.read("MATCH (t:Topic) RETURN count(t) AS n"))[0]["n"])


async def test_a_write_is_read_back(store: GraphClient) -> None:
    assert await run(store, "CREATE (t:Topic {key: $key, sizes: [1, 2]}) RETURN t.key AS key", key="a") == [
        {"key": "a"}
    ]
    rows = await store.read("MATCH (t:Topic) RETURN t.key AS key, t.sizes AS sizes, {at: t.at, key: t.key} AS map")
    assert rows == [{"key": "a", "sizes": [1, 2], "map": {"at": None, "key": "a"}}]


async def test_each_test_starts_empty(store: GraphClient) -> None:
    assert await store.read("MATCH (n) WHERE NOT n:Migration AND NOT n:Lock RETURN count(n) AS n") == [{"n": 0}]


async def test_a_missing_entry_reads_as_nothing(store: GraphClient) -> None:
    assert await store.read("MATCH (n:NeverWritten {id: 'x'})-[:NEVER]->(m:NorThis) RETURN n.id AS id") == []
    assert await store.read("MATCH (n:NeverWritten) RETURN count(n) AS n, collect(n.id) AS ids") == [
        {"n": 0, "ids": []}
    ]
    assert await store.read("OPTIONAL MATCH (n:NeverWritten)-[r:NEVER]->() RETURN n.id AS id") == [{"id": None}]


async def test_many_rows_keep_their_order(store: GraphClient) -> None:
    rows = await store.read("UNWIND range(1, 12000) AS x RETURN x, toString(x) AS text")
    assert rows == [{"x": x, "text": str(x)} for x in range(1, 12001)]


async def test_a_read_that_writes_is_refused_and_nothing_is_written(store: GraphClient) -> None:
    with pytest.raises(WriteInRead):
        await store.read("CREATE (t:Topic {key: 'x'})")
    assert await count_topics(store) == 0


async def test_an_error_in_the_work_rolls_back(store: GraphClient) -> None:
    async def work(tx: Writer) -> None:
        await tx.run("CREATE (t:Topic {key: 'x'})")
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await store.write(work)
    assert await count_topics(store) == 0


async def test_the_rows_of_a_write_are_limited(store: GraphClient) -> None:
    statement = "UNWIND $rows AS row CREATE (t:Topic {key: row.key})"
    rows = [{"key": f"t{number}"} for number in range(MAX_ROWS + 1)]
    with pytest.raises(PayloadTooLarge, match="501 rows"):
        await run(store, statement, rows=rows)
    assert await count_topics(store) == 0

    async def work(tx: Writer) -> None:
        for chunk in chunk_rows(rows):
            await tx.run(statement, rows=chunk)

    await store.write(work)
    assert await count_topics(store) == MAX_ROWS + 1
    assert len(await run(store, "UNWIND $keys AS key RETURN key", keys=[row["key"] for row in rows])) == MAX_ROWS + 1


async def test_errors_quote_no_value(store_target: StoreTarget, store: GraphClient) -> None:
    await run(store, "CREATE (t:Topic {key: $key})", key=SECRET)
    async with await GraphClient.connect(store_target, StoreLimits(persist=0.2)) as client:
        for statement in (
            "CREATE (t:Topic {key: $key})",
            "RETURN duration($key) AS x",
            "RETURN $key +",
            "RETURN $other",
        ):
            with pytest.raises(ConsentricError) as caught:
                await run(client, statement, key=SECRET)
            assert SECRET not in str(caught.value)
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__


async def test_the_server_stops_an_endless_read(store_target: StoreTarget, store: GraphClient) -> None:
    if store.engine is Engine.EMBEDDED:
        pytest.skip("its limit is a setting of the server: see test_embedded")
    async with await GraphClient.connect(store_target, StoreLimits(statement=0.5, grace=30)) as client:
        with pytest.raises(StoreTimeout, match="was stopped"):
            await client.read(ENDLESS)


async def test_the_client_gives_up_on_an_endless_read(store_target: StoreTarget, store: GraphClient) -> None:
    async with await GraphClient.connect(store_target, StoreLimits(statement=0.5, grace=-0.2)) as client:
        with pytest.raises(StoreTimeout, match="did not answer"):
            await client.read(ENDLESS)
        assert await client.read("RETURN 1 AS one") == [{"one": 1}]


async def test_the_client_gives_up_on_an_endless_write_and_nothing_is_written(
    store_target: StoreTarget, store: GraphClient
) -> None:
    async with await GraphClient.connect(store_target, StoreLimits(statement=0.5, grace=-0.2)) as client:

        async def work(tx: Writer) -> None:
            await tx.run("CREATE (t:Topic {key: 'x'})")
            await tx.run(ENDLESS)

        with pytest.raises(StoreTimeout):
            await client.write(work)
        assert await count_topics(client) == 0
        assert await run(client, "MERGE (t:Topic {key: 'x'}) RETURN t.key AS key") == [{"key": "x"}]


async def test_a_cancelled_write_leaves_nothing_and_frees_its_turn(store: GraphClient) -> None:
    inside = asyncio.Event()

    async def work(tx: Writer) -> None:
        await tx.run("CREATE (t:Topic {key: 'x'})")
        inside.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.write(work))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count_topics(store) == 0
    assert await run(store, "MERGE (t:Topic {key: 'x'}) RETURN t.key AS key") == [{"key": "x"}]


async def test_a_cancelled_read_leaves_the_client_usable(store: GraphClient) -> None:
    task = asyncio.create_task(store.read(ENDLESS))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.read("RETURN 1 AS one") == [{"one": 1}]


async def test_an_address_where_nothing_listens_is_unavailable(store_target: StoreTarget) -> None:
    target = StoreTarget("bolt://127.0.0.1:1", "u", "p", "graph", Engine.NEO4J)
    with pytest.raises(StoreUnavailable, match="can't be reached"):
        await GraphClient.connect(target, StoreLimits(persist=0.2))
    with pytest.raises(StoreUnavailable, match="bolt://HOST:PORT"):
        await GraphClient.connect(StoreTarget("http://127.0.0.1", "u", "p", "graph", Engine.NEO4J))


async def test_a_wrong_password_is_reported_as_such_and_not_shown(store_target: StoreTarget) -> None:
    target = StoreTarget(store_target.url, store_target.user, "wr0ng", store_target.database, store_target.engine)
    assert "wr0ng" not in repr(target)
    with pytest.raises(StoreUnavailable, match="refused the user or password"):
        await GraphClient.connect(target, StoreLimits(persist=0.2))


async def test_too_many_waiting_writers_are_turned_away(store_target: StoreTarget, store: GraphClient) -> None:
    if store.engine is not Engine.EMBEDDED:
        pytest.skip("only writers of the embedded engine queue")
    async with await GraphClient.connect(store_target, StoreLimits(most_waiting=3)) as client:
        release = asyncio.Event()

        async def hold(tx: Writer) -> None:
            await release.wait()

        async def mark(tx: Writer, key: str) -> str:
            await tx.run("CREATE (t:Topic {key: $key})", key=key)
            return key

        first = asyncio.create_task(client.write(hold))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(client.write(lambda tx, k=key: mark(tx, k))) for key in "abc"]  # type: ignore[misc]
        for _ in waiting:
            await asyncio.sleep(0)
        assert client.waiting_writes == 3
        with pytest.raises(RateLimited):
            await client.write(hold)
        release.set()
        await asyncio.gather(first, *waiting)
    assert await count_topics(store) == 3
