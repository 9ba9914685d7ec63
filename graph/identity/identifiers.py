"""Identifiers and the records that hold them.

An identifier that links no records (blocked, or held by too many) carries `refused`, so that linkage doesn't expand it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from graph.model.identity import IdentifierRef, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows


class NewHolding(NamedTuple):
    """An identifier that a record states, and since when."""

    record: RecordId
    identifier: IdentifierRef
    since: Millis


READ_HOLDINGS: Final = """
UNWIND $records AS record
MATCH (:Record {id: record})-[held:IDENTIFIED_BY]->(i:Identifier)
RETURN collect([record, i.id, held.since]) AS held
"""


async def read_holdings(tx: Writer, records: Iterable[RecordId]) -> dict[tuple[RecordId, str], Millis]:
    """Reads since when each record has held each of its identifiers, by (record, identifier ID)."""
    held = (await tx.run(READ_HOLDINGS, records=sorted(records)))[0]["held"]
    return {(RecordId(record), identifier): Millis(since) for record, identifier, since in held}


WRITE_HOLDINGS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
UNWIND row[1] AS held
MERGE (i:Identifier {id: held[0]})
ON CREATE SET i.kind = held[1], i.value = held[2], i.namespace = held[3], i.degree = 0
SET i.degree = coalesce(i.degree, 0) + 1
CREATE (r)-[:IDENTIFIED_BY {since: held[4]}]->(i)
"""


async def write_holdings(tx: Writer, held: Iterable[NewHolding]) -> None:
    """Attaches identifiers to records that don't hold them yet. The caller has locked the records and has checked this.

    Raising the degree locks each identifier, so that two writers of the same one notice each other. Rows are grouped by
    record: looking the record up once for all of its identifiers halves the time.
    """
    grouped: dict[RecordId, list[list[object]]] = {}
    for record, identifier, since in held:
        facts = [identifier.id, identifier.kind, identifier.value, identifier.namespace, since]
        grouped.setdefault(record, []).append(facts)
    rows = [[record, sorted(facts, key=lambda each: str(each[0]))] for record, facts in sorted(grouped.items())]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_HOLDINGS, rows=chunk)


WRITE_EARLIER_HOLDINGS: Final = """
UNWIND $rows AS row
MATCH (:Record {id: row.record})-[held:IDENTIFIED_BY]->(:Identifier {id: row.identifier})
SET held.since = row.since
"""


async def backdate_holdings(tx: Writer, held: Iterable[tuple[RecordId, str, Millis]]) -> None:
    """Moves `since` of each (record, identifier ID) back to an earlier instant."""
    rows = [{"record": record, "identifier": identifier, "since": since} for record, identifier, since in held]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_EARLIER_HOLDINGS, rows=chunk)


READ_HOLDERS: Final = """
UNWIND $identifiers AS identifier
MATCH (:Identifier {id: identifier})<-[:IDENTIFIED_BY]-(r:Record)
RETURN collect([identifier, r.id]) AS holders
"""


async def read_holders(tx: Writer, identifiers: Iterable[str]) -> list[tuple[str, RecordId]]:
    """Reads (identifier ID, record) for every record that holds one of the identifiers."""
    rows = await tx.run(READ_HOLDERS, identifiers=sorted(identifiers))
    return [(identifier, RecordId(record)) for identifier, record in rows[0]["holders"]]


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
