"""What the store says of itself: engine, migrations, how much there is.

What lives here: counts and versions for operators. What does not: anything about one person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from graph.store.client import GraphClient

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
    """How many there are of what. `users` are live people; `interactions` include those without an item."""

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
    """Which engine, the version it states (the embedded one states the Neo4j version that it speaks like), and the
    number of the last migration."""

    engine: str
    version: str
    migration: int


async def read_version(client: GraphClient) -> StoreVersion:
    """Which engine this is."""
    engine = (await client.read(READ_VERSION))[0]
    migration = (await client.read(READ_MIGRATION))[0]["version"]
    return StoreVersion(client.engine, engine["version"], int(migration or 0))


async def read_counts(client: GraphClient) -> StoreCounts:
    """How much there is. O(everything) where the engine keeps no counts."""
    return StoreCounts(**(await client.read(READ_COUNTS))[0])
