"""The consent log: events on `(Record)-[:DECIDED]->(ConsentEvent)`, locked, appended and read.

The log is append-only. The one property set later is `repeated_at`, when a statement is carried along again. An event
that can never matter again is kept as `FORMERLY_DECIDED`, for whoever reads the history: folds don't read it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from hashlib import blake2b
from typing import Any, Final

from graph.identity.locks import lock_records
from graph.model.access import Trust
from graph.model.consent import OWN_STANDING, ConsentEvent, ConsentState, ConsentStatement, Standing
from graph.model.identity import Proof, RecordId, RecordKind, is_secret
from graph.model.time import Millis
from graph.store.client import GraphClient, Row, Writer, chunk_rows

_STATEMENT_FIELDS: Final = tuple(f.name for f in fields(ConsentStatement) if f.name not in ("state", "categories"))


@dataclass(frozen=True, slots=True)
class RecordLog:
    """One record's part of the log, in order of arrival, without events that can never matter again. `denied_since` is
    when it first denied each purpose, by receipt."""

    record: RecordId
    events: tuple[ConsentEvent, ...]
    linking_objected: bool = False
    standing: Standing = OWN_STANDING
    denied_since: Mapping[str, Millis] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append, with the ID of the one it supersedes. `former`: it can never matter again already."""

    event: ConsentEvent
    supersedes: str | None
    former: bool = False


READ_RECORD_LOGS: Final = """
UNWIND $records AS id
MATCH (r:Record {id: id})
OPTIONAL MATCH (r)-[:FROM]->(s:Source)
OPTIONAL MATCH (r)-[:DECIDED]->(e:ConsentEvent)
WITH r, s, collect(properties(e)) AS events
RETURN r.id AS record, coalesce(r.linking_objected, false) AS objected, events, r.denied_since AS since,
       [r.kind, r.key, s.trust, s.jurisdiction, r.source] AS standing
"""


async def lock_logs(tx: Writer, records: Collection[RecordId]) -> dict[RecordId, RecordLog]:
    """Locks records for the rest of the transaction and reads their logs. Records that don't exist are left out."""
    ids = sorted(await lock_records(tx, records))
    rows = await tx.run(READ_RECORD_LOGS, records=ids)
    return {RecordId(row["record"]): log_of(row) for row in rows}


READ_KNOWN_EVENTS: Final = """
UNWIND $ids AS id
MATCH (e:ConsentEvent {id: id})
RETURN e.id AS id
"""


async def read_known_events(tx: Writer, ids: Collection[str]) -> set[str]:
    """Returns which of these event IDs the log already holds, on any record."""
    return {row["id"] for row in await tx.run(READ_KNOWN_EVENTS, ids=sorted(ids))}


WRITE_EVENTS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row.record})
MERGE (e:ConsentEvent {id: row.id})
SET e += row.facts
MERGE (e)<-[:DECIDED]-(r)
MERGE (p:Purpose {key: row.purpose})
MERGE (e)-[:FOR]->(p)
"""
"""`MERGE` looks from the end written first: an event has one record, a record any number of events."""

WRITE_FORMER_EVENTS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row.record})
MERGE (e:ConsentEvent {id: row.id})
SET e += row.facts
MERGE (e)<-[:FORMERLY_DECIDED]-(r)
MERGE (p:Purpose {key: row.purpose})
MERGE (e)-[:FOR]->(p)
"""

WRITE_EVENT_RECIPIENTS: Final = """
UNWIND $rows AS row
MATCH (e:ConsentEvent {id: row.id})
MERGE (t:Recipient {key: row.recipient})
MERGE (e)-[:TO]->(t)
"""

WRITE_EVENT_NOTICES: Final = """
UNWIND $rows AS row
MATCH (e:ConsentEvent {id: row.id})
MERGE (n:Notice {id: row.notice})
ON CREATE SET n.name = row.name, n.version = row.version
MERGE (e)-[:UNDER]->(n)
"""

WRITE_EVENT_PREDECESSORS: Final = """
UNWIND $rows AS row
MATCH (e:ConsentEvent {id: row.id})
MATCH (previous:ConsentEvent {id: row.supersedes})
MERGE (e)-[:SUPERSEDES]->(previous)
"""


async def append_events(tx: Writer, additions: Iterable[NewEvent]) -> None:
    """Appends events to their records' logs. All writers lock shared nodes in the same order, so none deadlock."""
    new = sorted(additions, key=lambda n: (n.event.statement.purpose, n.event.statement.recipient or "", n.event.id))
    rows, former = (
        [
            {
                "record": n.event.record,
                "id": n.event.id,
                "purpose": n.event.statement.purpose,
                "facts": _properties(n.event),
            }
            for n in new
            if n.former is over
        ]
        for over in (False, True)
    )
    recipients = [
        {"id": n.event.id, "recipient": n.event.statement.recipient} for n in new if n.event.statement.recipient
    ]
    notices = sorted((row for n in new if (row := _read_notice(n.event))), key=lambda row: str(row["notice"]))
    predecessors = [{"id": n.event.id, "supersedes": n.supersedes} for n in new if n.supersedes]
    for statement, some in (
        (WRITE_EVENTS, rows),
        (WRITE_FORMER_EVENTS, former),
        (WRITE_EVENT_RECIPIENTS, recipients),
        (WRITE_EVENT_NOTICES, notices),
        (WRITE_EVENT_PREDECESSORS, predecessors),
    ):
        for chunk in chunk_rows(some):
            await tx.run(statement, rows=list(chunk))


