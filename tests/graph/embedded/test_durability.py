"""What was acknowledged survives a kill of the embedded store in the middle of writes, and nothing is left half done.

Every transaction writes two nodes in two statements. A round writes from several clients at once, kills the engine,
starts it again on the same folder and compares. CONSENTRIC_KILLS sets how many rounds run.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from graph.embedded.store import EmbeddedStore
from graph.errors import ConsentricError
from graph.store.client import GraphClient, StoreLimits, Writer
from migrations.runner import migrate

ROUNDS = int(os.environ.get("CONSENTRIC_KILLS", "5"))
WRITERS = 3


def kill_engine(store: EmbeddedStore) -> None:
    """SIGKILL to the engine itself; its keeper then ends too."""
    keeper = psutil.Process(store.description.pid)
    engine = keeper.children()[0]
    os.kill(engine.pid, signal.SIGKILL)
    psutil.wait_procs([keeper, engine], timeout=30)


@dataclass
class Progress:
    """What the writers of all rounds share: the next key, the keys acknowledged, and when this round has enough."""

    keys: itertools.count[int] = field(default_factory=itertools.count)
    kept: list[int] = field(default_factory=list)
    wanted: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    killed: asyncio.Event = field(default_factory=asyncio.Event)

    def begin_round(self, wanted: int) -> None:
        self.wanted = len(self.kept) + wanted
        self.enough.clear()
        self.killed.clear()

    def keep(self, key: int) -> None:
        self.kept.append(key)
        if len(self.kept) >= self.wanted:
            self.enough.set()


async def write_pairs(store: EmbeddedStore, progress: Progress) -> None:
    """Writes pairs until the store is gone, noting those acknowledged."""
    async with await GraphClient.connect(store.target, StoreLimits(persist=0.05)) as client:
        while not progress.killed.is_set():
            key = next(progress.keys)

            async def work(tx: Writer, key: int = key) -> None:
                await tx.run("MERGE (t:Topic {key: $key}) SET t.text = $text", key=f"{key}", text="x" * (key % 7) * 100)
                await tx.run("MERGE (i:Item {key: $key}) SET i.n = $n", key=f"{key}", n=key)

            try:
                await client.write(work)
            except ConsentricError:
                continue
            progress.keep(key)


async def read_keys(client: GraphClient) -> tuple[set[int], set[int]]:
    topics = await client.read("MATCH (t:Topic) RETURN t.key AS key")
    items = await client.read("MATCH (i:Item) RETURN i.key AS key, i.n AS n")
    assert all(int(row["key"]) == row["n"] for row in items)
    return {int(row["key"]) for row in topics}, {int(row["key"]) for row in items}


@pytest.mark.timeout(300)
async def test_acknowledged_writes_survive_kills_completely(tmp_path: Path) -> None:
    rng, progress = random.Random(7), Progress()
    for _ in range(ROUNDS):
        store = EmbeddedStore.start(tmp_path)
        async with await GraphClient.connect(store.target) as client:
            await migrate(client)
        progress.begin_round(rng.randint(20, 120))
        writers = [asyncio.create_task(write_pairs(store, progress)) for _ in range(WRITERS)]
        await progress.enough.wait()
        await asyncio.to_thread(kill_engine, store)
        progress.killed.set()
        await asyncio.gather(*writers)
        store.stop()
    with EmbeddedStore.start(tmp_path) as store:
        async with await GraphClient.connect(store.target) as client:
            topics, items = await read_keys(client)
            assert len(progress.kept) >= 20 * ROUNDS
            assert topics >= set(progress.kept)
            assert topics == items
            [row] = await client.read("MATCH (t:Topic) RETURN count(t) AS n, count(DISTINCT t.key) AS keys")
            assert row["n"] == row["keys"] == len(topics)
