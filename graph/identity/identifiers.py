"""Identifiers, and the records that hold them (with proof, or as a source states) or merely claim them.

A claim is an edge of its own type. Writing one changes nothing on the identifier, so claims of strangers neither lock
it nor count towards its degree. An identifier that links no records (blocked, or held by too many) carries `refused`,
so that linkage doesn't expand it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from graph.model.identity import Grade, IdentifierRef, Proof, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows


class NewHolding(NamedTuple):
    """An identifier of a record, how well it is known, what proves it, and since when. A claim has the grade
    CLAIMED."""

    record: RecordId
    identifier: IdentifierRef
    grade: Grade
    since: Millis
    proof: Proof | None = None


READ_HOLDINGS: Final = """
UNWIND $rows AS row
MATCH (:Record {id: row[0]})-[held:IDENTIFIED_BY|CLAIMS]->(:Identifier {id: row[1]})
RETURN collect([row[0], row[1], coalesce(held.grade, 'claimed'), held.since]) AS held
"""


async def read_holdings(
    tx: Writer, pairs: Collection[tuple[RecordId, str]]
) -> dict[tuple[RecordId, str], tuple[Grade, Millis]]:
    """Reads the best grade at which each record holds or claims each identifier, and since when."""
    found: dict[tuple[RecordId, str], tuple[Grade, Millis]] = {}
    for chunk in chunk_rows([list(pair) for pair in sorted(pairs)]):
        for record, identifier, grade, since in (await tx.run(READ_HOLDINGS, rows=list(chunk)))[0]["held"]:
            known = found.get((record, identifier))
            if known is None or Grade(grade).rank > known[0].rank:
                found[record, identifier] = Grade(grade), Millis(since)
    return found


WRITE_HOLDINGS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
UNWIND row[1] AS held
MERGE (i:Identifier {id: held[0]})
ON CREATE SET i.kind = held[1], i.value = held[2], i.namespace = held[3], i.degree = 0
SET i.degree = coalesce(i.degree, 0) + held[7]
CREATE (r)-[h:IDENTIFIED_BY {since: held[4], grade: held[5]}]->(i)
SET h.proof = held[6]
RETURN collect(CASE WHEN i.bars IS NULL THEN NULL ELSE row[0] END) AS barred
"""


async def write_holdings(tx: Writer, held: Iterable[NewHolding]) -> set[RecordId]:
    """Attaches identifiers to records that don't hold them yet; returns the records whose new identifiers carry bars.
    The caller has locked the records and has checked this.

    Raising the degree, which counts proven holdings, locks each identifier, so that two writers of the same one notice
    each other. Rows are grouped by record: looking the record up once for all of its identifiers halves the time.
    """
    rows = [
        [record, [[*_facts(one), one.grade.value, one.proof, int(one.grade is Grade.PROVEN)] for one in some]]
        for record, some in _group(held)
    ]
    barred: set[RecordId] = set()
    for chunk in chunk_rows(rows):
        barred.update((await tx.run(WRITE_HOLDINGS, rows=list(chunk)))[0]["barred"])
    return barred


WRITE_CLAIM_EDGES: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
WITH r, row, r.first_claim IS NOT NULL AS claimed
SET r.first_claim = CASE WHEN row[2] IS NULL OR r.first_claim <= row[2] THEN r.first_claim ELSE row[2] END
WITH r, row, claimed
UNWIND row[1] AS held
MERGE (i:Identifier {id: held[0]})
ON CREATE SET i.kind = held[1], i.value = held[2], i.namespace = held[3], i.degree = 0
CREATE (r)-[:CLAIMS {since: held[4]}]->(i)
RETURN collect(CASE WHEN i.bars IS NULL OR i.kind <> 'anonymous_id' THEN NULL ELSE row[0] END) AS barred,
  collect(CASE WHEN i.kind = 'anonymous_id' AND i.degree > 0 OR i.kind = 'user_id' AND (claimed OR i.degree > 0)
          THEN row[0] ELSE NULL END) AS tied
