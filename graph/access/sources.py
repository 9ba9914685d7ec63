"""Sources and their write keys: statements on `(ApiKey)-[:OPENS]->(Source)`.

A source may exist before it has a key, because arrivals create it.
"""

from __future__ import annotations

from typing import Final

from graph.model.access import Source, StoredKey
from graph.model.time import Millis
from graph.store.client import GraphClient, Row, Writer

WRITE_SOURCE: Final = """
MERGE (s:Source {name: $name})
ON CREATE SET s.created_at = $now, s.user_namespace = $user_namespace
SET s._v = coalesce(s._v, 0) + 1
RETURN s.user_namespace AS user_namespace
"""


async def write_source(tx: Writer, name: str, user_namespace: str, now: Millis) -> str:
    """Creates the source if needed and locks it for this transaction. Returns its namespace.

    An existing source keeps its namespace, because that is part of every identifier already written.
    """
    rows = await tx.run(WRITE_SOURCE, name=name, user_namespace=user_namespace, now=now)
    return rows[0]["user_namespace"] or ""


READ_SOURCE_KEYS: Final = """
MATCH (k:ApiKey)-[:OPENS]->(s:Source {name: $name})
WHERE k.revoked_at IS NULL
RETURN k.id AS id
"""


async def read_source_keys(tx: Writer, name: str) -> list[str]:
    """Reads the IDs of the source's valid keys."""
    return [str(row["id"]) for row in await tx.run(READ_SOURCE_KEYS, name=name)]


WRITE_SOURCE_KEY: Final = """
MATCH (s:Source {name: $name})
MERGE (k:ApiKey {id: $key_id})
SET k.hash = $hash, k.created_at = $now
MERGE (k)-[:OPENS]->(s)
"""


async def write_source_key(tx: Writer, name: str, key_id: str, key_hash: str, now: Millis) -> None:
    """Adds a key to the source."""
    await tx.run(WRITE_SOURCE_KEY, name=name, key_id=key_id, hash=key_hash, now=now)


WRITE_SOURCE_REVOCATION: Final = """
MATCH (k:ApiKey)-[:OPENS]->(s:Source {name: $name})
WHERE k.revoked_at IS NULL
SET k.revoked_at = $now
RETURN k.id AS id
"""


async def revoke_source_keys(tx: Writer, name: str, now: Millis) -> list[str]:
    """Revokes every key of the source. Returns the IDs of those that were still valid."""
    return [str(row["id"]) for row in await tx.run(WRITE_SOURCE_REVOCATION, name=name, now=now)]


_SOURCE: Final = "s.name AS name, s.user_namespace AS user_namespace, s.created_at AS created_at"

READ_SOURCE: Final = f"MATCH (s:Source {{name: $name}}) RETURN {_SOURCE}"


async def read_source(client: GraphClient, name: str) -> Source | None:
    """Reads a source by its name, without its keys. None if there is none."""
    rows = await client.read(READ_SOURCE, name=name)
    return source_of(rows[0]) if rows else None


READ_SOURCES: Final = f"""
MATCH (s:Source)
OPTIONAL MATCH (s)<-[:OPENS]-(k:ApiKey)
WITH s, collect(CASE WHEN k.revoked_at IS NULL THEN k.id END) AS keys
RETURN {_SOURCE}, keys
ORDER BY name
"""


async def read_sources(client: GraphClient) -> list[Source]:
    """Reads all sources with their valid keys, in the order of their names."""
    return [source_of(row) for row in await client.read(READ_SOURCES)]


READ_SOURCE_BY_KEY: Final = f"""
MATCH (k:ApiKey {{id: $key_id}})-[:OPENS]->(s:Source)
WHERE k.revoked_at IS NULL
RETURN k.hash AS hash, {_SOURCE}
"""


async def read_source_by_key(client: GraphClient, key_id: str) -> StoredKey[Source] | None:
    """Reads the stored hash of a valid key and the source it belongs to. None if the key is unknown or revoked."""
    rows = await client.read(READ_SOURCE_BY_KEY, key_id=key_id)
    return StoredKey(str(rows[0]["hash"]), source_of(rows[0])) if rows else None


def source_of(row: Row) -> Source:
    """Returns a row as a source."""
    return Source(
        name=row["name"],
        user_namespace=row["user_namespace"] or "",
        created_at=Millis(row["created_at"] or 0),
        keys=tuple(sorted(row.get("keys") or ())),
    )