WRITE_FORMER: Final = """
UNWIND $ids AS id
MATCH (r:Record)-[d:DECIDED]->(e:ConsentEvent {id: id})
WITH collect([r, d, e]) AS found
UNWIND found AS one
WITH one[0] AS r, one[1] AS d, one[2] AS e
CREATE (r)-[:FORMERLY_DECIDED]->(e)
DELETE d
"""


async def retire_events(tx: Writer, ids: Collection[str]) -> None:
    """Marks events that can never matter again. The caller has locked their records."""
    for chunk in chunk_rows(sorted(ids)):
        await tx.run(WRITE_FORMER, ids=list(chunk))


READ_HISTORY: Final = """
UNWIND $records AS record
MATCH (r:Record {id: record})-[:DECIDED|FORMERLY_DECIDED]->(e:ConsentEvent)
WHERE e.received_at < $at OR (e.received_at = $at AND e.id < $id)
WITH r, e ORDER BY e.received_at DESC, e.id DESC LIMIT $limit
RETURN collect([r.id, properties(e)]) AS events
"""


async def read_history(
    client: GraphClient, records: Collection[RecordId], limit: int, before: tuple[Millis, str]
) -> tuple[ConsentEvent, ...]:
    """Returns up to `limit` events of the records' logs before a position (a receipt and an ID), latest received first,
    including those that can never matter again."""
    at, id_ = before
    rows = await client.read(READ_HISTORY, records=sorted(records), at=at, id=id_, limit=limit)
    events = (event for record, row in rows[0]["events"] for event in parse_events(RecordId(record), [row]))
    return tuple(sorted(events, key=lambda event: (event.received_at, event.id), reverse=True))


WRITE_DENYING: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
SET r.denies = true, r.denied_since = row[1]
"""


async def mark_denying(tx: Writer, since: Mapping[RecordId, Mapping[str, Millis]]) -> None:
    """Marks records that denied something, and since when, by purpose: their denials go with every identifier that they
    get later."""
    rows = [[id_, [f"{at}@{purpose}" for purpose, at in sorted(first.items())]] for id_, first in sorted(since.items())]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_DENYING, rows=list(chunk))


def parse_denied(texts: Sequence[str] | None) -> dict[str, Millis]:
    """Returns when a record first denied each purpose, from the texts that it stores."""
    parts = (text.partition("@") for text in texts or ())
    return {purpose: Millis(int(at)) for at, _, purpose in parts}


WRITE_REPEATS: Final = """
UNWIND $rows AS row
MATCH (e:ConsentEvent {id: row.id})
SET e.repeated_at = row.at
"""


async def write_repeats(tx: Writer, repeats: Iterable[ConsentEvent]) -> None:
    """Stores when statements were last carried along again."""
    rows = [{"id": event.id, "at": event.repeated_at} for event in repeats]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_REPEATS, rows=list(chunk))


WRITE_LINKING_OBJECTIONS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row.record})
SET r.linking_objected = row.objected
"""


async def write_linking_objections(tx: Writer, objections: dict[RecordId, bool]) -> None:
    """Stores on each record whether its own statements bar it from linkage."""
    rows = [{"record": record, "objected": objected} for record, objected in sorted(objections.items())]
    for chunk in chunk_rows(rows):
        await tx.run(WRITE_LINKING_OBJECTIONS, rows=list(chunk))


def parse_events(record: RecordId, rows: Sequence[Row | None]) -> tuple[ConsentEvent, ...]:
    """Returns one record's events from the properties of their nodes, in order of arrival."""
    events = (
        ConsentEvent(
            id=row["id"],
            seq=row["seq"],
            record=record,
            received_at=row["received_at"],
            statement=ConsentStatement(
                **{name: row[name] for name in _STATEMENT_FIELDS if name in row},
                state=ConsentState(row["state"]),
                categories=tuple(row.get("categories") or ()),
            ),
            proof=Proof(row["proof"]) if row.get("proof") else None,
            repeated_at=row.get("repeated_at"),
            reach=frozenset(row["reach"]) if "reach" in row else None,
        )
        for row in rows
        if row
    )
    return tuple(sorted(events, key=lambda event: event.seq))


def parse_standing(row: Sequence[Any]) -> Standing:
    """Returns a record's standing from its kind, its key, and its source's trust, jurisdiction and name."""
    kind, key, trust, jurisdiction, source = row
    device = kind == RecordKind.ANONYMOUS
    return Standing(device, trust == Trust.PUBLIC, is_secret(key), jurisdiction, source or "")


def log_of(row: Row) -> RecordLog:
    """Returns a record's log from a row with its ID, events, standing and first denials, and whether it objected to
    linking if that is read."""
    return RecordLog(
        row["record"],
        parse_events(row["record"], row["events"]),
        row.get("objected", False),
        parse_standing(row["standing"]),
        parse_denied(row["since"]),
    )


def _properties(event: ConsentEvent) -> dict[str, Any]:
    """Returns an event as the properties of its node, without those that were not stated."""
    stated = {name: value for name, value in asdict(event.statement).items() if value not in (None, ())}
    stated["state"] = event.statement.state.value
    if "categories" in stated:
        stated["categories"] = list(stated["categories"])
    if event.proof is not None:
        stated["proof"] = event.proof.value
    if event.reach is not None:
        stated["reach"] = sorted(event.reach)
    return stated | {"seq": event.seq, "received_at": event.received_at}


def _read_notice(event: ConsentEvent) -> dict[str, str | None] | None:
    """Returns the notice of an event as a row, or None if it names none."""
    name, version = event.statement.notice, event.statement.notice_version
    if not name:
        return None
    key = blake2b(f"{name}\0{version or ''}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return {"id": event.id, "notice": key, "name": name, "version": version}
