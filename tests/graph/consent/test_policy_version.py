"""The one node that remembers which policy the permits were folded under."""

from __future__ import annotations

import asyncio

import pytest

from graph.consent.policy_version import read_policy_version, write_policy_version
from graph.model.time import Millis
from graph.store.client import GraphClient, StoreTarget

pytestmark = pytest.mark.store


async def write(store: GraphClient, version: str, now: int) -> None:
    await store.write(lambda tx: write_policy_version(tx, version, Millis(now)))


async def test_the_latest_version_replaces_the_previous_one(store: GraphClient) -> None:
    assert await read_policy_version(store) is None
    await write(store, "v1", 1)
    assert await read_policy_version(store) == "v1"
    await write(store, "v2", 2)
    assert await read_policy_version(store) == "v2"
    rows = await store.read("MATCH (p:Policy) RETURN p.version AS version, p.since AS since")
    assert rows == [{"version": "v2", "since": 2}]


async def test_racing_processes_leave_one_version(store_target: StoreTarget, store: GraphClient) -> None:
    clients = [await GraphClient.connect(store_target) for _ in range(4)]
    await asyncio.gather(*(write(client, f"v{n}", n) for n, client in enumerate(clients)))
    for client in clients:
        await client.close()
    [row] = await store.read("MATCH (p:Policy) RETURN p.version AS version, p.since AS since")
    assert row["version"] == f"v{row['since']}"
