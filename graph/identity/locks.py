"""Locks on records and users, which keep other transactions from changing them between a read and a write.

Both engines let two transactions read the same state and then write what follows from it, so one update would be lost.
A transaction that first writes to the record or user (`_v`) either waits for the other one, or fails and runs again; it
then reads what the other one left. So: lock, read, write, all in one `GraphClient.write`. IDs are sorted, so that two
transactions that lock the same ones meet at the first of them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from graph.model.identity import RecordId, UserId
from graph.store.client import MAX_ROWS, Writer, chunk_rows

WRITE_RECORD_LOCKS: Final = """
UNWIND $ids AS id
MATCH (r:Record {id: id})
SET r._v = coalesce(r._v, 0) + 1
RETURN r.id AS id
"""


async def lock_records(tx: Writer, records: Collection[RecordId]) -> set[RecordId]:
    """Locks records for the rest of the transaction; returns those that exist."""
    return {RecordId(key) for key in await _lock(tx, WRITE_RECORD_LOCKS, records)}


WRITE_USER_LOCKS: Final = """
UNWIND $ids AS id
MATCH (u:User {id: id})
SET u._v = coalesce(u._v, 0) + 1
RETURN u.id AS id
"""


async def lock_users(tx: Writer, users: Collection[UserId]) -> set[UserId]:
    """Locks users for the rest of the transaction; returns those that exist."""
    return {UserId(key) for key in await _lock(tx, WRITE_USER_LOCKS, users)}


async def _lock(tx: Writer, statement: str, ids: Collection[str]) -> list[str]:
    found: list[str] = []
    for chunk in chunk_rows(sorted(set(ids)), MAX_ROWS):
        found += [row["id"] for row in await tx.run(statement, ids=chunk)]
    return found
