"""Grading what records already have again, after a change of what their source is trusted with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from graph.identity.identifiers import mark_claim
from graph.identity.records import MOST_KNOWN, KnownIdentifiers
from graph.model.identity import Grade, IdentifierRef, Proof, RecordId, RecordKind
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

READ_RECORDS_OF_SOURCE: Final = """
MATCH (r:Record)
WHERE r.id > $after AND r.source = $source
RETURN r.id AS record
ORDER BY record
LIMIT $size
"""


async def read_records_of_source(client: GraphClient, source: str, after: str, size: int) -> list[RecordId]:
    """Returns up to `size` records of a source in the order of their IDs, starting after an ID."""
    rows = await client.read(READ_RECORDS_OF_SOURCE, source=source, after=after, size=size)
    return [RecordId(row["record"]) for row in rows]


class GradedIdentifier(NamedTuple):
    """An identifier of a record as it is stored: held or claimed, with its grade."""

    ref: IdentifierRef
    grade: Grade
    since: Millis
    proof: Proof | None


@dataclass(frozen=True, slots=True)
class GradedRecord:
    """A record with everything that is graded. `contacts` is the state of its contact data, `known` and `first_claim`
    what it remembers. Former people (`migrations/m0005_trust.py`) are left out: they have no grade."""

    record: RecordId
    kind: RecordKind
    source: str
    contacts: str | None
    denies: bool
    identifiers: tuple[GradedIdentifier, ...]
    known: str | None = None
    first_claim: str | None = None


WRITE_GRADED_LOCKS: Final = """
UNWIND $records AS record
MATCH (r:Record {id: record})
SET r._v = coalesce(r._v, 0) + 1
RETURN r.id AS record, r.kind AS kind, r.source AS source, r.contacts AS contacts, coalesce(r.denies, false) AS denies,
  r.known AS known, r.first_claim AS first_claim,
  [(r)-[h:IDENTIFIED_BY]->(i:Identifier) |
    [i.kind, i.value, i.namespace, coalesce(h.grade, 'proven'), h.since, h.proof]]
  + [(r)-[c:CLAIMS]->(j:Identifier) WHERE j.kind <> 'former_person' |
    [j.kind, j.value, j.namespace, 'claimed', c.since, NULL]] AS identifiers
"""


async def lock_graded(tx: Writer, records: Collection[RecordId]) -> list[GradedRecord]:
    """Locks records and reads what they hold and claim. Of an identifier that a record both holds and claims, the
    holding."""
    found = []
    for row in await tx.run(WRITE_GRADED_LOCKS, records=sorted(records)):
        best: dict[IdentifierRef, GradedIdentifier] = {}
        for kind, value, namespace, grade, since, proof in row["identifiers"]:
            one = GradedIdentifier(
                IdentifierRef(kind, value, namespace or ""),
                Grade(grade),
                Millis(since),
                Proof(proof) if proof else None,
            )
            known = best.get(one.ref)
            if known is None or one.grade.rank > known.grade.rank:
                best[one.ref] = one
        found.append(
            GradedRecord(
                RecordId(row["record"]),
                RecordKind(row["kind"]),
                row["source"],
                row["contacts"],
                row["denies"],
                tuple(sorted(best.values(), key=lambda one: one.ref.id)),
                row["known"],
                row["first_claim"],
            )
        )
    return found


class Regrading(NamedTuple):
    """An identifier of a record that gets another grade, or has its grade since another receipt. `ended` is when the
    record had another value instead."""

    record: RecordId
    before: GradedIdentifier
    grade: Grade
    since: Millis
    ended: Millis | None


# All edges are found before the first is deleted: the embedded engine fails to find others while it deletes.
WRITE_REMOVED_HOLDINGS: Final = """
UNWIND $rows AS row
MATCH (:Record {id: row[0]})-[h:IDENTIFIED_BY|CLAIMS]->(i:Identifier {id: row[1]})
WITH collect(h) AS removed
UNWIND removed AS h
DELETE h
"""

WRITE_REGRADED_HOLDINGS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
MATCH (i:Identifier {id: row[1]})
CREATE (r)-[h:IDENTIFIED_BY {since: row[2], grade: row[3]}]->(i)
SET h.proof = row[4], h.ended = row[5]
"""

WRITE_REGRADED_CLAIMS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
MATCH (i:Identifier {id: row[1]})
CREATE (r)-[:CLAIMS {since: row[2], heard: row[3]}]->(i)
"""

WRITE_REGRADED_DEGREES: Final = """
UNWIND $rows AS row
MATCH (i:Identifier {id: row[0]})
SET i.degree = coalesce(i.degree, 0) + row[1]
"""


async def write_regradings(tx: Writer, changes: Sequence[Regrading]) -> None:
    """Replaces each edge by one of the new grade, and adjusts the degrees. The caller has locked the records."""
    edges = [[one.record, one.before.ref.id] for one in changes]
    held = [
        [one.record, one.before.ref.id, one.since, one.grade.value, one.before.proof, one.ended]
        for one in changes
        if one.grade is not Grade.CLAIMED
    ]
    claimed = [
        [one.record, one.before.ref.id, one.since, one.before.grade is not Grade.CLAIMED]
        for one in changes
        if one.grade is Grade.CLAIMED
    ]
    degrees: dict[str, int] = {}
    for one in changes:
        difference = int(one.grade is Grade.PROVEN) - int(one.before.grade is Grade.PROVEN)
        degrees[one.before.ref.id] = degrees.get(one.before.ref.id, 0) + difference
    for statement, rows in (
        (WRITE_REMOVED_HOLDINGS, edges),
        (WRITE_REGRADED_HOLDINGS, held),
        (WRITE_REGRADED_CLAIMS, claimed),
        (WRITE_REGRADED_DEGREES, [[id_, change] for id_, change in sorted(degrees.items()) if change]),
    ):
        for chunk in chunk_rows(sorted(rows, key=str)):
            await tx.run(statement, rows=list(chunk))


WRITE_REMEMBERED: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
SET r.known = row[1], r.first_claim = row[2]
"""


async def write_remembered(tx: Writer, records: Iterable[tuple[GradedRecord, Sequence[GradedIdentifier]]]) -> None:
    """Rewrites what records remember of their identifiers, and which user ID each claimed first, where that differs."""
    rows: list[list[Any]] = []
    for record, identifiers in records:
        known = KnownIdentifiers()
        for one in sorted(identifiers, key=lambda each: (each.since, each.ref.id))[-MOST_KNOWN:]:
            if (
                one.ref.kind == "anonymous_id"
                and record.kind is RecordKind.USER
                and one.ref.id not in (record.known or "")
            ):
                continue  # the account never heard from this device, whose first message is still to create it
            known.add(one.ref.id, one.grade, one.since)
        claims = [
            mark_claim(one.ref.id, one.since)
            for one in identifiers
            if one.grade is Grade.CLAIMED and one.ref.kind == "user_id"
        ]
        text, first = known.write(), min(claims, default=None)
        if first != record.first_claim or set(text.split(";")) != set((record.known or "").split(";")):
            rows.append([record.record, text, first])
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_REMEMBERED, rows=list(chunk))
