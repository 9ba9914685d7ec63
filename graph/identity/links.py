"""Links between records, and the evidence about records that linkage reads.

A LINKED edge has a `status`: a judgement (`asserted`, `cannot_link`) is what a source or a person states about two
records, an outcome (`active`, `refused`) is what linkage makes of the evidence. `rule` is the identifier kind or
`alias`, `evidence` the identifier's ID; `reason` and `detail` tell why it was refused, `actor` who decided, `from` and
`to` when it held. Edges are ended, never deleted.

Long results are returned as one list, because a row costs several times as much as an entry of a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from graph.model.access import Trust, Verified, pair_verified
from graph.model.identity import (
    EvidenceRecord,
    Holding,
    Judgement,
    LinkOutcome,
    LinkStatus,
    Membership,
    Proof,
    RecordId,
)
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

STATUSES: Final[dict[str, LinkStatus]] = {status.value: status for status in (*Judgement, *LinkOutcome)}
"""Every status, by the text stored for it."""


@dataclass(frozen=True, slots=True, order=True)
class LinkEdge:
    """One LINKED edge that holds now. Equal edges are the same edge. A text that is not set is empty."""

    left: RecordId
    right: RecordId
    status: LinkStatus
    rule: str
    evidence: str = ""
    reason: str = ""
    detail: str = ""


READ_SHARING: Final = """
UNWIND $records AS record
MATCH (:Record {id: record, kind: 'user'})-[held:IDENTIFIED_BY]->(i:Identifier)
WHERE held.grade = 'proven' AND i.kind <> 'anonymous_id' AND coalesce(i.degree, 2) > 1
  AND ($all OR i.refused IS NULL OR i.refused = 'shared_contact')
