"""The client on whichever engine is under test: reads, writes, guard, limits, errors."""

from __future__ import annotations

import pytest

from graph.client import GraphClient, Writer
from graph.errors import WriteInRead

pytestmark = pytest.mark.store


async def test_a_write_is_read_back(store: GraphClient) -> None:
    async def work(tx: Writer) -> list[dict[str, object]]:
        return await tx.run("CREATE (t:Topic {key: $key, sizes: [1, 2]}) RETURN t.key AS key", key="a")

    assert await store.write(work) == [{"key": "a"}]
    assert await store.read("MATCH (t:Topic) RETURN t.key AS key, t.sizes AS sizes") == [{"key": "a", "sizes": [1, 2]}]


async def test_each_test_starts_empty(store: GraphClient) -> None:
    assert await store.read("MATCH (t:Topic) RETURN t.key AS key") == []


async def test_a_read_that_writes_is_refused_and_nothing_is_written(store: GraphClient) -> None:
    with pytest.raises(WriteInRead):
        await store.read("CREATE (t:Topic {key: 'x'})")
    assert await store.read("MATCH (t:Topic) RETURN count(t) AS n") == [{"n": 0}]
