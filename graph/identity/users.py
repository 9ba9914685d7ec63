"""People derived from records: which user a record resolves to, merges, splits, and retired IDs that keep redirecting.

A record has exactly one RESOLVES_TO edge without `to`. A move ends that edge and opens another; nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from graph.model.identity import RecordId, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

WRITE_USERS: Final = """
UNWIND $users AS id
MERGE (u:User {id: id})
ON CREATE SET u.created_at = $now, u.updated_at = $now, u.permits = [], u.consent_epoch = 0
"""


async def write_users(tx: Writer, users: Iterable[UserId], now: Millis) -> None:
    """Creates users, who have no records yet."""
    for chunk in chunk_rows(list(users)):
        await tx.run(WRITE_USERS, users=chunk, now=now)


WRITE_MOVES: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row.record})-[m:RESOLVES_TO]->(:User)
WHERE m.to IS NULL
MATCH (u:User {id: row.user})
SET m.to = $now, u.updated_at = $now
CREATE (r)-[:RESOLVES_TO {`from`: $now}]->(u)
"""


async def write_moves(tx: Writer, moves: Mapping[RecordId, UserId], now: Millis) -> None:
    """Moves records to other users. The caller has locked the records."""
    for chunk in chunk_rows([{"record": record, "user": user} for record, user in sorted(moves.items())]):
        await tx.run(WRITE_MOVES, rows=chunk, now=now)


WRITE_RETIREMENTS: Final = """
UNWIND $rows AS row
MATCH (old:User {id: row.old})
MATCH (survivor:User {id: row.survivor})
SET old.retired_at = $now, old.updated_at = $now, old.permits = [], old.permits_changed_at = $now
CREATE (old)-[:RETIRED_INTO {at: $now}]->(survivor)
"""


async def write_retirements(tx: Writer, retired: Mapping[UserId, UserId], now: Millis) -> None:
    """Retires users (old → survivor): they no longer permit anything, and their IDs redirect."""
    rows = [{"old": old, "survivor": survivor} for old, survivor in sorted(retired.items())]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_RETIREMENTS, rows=chunk, now=now)


READ_LIVE_USER: Final = """
MATCH (:User {id: $id})-[:RETIRED_INTO*0..]->(live:User)
WHERE live.retired_at IS NULL
RETURN live.id AS user
"""


async def find_live_user(client: GraphClient, user: UserId) -> UserId | None:
    """Returns the user that an ID refers to now, after any number of retirements. None for an unknown ID."""
    rows = await client.read(READ_LIVE_USER, id=user)
    return UserId(rows[0]["user"]) if rows else None


READ_RECORD_PAGE: Final = """
MATCH (r:Record)
WHERE r.id > $after
RETURN r.id AS record
ORDER BY record
LIMIT $size
"""


async def read_record_page(client: GraphClient, after: str, size: int) -> list[RecordId]:
    """Returns up to `size` records in the order of their IDs, starting after an ID, for work on all records."""
    rows = await client.read(READ_RECORD_PAGE, after=after, size=size)
    return [RecordId(row["record"]) for row in rows]


class PeopleCounts(NamedTuple):
    """How many records and live users there are, and how many records whose people object to linking."""

    records: int
    users: int
    objected: int


READ_PEOPLE_COUNTS: Final = """
MATCH (r:Record)-[m:RESOLVES_TO]->(u:User)
WHERE m.to IS NULL
RETURN count(r) AS records, count(DISTINCT u) AS users
"""

READ_OBJECTED_COUNT: Final = """
MATCH (r:Record)
WHERE r.linking_objected = true
RETURN count(r) AS objected
"""


async def count_records_and_people(client: GraphClient) -> PeopleCounts:
    """Counts records, live users, and records whose people object to linking."""
    people = (await client.read(READ_PEOPLE_COUNTS))[0]
    objected = (await client.read(READ_OBJECTED_COUNT))[0]
    return PeopleCounts(people["records"], people["users"], objected["objected"])
