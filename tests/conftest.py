"""Fixtures of all tests: a real store, emptied before each test that asks for it.

The engine is the embedded one, or the Neo4j at CONSENTRIC_TEST_NEO4J (a Bolt address; user and password in
CONSENTRIC_TEST_NEO4J_USER and _PASSWORD) when that is set: its database `neo4j` is emptied. Tests that use `store` are
marked `store`, so that they can be repeated on the other engine.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import settings

from graph.embedded.process import EngineOptions
from graph.embedded.store import EmbeddedStore
from graph.store.client import Engine, GraphClient, StoreTarget, Writer
from migrations.runner import migrate

settings.register_profile("house", deadline=None)  # a busy machine is no failure: no timed assertions
settings.load_profile("house")

WRITE_EMPTY = """
MATCH (n) WHERE NOT n:Migration AND NOT n:Lock
WITH n LIMIT 2000
DETACH DELETE n
RETURN count(*) AS deleted
"""


@pytest.fixture(scope="session")
def store_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreTarget]:
    """Where the tests' store is."""
    url = os.environ.get("CONSENTRIC_TEST_NEO4J")
    if url:
        user = os.environ.get("CONSENTRIC_TEST_NEO4J_USER", "neo4j")
        yield StoreTarget(url, user, os.environ.get("CONSENTRIC_TEST_NEO4J_PASSWORD", ""), "neo4j", Engine.NEO4J)
        return
    with EmbeddedStore.start(tmp_path_factory.mktemp("store"), EngineOptions(verbose_log=True)) as embedded:
        yield embedded.target


@pytest.fixture(scope="session")
async def session_store(store_target: StoreTarget) -> AsyncIterator[GraphClient]:
    """One migrated client for all tests."""
    async with await GraphClient.connect(store_target, explain=True) as client:
        await empty(client)
        await migrate(client)
        yield client


@pytest.fixture
async def store(session_store: GraphClient) -> GraphClient:
    """An empty, migrated store."""
    await empty(session_store)
    return session_store


async def empty(client: GraphClient) -> None:
    """Deletes everything but the record of migrations."""

    async def work(tx: Writer) -> int:
        return int((await tx.run(WRITE_EMPTY))[0]["deleted"])

    while await client.write(work):
        pass
