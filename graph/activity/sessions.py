"""Sessions of records: statements that begin them, find them, and add interactions to them.

An interaction without an item is a relationship from the session to itself. It stays in the person's history without an
invented item, and statements that name `(:Item)` as the other end don't match it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from graph.model.activity import SessionId
from graph.model.identity import RecordId
from graph.model.message import Message
from graph.model.time import Millis
from graph.schema import InteractionType
from graph.store.client import Writer, chunk_rows


@dataclass(frozen=True, slots=True)
class SessionStart:
    """A session to create, unless it exists, with an event at `at`. If `latest`, the record's next event is compared
    with this session."""

    id: SessionId
    record: RecordId
    at: Millis
    latest: bool


@dataclass(frozen=True, slots=True)
class SessionWindow:
    """A period in which to look for a record's sessions; both ends are inclusive."""

    record: RecordId
    start: Millis
    end: Millis


@dataclass(frozen=True, slots=True)
class SessionBounds:
    """A session of a record, from its first event to its last."""

    id: SessionId
    record: RecordId
    start: Millis
    end: Millis


WRITE_SESSIONS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[1]})
MERGE (s:Session {id: row[0]})
ON CREATE SET s.started_at = row[2], s.ended_at = row[2], s.events = 0
SET r.session_id = CASE WHEN row[3] THEN row[0] ELSE r.session_id END
MERGE (s)<-[:HAD]-(r)
"""
"""`MERGE` looks from the end written first: a session has one record, a record any number of sessions."""


async def write_sessions(tx: Writer, starts: Iterable[SessionStart]) -> None:
    """Creates sessions; interactions then extend their bounds."""
    for chunk in chunk_rows([[one.id, one.record, one.at, one.latest] for one in starts]):
        await tx.run(WRITE_SESSIONS, rows=list(chunk))


MOST_RECENT: Final = 20
"""How many sessions the record of a device lists."""

WRITE_RECENT_SESSIONS: Final = f"""
UNWIND $rows AS row
MATCH (r:Record {{id: row[0]}})
SET r.recent_sessions =
  (row[1] + [known IN coalesce(r.recent_sessions, []) WHERE NOT known IN row[1]])[0..{MOST_RECENT}]
"""


async def write_recent_sessions(tx: Writer, begun: Mapping[RecordId, Sequence[SessionId]]) -> None:
    """Adds sessions that begin, the latest first, to those that the records of devices list."""
    for chunk in chunk_rows([[record, list(sessions)[:MOST_RECENT]] for record, sessions in sorted(begun.items())]):
        await tx.run(WRITE_RECENT_SESSIONS, rows=list(chunk))


READ_SESSIONS_AROUND: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})-[:HAD]->(s:Session)
WHERE s.ended_at >= row[1] AND s.started_at <= row[2]
RETURN collect([row[0], s.id, s.started_at, s.ended_at]) AS sessions
"""


async def read_sessions_around(tx: Writer, windows: Collection[SessionWindow]) -> list[SessionBounds]:
    """Returns the sessions that overlap a window of their record."""
    found: list[SessionBounds] = []
    for chunk in chunk_rows([[one.record, one.start, one.end] for one in windows]):
        rows = await tx.run(READ_SESSIONS_AROUND, rows=list(chunk))
        found.extend(
            SessionBounds(SessionId(id_), RecordId(record), Millis(start), Millis(end))
            for record, id_, start, end in rows[0]["sessions"]
        )
    return found


_SESSION: Final = """
UNWIND $rows AS row
MATCH (s:Session {id: row[0]})
SET s.started_at = CASE WHEN row[3] < s.started_at THEN row[3] ELSE s.started_at END,
    s.ended_at = CASE WHEN row[3] > s.ended_at THEN row[3] ELSE s.ended_at END,
    s.events = s.events + row[9]
"""
_ITEM: Final = "MERGE (i:Item {key: row[1]})"
_FACTS: Final = """{message_id: row[2], at: row[3], weight: row[4], value: row[5], quantity: row[6], order: row[7],
                    name: row[8]}"""

WRITE_INTERACTIONS: Final = {
    type_: f"{_SESSION}{_ITEM}\nCREATE (s)-[:{type_.value} {_FACTS}]->(i)" for type_ in InteractionType
}
"""One statement per type: a type can't be a parameter, and a statement is never built from a value."""

WRITE_ITEMLESS: Final = {type_: f"{_SESSION}CREATE (s)-[:{type_.value} {_FACTS}]->(s)" for type_ in InteractionType}

WRITE_MIXED: Final = f"{_SESSION}{_ITEM}\n" + "\n".join(
    f"FOREACH (_ IN CASE WHEN row[10] = '{type_.value}' THEN [1] ELSE [] END |"
    f" CREATE (s)-[:{type_.value} {_FACTS}]->(i))"
    for type_ in InteractionType
)
"""All types in one statement: a row costs more, but few rows cost less than with one statement per type."""

FEW: Final = 60
"""The number of rows up to which one statement for all types is faster."""


async def write_interactions(tx: Writer, events: Iterable[tuple[SessionId, Message]]) -> None:
    """Adds the interactions of messages to their sessions, which must exist, and extends the sessions' bounds.

    If a message has several interactions, each gets a number after the message's ID. The ledger of messages
    (`graph/collection/messages.py`) prevents an event from being added twice. Every writer locks items in the same
    order, which prevents deadlocks.
    """
    kinds: dict[tuple[str, bool], list[list[Any]]] = {}
    for session, message in events:
        for number, one in enumerate(message.interactions, 1):
            kind = (one.type, one.item is None)
            id_ = message.id if len(message.interactions) == 1 else f"{message.id}#{number}"
            row = [session, one.item, id_, message.at, one.weight, one.value, one.quantity, one.order, one.name]
            row.append(1 if number == 1 else 0)
            if kind in kinds:
                kinds[kind].append(row)
            else:
                kinds[kind] = [row]
    if 0 < sum(len(rows) for (_, itemless), rows in kinds.items() if not itemless) <= FEW:
        mixed = [[*row, type_] for (type_, itemless), rows in kinds.items() if not itemless for row in rows]
        await tx.run(WRITE_MIXED, rows=sorted(mixed, key=_item_of))
        kinds = {kind: rows for kind, rows in kinds.items() if kind[1]}
    for (type_, itemless), rows in sorted(kinds.items()):
        statement = (WRITE_ITEMLESS if itemless else WRITE_INTERACTIONS)[InteractionType(type_)]
        for chunk in chunk_rows(rows if itemless else sorted(rows, key=_item_of)):
            await tx.run(statement, rows=list(chunk))


_item_of: Final = itemgetter(1)
