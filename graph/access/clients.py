"""Clients and their API keys: statements on `(ApiKey)-[:OPENS]->(Client)`."""

from __future__ import annotations

from typing import Final

from graph.model.access import Client, StoredKey
from graph.model.time import Millis
from graph.store.client import GraphClient, Row, Writer

WRITE_CLIENT_LOCK: Final = """
MERGE (c:Client {name: $name})
SET c._v = coalesce(c._v, 0) + 1
RETURN c.role AS role
"""


async def claim_client_name(tx: Writer, name: str) -> bool:
    """Locks the name for this transaction. Returns False if a client, even a revoked one, already has it."""
    rows = await tx.run(WRITE_CLIENT_LOCK, name=name)
    return rows[0]["role"] is None


WRITE_CLIENT: Final = """
MATCH (c:Client {name: $name})
SET c.role = $role, c.purposes = $purposes, c.recipient = $recipient, c.scopes = $scopes, c.created_at = $now
MERGE (k:ApiKey {id: $key_id})
SET k.hash = $hash, k.created_at = $now
MERGE (k)-[:OPENS]->(c)
"""


async def write_client(tx: Writer, client: Client, key_id: str, key_hash: str) -> None:
    """Writes a client and its key under a claimed name."""
    await tx.run(
        WRITE_CLIENT,
        name=client.name,
        role=client.role,
        purposes=list(client.purposes),
        recipient=client.recipient,
        scopes=list(client.scopes),
        now=client.created_at,
        key_id=key_id,
        hash=key_hash,
    )


WRITE_CLIENT_REVOCATION: Final = """
MATCH (c:Client {name: $name})
WHERE c.revoked_at IS NULL
SET c.revoked_at = $now
WITH c
MATCH (k:ApiKey)-[:OPENS]->(c)
SET k.revoked_at = $now
RETURN k.id AS id
"""


async def write_client_revocation(tx: Writer, name: str, now: Millis) -> list[str]:
    """Revokes a client and its keys. Returns the IDs of the keys that were still valid."""
    return [str(row["id"]) for row in await tx.run(WRITE_CLIENT_REVOCATION, name=name, now=now)]


_CLIENT: Final = """
c.name AS name, c.role AS role, c.purposes AS purposes, c.recipient AS recipient, c.scopes AS scopes,
c.created_at AS created_at, c.revoked_at AS revoked_at
"""

READ_CLIENT: Final = f"MATCH (c:Client {{name: $name}}) RETURN {_CLIENT}"


async def read_client(client: GraphClient, name: str) -> Client | None:
    """Reads a client by its name, revoked or not. None if there is none."""
    rows = await client.read(READ_CLIENT, name=name)
    return client_of(rows[0]) if rows else None


READ_CLIENTS: Final = f"MATCH (c:Client) RETURN {_CLIENT} ORDER BY name"


async def read_clients(client: GraphClient) -> list[Client]:
    """Reads all clients, in the order of their names."""
    return [client_of(row) for row in await client.read(READ_CLIENTS)]


READ_CLIENT_BY_KEY: Final = f"""
MATCH (k:ApiKey {{id: $key_id}})-[:OPENS]->(c:Client)
WHERE k.revoked_at IS NULL AND c.revoked_at IS NULL
RETURN k.hash AS hash, {_CLIENT}
"""


async def read_client_by_key(client: GraphClient, key_id: str) -> StoredKey[Client] | None:
    """Reads the stored hash of a valid key and the client it belongs to. None if the key is unknown or revoked."""
    rows = await client.read(READ_CLIENT_BY_KEY, key_id=key_id)
    return StoredKey(str(rows[0]["hash"]), client_of(rows[0])) if rows else None


def client_of(row: Row) -> Client:
    """Returns a row as a client."""
    return Client(
        name=row["name"],
        role=row["role"],
        purposes=tuple(row["purposes"] or ()),
        recipient=row["recipient"],
        scopes=tuple(row["scopes"] or ()),
        created_at=Millis(row["created_at"] or 0),
        revoked_at=row["revoked_at"],
    )
