"""Segments and who is in them, as computed runs write them.

What lives here: statements on (Segment {key, kind, title, description, purpose, version, definition, run}) and on
(User)-[:IN_SEGMENT {since, until, score, version, run}]->(Segment), and RFM on the person (properties `rfm_…`). What
does not: who belongs where (`algorithms/`), reading for viewers (`catalogue.py`, `profiles.py`).

A live membership has no `until`. Leaving sets it; coming back makes a new one, so history stays. Whoever stays keeps
`since`. Every write about people first touches them and asks again whether they permit it: someone who withdrew after
the run had read them gets nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orjson import dumps

from graph.activity.scoped import read_still_in_scope
from graph.identity.locks import touch_users
from graph.model.identity import UserId
from graph.model.recommendation import RunId
from graph.model.scope import PermittedScope
from graph.model.segments import RfmFacts, SegmentKey
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

MEMBERS_PAGE: Final = 5000


@dataclass(frozen=True, slots=True)
class SegmentDefinition:
    """A segment. `definition` is what it is computed by: when that changes, the segment's version rises."""

    key: SegmentKey
    kind: str
    title: str
    description: str
    purpose: str
    definition: Mapping[str, Any] = field(default_factory=dict)


WRITE_SEGMENTS: Final = """
UNWIND $rows AS row
MERGE (s:Segment {key: row.key})
ON CREATE SET s.created_at = $now
WITH s, row, CASE WHEN s.definition IS NULL THEN 1 WHEN s.definition = row.definition THEN s.version
                  ELSE s.version + 1 END AS version
SET s.kind = row.kind, s.title = row.title, s.description = row.description, s.purpose = row.purpose,
    s.version = version, s.definition = row.definition, s.run = $run, s.updated_at = $now
"""


async def write_segments(client: GraphClient, segments: Sequence[SegmentDefinition], run: RunId, now: Millis) -> None:
    """Defines segments, or redefines those that are there."""
    rows = [
        {
            "key": segment.key,
            "kind": segment.kind,
            "title": segment.title,
            "description": segment.description,
            "purpose": segment.purpose,
            "definition": dumps(dict(segment.definition)).decode(),
        }
        for segment in segments
    ]

    async def work(tx: Writer) -> None:
        for chunk in chunk_rows(rows):
            await tx.run(WRITE_SEGMENTS, rows=list(chunk), run=run, now=now)

    await client.write(work)


READ_KEYS_OF_KIND: Final = """
MATCH (s:Segment)
WHERE s.kind = $kind
RETURN s.key AS key
ORDER BY key
"""


async def read_keys_of_kind(client: GraphClient, kind: str) -> list[SegmentKey]:
    """The keys of all segments of a kind."""
    return [SegmentKey(row["key"]) for row in await client.read(READ_KEYS_OF_KIND, kind=kind)]


READ_MEMBERS: Final = """
MATCH (s:Segment {key: $key})<-[m:IN_SEGMENT]-(u:User)
WHERE m.until IS NULL AND u.id > $after
RETURN u.id AS user
ORDER BY user
LIMIT $limit
"""


async def read_members(client: GraphClient, key: SegmentKey) -> list[UserId]:
    """Who is in a segment now, in the order of ids: for the run that computes it anew."""
    found: list[UserId] = []
    after = ""
    while True:
        rows = await client.read(READ_MEMBERS, key=key, after=after, limit=MEMBERS_PAGE)
        found.extend(UserId(row["user"]) for row in rows)
        if len(rows) < MEMBERS_PAGE:
            return found
        after = rows[-1]["user"]


@dataclass(frozen=True, slots=True)
class MembershipChanges:
    """Who leaves which segment, and who enters or stays with which score."""

    leaving: tuple[tuple[UserId, SegmentKey], ...]
    belonging: tuple[tuple[UserId, SegmentKey, float | None], ...]


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
    """What every membership of a run carries."""

    run: RunId
    now: Millis


async def write_memberships(
    client: GraphClient, changes: MembershipChanges, stamp: RunStamp, scope: PermittedScope
) -> int:
    """Ends and begins memberships, in transactions of at most 500 people; answers how many people were left out because
    they permit it no more."""
    refused = 0
    for leaving in chunk_rows(changes.leaving):
        rows = [{"user": user, "segment": segment} for user, segment in leaving]

        async def end(tx: Writer, rows: list[dict[str, Any]] = rows) -> None:
            await touch_users(tx, {UserId(row["user"]) for row in rows})
            await tx.run(WRITE_LEAVING, rows=rows, now=stamp.now)

        await client.write(end)
    for belonging in chunk_rows(changes.belonging):

        async def keep(tx: Writer, some: Sequence[tuple[UserId, SegmentKey, float | None]] = belonging) -> int:
            return await _write_belonging(tx, some, stamp, scope)

        refused += await client.write(keep)
    return refused


async def _write_belonging(
    tx: Writer, entries: Sequence[tuple[UserId, SegmentKey, float | None]], stamp: RunStamp, scope: PermittedScope
) -> int:
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
    """Touches people and answers which of them are in scope now, for the rest of the transaction."""
    await touch_users(tx, people)
    return await read_still_in_scope(tx, people, scope)


WRITE_RFM: Final = """
UNWIND $rows AS row
MATCH (u:User {id: row.user})
SET u.rfm_recency = row.recency, u.rfm_frequency = row.frequency, u.rfm_monetary = row.monetary,
    u.rfm_recency_score = row.recency_score, u.rfm_frequency_score = row.frequency_score,
    u.rfm_monetary_score = row.monetary_score, u.rfm_cell = row.cell, u.rfm_computed_at = row.computed_at,
    u.rfm_run = $run
"""

WRITE_RFM_REMOVAL: Final = """
MATCH (u:User)
WHERE u.rfm_run IS NOT NULL AND u.rfm_run <> $run
WITH u LIMIT $limit
REMOVE u.rfm_recency, u.rfm_frequency, u.rfm_monetary, u.rfm_recency_score, u.rfm_frequency_score,
       u.rfm_monetary_score, u.rfm_cell, u.rfm_computed_at, u.rfm_run
RETURN count(*) AS cleared
"""


async def write_rfm(client: GraphClient, facts: Mapping[UserId, RfmFacts], run: RunId, scope: PermittedScope) -> int:
    """Keeps RFM on the people of a run and takes it off everybody else; answers how many were left out because they
    permit it no more."""
    refused = 0
    for chunk in chunk_rows(sorted(facts)):

        async def keep(tx: Writer, users: Sequence[UserId] = chunk) -> int:
            allowed = await lock_permitting(tx, users, scope)
            rows = [{"user": user} | _rfm_row(facts[user]) for user in users if user in allowed]
            await tx.run(WRITE_RFM, rows=rows, run=run)
            return len(users) - len(allowed)

        refused += await client.write(keep)

    async def clear(tx: Writer) -> int:
        return int((await tx.run(WRITE_RFM_REMOVAL, run=run, limit=500))[0]["cleared"])

    while await client.write(clear):
        pass
    return refused


def _rfm_row(facts: RfmFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in RfmFacts.__slots__}
