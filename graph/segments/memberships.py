"""Memberships in segments as runs write them: (User)-[:IN_SEGMENT]->(Segment).

A live membership has no `until`. Leaving sets it; returning makes a new membership, so that the history is kept. A
person who stays keeps `since`. A write that places people first locks them and checks again that they permit it, so a
person who withdrew consent after the run read their data gets no membership.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graph.activity.scoped import read_still_in_scope
from graph.consent.permits import IN_FORCE
from graph.identity.locks import lock_users
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.scope import PermittedScope
from graph.model.segments import SegmentKey
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

MEMBERS_PAGE: Final = 5000

READ_MEMBERS: Final = """
MATCH (s:Segment {key: $key})<-[m:IN_SEGMENT]-(u:User)
WHERE m.until IS NULL AND u.id > $after
RETURN u.id AS user
ORDER BY user
LIMIT $limit
"""


async def read_members(client: GraphClient, key: SegmentKey) -> list[UserId]:
    """Returns the people in a segment now, sorted by ID. Consent is not checked: only the run that recomputes the
    segment reads them."""
    found: list[UserId] = []
    after = ""
    while True:
        rows = await client.read(READ_MEMBERS, key=key, after=after, limit=MEMBERS_PAGE)
        found.extend(UserId(row["user"]) for row in rows)
        if len(rows) < MEMBERS_PAGE:
            return found
        after = rows[-1]["user"]


class Departure(NamedTuple):
    """A person who leaves a segment."""

    user: UserId
    segment: SegmentKey


class Placement(NamedTuple):
    """A person who enters a segment, or stays in it, with a score."""

    user: UserId
    segment: SegmentKey
    score: float | None


@dataclass(frozen=True, slots=True)
class MembershipChanges:
    """The people who leave a segment, and those who enter one or stay in it."""

    leaving: tuple[Departure, ...]
    belonging: tuple[Placement, ...]


WRITE_LEAVING: Final = """
UNWIND $rows AS row
MATCH (u:User {id: row.user})-[m:IN_SEGMENT]->(s:Segment {key: row.segment})
WHERE m.until IS NULL
SET m.until = $now
RETURN count(m) AS ended
"""

READ_OPEN: Final = """
UNWIND $rows AS row
MATCH (u:User {id: row.user})-[m:IN_SEGMENT]->(s:Segment {key: row.segment})
WHERE m.until IS NULL
RETURN DISTINCT row.user AS user, row.segment AS segment
"""

WRITE_STAYING: Final = """
UNWIND $rows AS row
MATCH (u:User {id: row.user})-[m:IN_SEGMENT]->(s:Segment {key: row.segment})
WHERE m.until IS NULL
SET m.score = row.score, m.version = s.version, m.run = $run
"""

WRITE_ENTERING: Final = """
UNWIND $rows AS row
MATCH (u:User {id: row.user})
MATCH (s:Segment {key: row.segment})
CREATE (u)-[:IN_SEGMENT {since: $now, score: row.score, version: s.version, run: $run}]->(s)
"""


@dataclass(frozen=True, slots=True)
class RunStamp:
    """The run that writes memberships, and when."""

    run: RunId
    now: Millis


async def write_memberships(
    client: GraphClient, changes: MembershipChanges, stamp: RunStamp, scope: PermittedScope
) -> int:
    """Ends and begins memberships, in transactions of at most 500 rows. Returns how many people were left out because
    they no longer permit the purpose."""
    refused = 0
    for leaving in chunk_rows(changes.leaving):
        rows = [{"user": user, "segment": segment} for user, segment in leaving]

        async def end(tx: Writer, rows: list[dict[str, Any]] = rows) -> None:
            await lock_users(tx, {UserId(row["user"]) for row in rows})
            await tx.run(WRITE_LEAVING, rows=rows, now=stamp.now)

        await client.write(end)
    for belonging in chunk_rows(changes.belonging):

        async def keep(tx: Writer, some: Sequence[Placement] = belonging) -> int:
            return await _write_belonging(tx, some, stamp, scope)

        refused += await client.write(keep)
    return refused


async def _write_belonging(tx: Writer, entries: Sequence[Placement], stamp: RunStamp, scope: PermittedScope) -> int:
    people = {user for user, _, _ in entries}
    allowed = await lock_permitting(tx, people, scope)
    rows = [{"user": user, "segment": segment, "score": score} for user, segment, score in entries if user in allowed]
    there = {(row["user"], row["segment"]) for row in await tx.run(READ_OPEN, rows=rows)}
    staying = [row for row in rows if (row["user"], row["segment"]) in there]
    entering = [row for row in rows if (row["user"], row["segment"]) not in there]
    await tx.run(WRITE_STAYING, rows=staying, run=stamp.run)
    await tx.run(WRITE_ENTERING, rows=entering, run=stamp.run, now=stamp.now)
    return len(people - allowed)


async def lock_permitting(tx: Writer, people: Collection[UserId], scope: PermittedScope) -> set[UserId]:
    """Locks people for the rest of the transaction and returns those who are in scope."""
    await lock_users(tx, people)
    return await read_still_in_scope(tx, people, scope)


_PERMITS_ITS_PURPOSE: Final = IN_FORCE.replace("$permit", "coalesce(s.purpose, $default_purpose)")
"""The condition that a user `u` permits the purpose of a segment `s`, which has no recipient."""

READ_SEGMENT_SIZE: Final = f"""
MATCH (u:User)-[m:IN_SEGMENT]->(s:Segment {{key: $key}})
WHERE m.until IS NULL AND {_PERMITS_ITS_PURPOSE}
RETURN count(u) AS size
"""


async def count_members(client: GraphClient, key: SegmentKey, now: Millis, *, default_purpose: str) -> int:
    """Counts the people who are in a segment now and permit its purpose, or the default one if it has none."""
    rows = await client.read(
        READ_SEGMENT_SIZE, key=key, default_purpose=default_purpose, now=now, blanket="", barred=""
    )
    return int(rows[0]["size"])


WRITE_UNPERMITTED_ENDS: Final = """
UNWIND $users AS id
MATCH (u:User {id: id})-[m:IN_SEGMENT]->(s:Segment)
WHERE m.until IS NULL AND NOT coalesce(s.purpose, $default_purpose) IN u.permits
SET m.until = $now
"""


async def end_unpermitted(tx: Writer, users: Collection[UserId], default_purpose: str, now: Millis) -> None:
    """Ends the users' memberships in segments whose purpose they do not permit. Retired users permit nothing."""
    for chunk in chunk_rows(sorted(users)):
        await tx.run(WRITE_UNPERMITTED_ENDS, users=list(chunk), default_purpose=default_purpose, now=now)