"""


class WrittenClaims(NamedTuple):
    """The records whose new identifiers carry bars, and the devices that a new claim may tie to an account: one holds
    the identifier, or the device had claimed another user ID before."""

    barred: set[RecordId]
    tied: set[RecordId]


async def write_claims(tx: Writer, claimed: Iterable[NewHolding]) -> WrittenClaims:
    """Attaches identifiers that records claim for the first time."""
    rows = [[record, [_facts(one) for one in some], _first_claim(some)] for record, some in _group(claimed)]
    found = WrittenClaims(set(), set())
    for chunk in chunk_rows(rows):
        (row,) = await tx.run(WRITE_CLAIM_EDGES, rows=list(chunk))
        found.barred.update(row["barred"])
        found.tied.update(row["tied"])
    return found


def mark_claim(identifier: str, since: Millis) -> str:
    """Returns the claim of a user ID as one text. Of several, the least is the earliest."""
    return f"{since:015d}:{identifier}"


def _first_claim(claimed: Sequence[NewHolding]) -> str | None:
    marks = [mark_claim(one.identifier.id, one.since) for one in claimed if one.identifier.kind == "user_id"]
    return min(marks, default=None)


def _group(held: Iterable[NewHolding]) -> list[tuple[RecordId, list[NewHolding]]]:
    grouped: dict[RecordId, list[NewHolding]] = {}
    for one in held:
        grouped.setdefault(one.record, []).append(one)
    return [(record, sorted(some, key=lambda one: one.identifier.id)) for record, some in sorted(grouped.items())]


def _facts(one: NewHolding) -> list[Any]:
    identifier = one.identifier
    return [identifier.id, identifier.kind, identifier.value, identifier.namespace, one.since]


WRITE_HOLDING_CHANGES: Final = """
UNWIND $rows AS row
MATCH (:Record {id: row[0]})-[held:IDENTIFIED_BY]->(i:Identifier {id: row[1]})
SET held.since = row[2], held.grade = row[3], held.proof = row[4], i.degree = coalesce(i.degree, 0) + row[5]
"""


async def change_holdings(tx: Writer, held: Iterable[tuple[NewHolding, int]]) -> None:
    """Rewrites holdings that exist: a better grade or an earlier receipt. The number is by how much the degree of the
    identifier changes."""
    rows = [
        [one.record, one.identifier.id, one.since, one.grade.value, one.proof, change] for one, change in sorted(held)
    ]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_HOLDING_CHANGES, rows=list(chunk))


WRITE_EARLIER_CLAIMS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})-[claimed:CLAIMS]->(:Identifier {id: row[1]})
SET claimed.since = row[2],
    r.first_claim = CASE WHEN row[3] IS NULL OR r.first_claim <= row[3] THEN r.first_claim ELSE row[3] END
"""


async def change_claims(tx: Writer, claimed: Iterable[NewHolding]) -> None:
    """Moves claims that exist back to an earlier receipt."""
    rows = [[one.record, one.identifier.id, one.since, _first_claim([one])] for one in sorted(claimed)]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_EARLIER_CLAIMS, rows=list(chunk))


WRITE_HOLDING_ENDS: Final = """
UNWIND $rows AS row
MATCH (:Record {id: row[0]})-[held:IDENTIFIED_BY]->(:Identifier {id: row[1]})
SET held.ended = row[2]
"""


async def end_holdings(tx: Writer, ends: Mapping[tuple[RecordId, str], Millis | None]) -> None:
    """Stores when holdings ended, by (record, identifier ID); None: they are current."""
    for chunk in chunk_rows([[record, identifier, end] for (record, identifier), end in sorted(ends.items())]):
        await tx.run(WRITE_HOLDING_ENDS, rows=list(chunk))


READ_HOLDERS: Final = """
UNWIND $identifiers AS identifier
MATCH (:Identifier {id: identifier})<-[held:IDENTIFIED_BY]-(r:Record)
WHERE held.grade = 'proven' AND r.kind = 'user'
RETURN collect([identifier, r.id]) AS holders
"""


async def read_holders(tx: Writer, identifiers: Iterable[str]) -> list[tuple[str, RecordId]]:
    """Reads (identifier ID, record) for every account record that holds one of the identifiers with proof."""
    rows = await tx.run(READ_HOLDERS, identifiers=sorted(identifiers))
    return [(identifier, RecordId(record)) for identifier, record in rows[0]["holders"]]


READ_SHARED_USER_IDS: Final = """
MATCH (i:Identifier)
WITH i LIMIT $limit
WHERE i.kind = 'user_id'
WITH i.value AS value, count(DISTINCT i.namespace) AS namespaces
WHERE namespaces > 1
RETURN count(value) AS shared
"""


async def count_shared_user_ids(client: GraphClient, limit: int) -> int:
    """Counts the user IDs that mean different people in two namespaces, among the first `limit` identifiers."""
    return int((await client.read(READ_SHARED_USER_IDS, limit=limit))[0]["shared"])


WRITE_REFUSED_IDENTIFIERS: Final = """
UNWIND $rows AS row
MATCH (i:Identifier {id: row.identifier})
SET i.refused = row.reason, i.refused_at = $now
"""


async def write_refused_identifiers(tx: Writer, reasons: Iterable[tuple[str, str | None]], now: Millis) -> None:
    """Marks identifiers, each (ID, reason), as linking no records. The reason None removes the mark."""
    rows = [{"identifier": identifier, "reason": reason} for identifier, reason in reasons]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_REFUSED_IDENTIFIERS, rows=chunk, now=now)


READ_REFUSED_IDENTIFIER_COUNTS: Final = """
MATCH (i:Identifier)
WHERE i.refused IS NOT NULL
RETURN i.refused AS reason, count(*) AS number
"""


async def count_refused_identifiers(client: GraphClient) -> dict[str, int]:
    """Counts the identifiers that link no records, by reason."""
    rows = await client.read(READ_REFUSED_IDENTIFIER_COUNTS)
    return {row["reason"]: row["number"] for row in rows}