RETURN DISTINCT record
UNION
UNWIND $records AS record
MATCH (:Record {id: record})-[l:LINKED]-(:Record)
WHERE l.to IS NULL
RETURN DISTINCT record
"""


async def read_sharing(tx: Writer, records: Iterable[RecordId], *, everything: bool = False) -> set[RecordId]:
    """Returns which of the records linkage must examine: account records that share a proven identifier that may link,
    or have a link.

    `everything` includes refused identifiers, since the rules may have changed. One that was refused as contact data
    that a source holds twice is always included: it may link again once an earlier end is known.
    """
    rows = await tx.run(READ_SHARING, records=sorted(records), all=everything)
    return {RecordId(row["record"]) for row in rows}


@dataclass(frozen=True, slots=True)
class LockedRecord:
    """A record as read under its lock: what linkage sees of it, which user it belongs to, and its open edges."""

    evidence: EvidenceRecord
    membership: Membership
    edges: frozenset[LinkEdge]


WRITE_LOCKED_EVIDENCE: Final = """
UNWIND $records AS record
MATCH (r:Record {id: record, kind: 'user'})
SET r._v = coalesce(r._v, 0) + 1
WITH record, r
OPTIONAL MATCH (r)-[:FROM]->(s:Source)
RETURN collect([
  record, coalesce(r.source, ''), coalesce(r.created_at, 0), coalesce(r.linking_objected, false),
  [(r)-[m:RESOLVES_TO]->(u:User) WHERE m.to IS NULL | [u.id, coalesce(u.created_at, 0)]],
  coalesce(s.trust, 'server'), s.verifies, s.verified_since,
  [(r)-[held:IDENTIFIED_BY]->(i:Identifier) WHERE held.grade = 'proven' AND i.kind <> 'anonymous_id' |
    [i.id, i.kind, i.value, i.namespace, held.since, coalesce(i.degree, 0), i.refused, held.ended, held.proof]],
  [(r)-[l:LINKED]-(:Record) WHERE l.to IS NULL |
    [startNode(l).id, endNode(l).id, l.status, l.rule, l.evidence, l.reason, l.detail]]
]) AS evidence
"""


Stands = Callable[[str, Trust, Verified, Millis, Proof | None], bool]
"""Whether a proven holding of a kind still stands under its source's present trust, what the source verifies, the
receipt since which it is held, and its proof."""


async def lock_evidence(tx: Writer, records: Iterable[RecordId], stands: Stands) -> dict[RecordId, LockedRecord]:
    """Locks the records in the order of their IDs, then reads all that linkage needs to know about those that are
    accounts. Holdings that don't stand are left out: their source's trust was lowered since."""
    found: dict[RecordId, LockedRecord] = {}
    for chunk in chunk_rows(sorted(records)):
        for record, source, created_at, objected, users, trust, kinds, since, rows, edges in (
            await tx.run(WRITE_LOCKED_EVIDENCE, records=chunk)
        )[0]["evidence"]:
            ((user, user_since),) = users
            known, verifies = Trust(trust), pair_verified(kinds, since)
            holdings = _as_holdings(
                [row for row in rows if stands(row[1], known, verifies, row[4], Proof(row[8]) if row[8] else None)]
            )
            found[record] = LockedRecord(
                EvidenceRecord(record, not objected, holdings, source),
                Membership(record, created_at, user, user_since),
                _as_edges(edges),
            )
    return found


def _as_holdings(rows: list[list[Any]]) -> tuple[Holding, ...]:
    return tuple(
        Holding(identifier, kind, value, namespace or "", since, degree, refused, ended)
        for identifier, kind, value, namespace, since, degree, refused, ended, _ in rows
    )


def _as_edges(rows: list[list[Any]]) -> frozenset[LinkEdge]:
    return frozenset(
        LinkEdge(left, right, STATUSES[status], rule or "", evidence or "", reason or "", detail or "")
        for left, right, status, rule, evidence, reason, detail in rows
    )


READ_LINKED_BY: Final = """
UNWIND $identifiers AS identifier
MATCH (:Identifier {id: identifier})<-[:IDENTIFIED_BY]-(r:Record)-[l:LINKED]-(:Record)
WHERE l.to IS NULL AND l.evidence = identifier
RETURN DISTINCT identifier, r.id AS record
"""


async def read_linked_by(tx: Writer, identifiers: Iterable[str]) -> list[tuple[str, RecordId]]:
    """Reads (identifier ID, record) for every record with an open edge that rests on one of the identifiers."""
    rows = await tx.run(READ_LINKED_BY, identifiers=sorted(identifiers))
    return [(row["identifier"], RecordId(row["record"])) for row in rows]


WRITE_LINKS: Final = """
UNWIND $rows AS row
MATCH (a:Record {id: row.left})
MATCH (b:Record {id: row.right})
CREATE (a)-[l:LINKED {status: row.status, rule: row.rule, evidence: row.evidence, actor: $actor, `from`: $now}]->(b)
SET l.reason = row.reason, l.detail = row.detail
"""


async def write_links(tx: Writer, edges: Iterable[LinkEdge], actor: str, now: Millis) -> None:
    """Opens edges. The caller has locked the records and has checked that the edges aren't open already."""
    rows = [asdict(edge) | {"reason": edge.reason or None, "detail": edge.detail or None} for edge in sorted(edges)]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_LINKS, rows=chunk, actor=actor, now=now)


WRITE_LINK_ENDS: Final = """
UNWIND $rows AS row
MATCH (:Record {id: row.left})-[l:LINKED]->(:Record {id: row.right})
WHERE l.to IS NULL AND l.status = row.status AND l.rule = row.rule AND coalesce(l.evidence, '') = row.evidence
  AND coalesce(l.reason, '') = row.reason
SET l.to = $now, l.ended_by = row.ended_by
"""


async def write_link_ends(tx: Writer, ends: Sequence[tuple[LinkEdge, str]], now: Millis) -> None:
    """Ends edges, each with the reason."""
    rows = [asdict(edge) | {"ended_by": why} for edge, why in sorted(ends)]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_LINK_ENDS, rows=chunk, now=now)


class LinkCount(NamedTuple):
    """How many edges hold now with this status and reason."""

    status: LinkStatus
    reason: str
    number: int


READ_LINK_COUNTS: Final = """
MATCH (:Record)-[l:LINKED]->(:Record)
WHERE l.to IS NULL
RETURN l.status AS status, coalesce(l.reason, '') AS reason, count(*) AS number
"""


async def count_links(client: GraphClient) -> list[LinkCount]:
    """Counts the edges that hold now, by status and reason. Only refused ones have a reason; for others it is empty."""
    rows = await client.read(READ_LINK_COUNTS)
    return [LinkCount(STATUSES[row["status"]], row["reason"], row["number"]) for row in rows]
