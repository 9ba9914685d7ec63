"""Fixtures for all tests: a real store, emptied before each test that uses it.

The tests run on the embedded engine, or on the Neo4j server at CONSENTRIC_TEST_NEO4J (a Bolt URL; user and password in
CONSENTRIC_TEST_NEO4J_USER and _PASSWORD) if that is set: its database `neo4j` is emptied. Tests that use `store` are
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

settings.register_profile("house", deadline=None)  # a slow machine must not fail a test
settings.load_profile("house")

PAGE = 2000
"""Nodes deleted in one transaction."""

WRITE_EMPTY = """
MATCH (n) WHERE NOT n:Migration AND NOT n:Lock
WITH n LIMIT $page
DETACH DELETE n
RETURN count(*) AS deleted
"""


@pytest.fixture(scope="session")
def store_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreTarget]:
    """Address and credentials of the store under test."""
    url = os.environ.get("CONSENTRIC_TEST_NEO4J")
    if url:
        user = os.environ.get("CONSENTRIC_TEST_NEO4J_USER", "neo4j")
        yield StoreTarget(url, user, os.environ.get("CONSENTRIC_TEST_NEO4J_PASSWORD", ""), "neo4j", Engine.NEO4J)
        return
    with EmbeddedStore.start(tmp_path_factory.mktemp("store"), EngineOptions(verbose_log=True)) as embedded:
        yield embedded.target


@pytest.fixture(scope="session")
async def session_store(store_target: StoreTarget) -> AsyncIterator[GraphClient]:
    """A client of the migrated store, shared by all tests."""
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
        return int((await tx.run(WRITE_EMPTY, page=PAGE))[0]["deleted"])

    while await client.write(work) == PAGE:
        pass
