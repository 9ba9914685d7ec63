"""The touch: how a write makes sure that nobody changes a subject between its reading and its writing.

What lives here: the statements that touch records and users. What does not: what is read and written after.

Both engines let two transactions read the same state and then write on the strength of it, so that one update is lost.
A transaction that first writes to the subject (`_v`) either waits for the other one or fails and is run again, and
then reads what the other one left. So: touch first, read second, write third, all in one `GraphClient.write`. Ids are
sorted, so that two writers who touch the same subjects meet on the first of them.
"""

from __future__ import annotations

from collections.abc import Collection

from graph.model.identity import RecordId, UserId
from graph.store.client import MAX_ROWS, Writer, chunk_rows

WRITE_TOUCH_RECORDS = """
UNWIND $ids AS id
MATCH (r:Record {id: id})
SET r._v = coalesce(r._v, 0) + 1
RETURN r.id AS id
"""


async def touch_records(tx: Writer, records: Collection[RecordId]) -> set[RecordId]:
    """Locks records for the rest of the transaction; returns those that exist."""
    return {RecordId(key) for key in await _touch(tx, WRITE_TOUCH_RECORDS, records)}


WRITE_TOUCH_USERS = """
UNWIND $ids AS id
MATCH (u:User {id: id})
SET u._v = coalesce(u._v, 0) + 1
RETURN u.id AS id
"""


async def touch_users(tx: Writer, users: Collection[UserId]) -> set[UserId]:
    """Locks users for the rest of the transaction; returns those that exist."""
    return {UserId(key) for key in await _touch(tx, WRITE_TOUCH_USERS, users)}


async def _touch(tx: Writer, statement: str, ids: Collection[str]) -> list[str]:
    found: list[str] = []
    for chunk in chunk_rows(sorted(set(ids)), MAX_ROWS):
        found += [row["id"] for row in await tx.run(statement, ids=chunk)]
    return found
