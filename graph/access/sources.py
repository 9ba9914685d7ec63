"""Sources, their trust and their write keys: statements on `(ApiKey)-[:OPENS]->(Source)`."""

from __future__ import annotations

from typing import Final

from graph.model.access import Source, StoredKey, Trust, pair_verified
from graph.model.time import Millis
from graph.store.client import GraphClient, Row, Writer

_SOURCE: Final = """s.name AS name, s.user_namespace AS user_namespace, s.created_at AS created_at,
       s.trust AS trust, s.verifies AS verifies, s.verified_since AS verified_since, s.jurisdiction AS jurisdiction,
       coalesce(s.trust_epoch, 0) AS trust_epoch, coalesce(s.settled_epoch, 0) AS settled_epoch,
       coalesce(s.hash_generation, 1) AS hash_generation, coalesce(s.hash_rotated_at, 0) AS hash_rotated_at,
       coalesce(s.static_hash, false) AS static_hash"""

WRITE_SOURCE: Final = f"""
MERGE (s:Source {{name: $name}})
ON CREATE SET s.created_at = $now, s.user_namespace = $user_namespace, s.trust = $trust, s.verifies = $verifies,
    s.verified_since = $verified_since, s.jurisdiction = $jurisdiction, s.trust_epoch = 0, s.settled_epoch = 0,
    s.hash_generation = 1, s.hash_rotated_at = 0, s.static_hash = $static_hash
SET s._v = coalesce(s._v, 0) + 1
RETURN {_SOURCE}
"""


async def write_source(tx: Writer, source: Source) -> Source:
    """Creates the source if needed and locks it for this transaction. Returns it as it is stored.

    An existing source stays as it is: its namespace is part of every identifier already written, and a change of trust
    has consequences (`write_trust`).
    """
    rows = await tx.run(
        WRITE_SOURCE,
        name=source.name,
        now=source.created_at,
        user_namespace=source.user_namespace,
        trust=str(source.trust),
        verifies=list(source.verifies),
        verified_since=list(source.verifies.values()),
        jurisdiction=source.jurisdiction,
        static_hash=source.static_hash,
    )
    return source_of(rows[0])


WRITE_SOURCE_LOCK: Final = f"""
MATCH (s:Source {{name: $name}})
SET s._v = coalesce(s._v, 0) + 1
RETURN {_SOURCE}
"""


async def lock_source(tx: Writer, name: str) -> Source | None:
    """Locks a source for this transaction and returns it. None if there is none."""
    rows = await tx.run(WRITE_SOURCE_LOCK, name=name)
    return source_of(rows[0]) if rows else None


WRITE_TRUST: Final = """
MATCH (s:Source {name: $name})
SET s.trust = $trust, s.verifies = $verifies, s.verified_since = $verified_since, s.jurisdiction = $jurisdiction,
    s.trust_epoch = $trust_epoch, s.static_hash = $static_hash
"""


async def write_trust(tx: Writer, source: Source) -> None:
    """Stores the trust of a source, what it verifies since when, its jurisdiction, its trust epoch, and whether it
    takes static hashes."""
    await tx.run(
        WRITE_TRUST,
        name=source.name,
        trust=str(source.trust),
        verifies=list(source.verifies),
        verified_since=list(source.verifies.values()),
        jurisdiction=source.jurisdiction,
        trust_epoch=source.trust_epoch,
        static_hash=source.static_hash,
    )


WRITE_HASH_GENERATION: Final = f"""
MATCH (s:Source {{name: $name}})
SET s.hash_generation = coalesce(s.hash_generation, 1) + 1, s.hash_rotated_at = $now
RETURN {_SOURCE}
"""


async def write_hash_generation(tx: Writer, name: str, now: Millis) -> Source | None:
    """Gives the user hashes of a source a new key, and returns the source. None if there is none."""
    rows = await tx.run(WRITE_HASH_GENERATION, name=name, now=now)
    return source_of(rows[0]) if rows else None


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
        trust=Trust(row["trust"] or Trust.SERVER),
        verifies=pair_verified(row["verifies"], row["verified_since"]),
        jurisdiction=row["jurisdiction"],
        trust_epoch=row["trust_epoch"],
        settled_epoch=row["settled_epoch"],
        hash_generation=row["hash_generation"],
        hash_rotated_at=Millis(row["hash_rotated_at"]),
        static_hash=row["static_hash"],
    )
