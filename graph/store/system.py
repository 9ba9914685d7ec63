"""Versions and counts of the whole store, for operators. Nothing here concerns a single person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from graph.model.time import Millis
from graph.store.client import GraphClient

READ_TIME: Final = "RETURN timestamp() AS now"

READ_VERSION: Final = "CALL dbms.components() YIELD versions RETURN versions[0] AS version"

READ_MIGRATION: Final = "MATCH (m:Migration) RETURN max(m.version) AS version"

READ_COUNTS: Final = """
RETURN COUNT { MATCH (:Record) } AS records, COUNT { MATCH (u:User) WHERE u.retired_at IS NULL } AS users,
  COUNT { MATCH (:Item) } AS items, COUNT { MATCH (:Session) } AS sessions,
  COUNT { MATCH (:Session)-[x]->() } AS interactions, COUNT { MATCH (:ConsentEvent) } AS consents,
  COUNT { MATCH (:Segment) } AS segments, COUNT { MATCH (:Message) } AS messages
"""


@dataclass(frozen=True, slots=True)
class StoreCounts:
    """How many nodes and interactions the store holds. `users` excludes retired ones; `interactions` includes those
    without an item."""

    records: int
    users: int
    items: int
    sessions: int
    interactions: int
    consents: int
    segments: int
    messages: int


@dataclass(frozen=True, slots=True)
class StoreVersion:
    """The engine, its version (the embedded engine reports the Neo4j version it is compatible with) and the number of
    the last migration."""

    engine: str
    version: str
    migration: int


async def read_store_time(client: GraphClient) -> Millis:
    """Reads the store's clock."""
    return Millis((await client.read(READ_TIME))[0]["now"])


async def read_version(client: GraphClient) -> StoreVersion:
    """Reads the engine's version and the last migration."""
    engine = (await client.read(READ_VERSION))[0]
    migration = (await client.read(READ_MIGRATION))[0]["version"]
    return StoreVersion(client.engine, engine["version"], int(migration or 0))


async def read_counts(client: GraphClient) -> StoreCounts:
    """Counts everything. O(size of the graph) on an engine that keeps no counts."""
    return StoreCounts(**(await client.read(READ_COUNTS))[0])
