"""Sessions of records and the interactions in them.

What lives here: statements that begin sessions, and add interactions, which move their bounds. What does not: which
session an event belongs to (`algorithms/activity/sessions.py`), what an event means
(`api/collection/segment/commerce.py`).

An interaction without an item is kept as a relationship from the session to itself: it stays in the person's history
and no item is made up. Statements that name `(:Item)` as the other end do not meet it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
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
    """A session that may have to be begun, by an event at `at`. `latest`: it is the one that the record's next event is
    compared with."""

    id: SessionId
    record: RecordId
    at: Millis
    latest: bool


WRITE_SESSIONS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[1]})
MERGE (s:Session {id: row[0]})
ON CREATE SET s.started_at = row[2], s.ended_at = row[2], s.events = 0
SET r.session_id = CASE WHEN row[3] THEN row[0] ELSE r.session_id END
MERGE (r)-[:HAD]->(s)
"""


async def write_sessions(tx: Writer, starts: Iterable[SessionStart]) -> None:
    """Begins sessions; interactions then move their bounds."""
    for chunk in chunk_rows([[one.id, one.record, one.at, one.latest] for one in starts]):
        await tx.run(WRITE_SESSIONS, rows=list(chunk))


READ_SESSIONS_AROUND: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})-[:HAD]->(s:Session)
WHERE s.ended_at >= row[1] AND s.started_at <= row[2]
RETURN collect([row[0], s.id, s.started_at, s.ended_at]) AS sessions
"""


async def read_sessions_around(
    tx: Writer, windows: Collection[tuple[RecordId, Millis, Millis]]
) -> list[tuple[RecordId, SessionId, Millis, Millis]]:
    """The sessions of records that meet a window of time: (record, session, start, end)."""
    found: list[tuple[RecordId, SessionId, Millis, Millis]] = []
    for chunk in chunk_rows([list(window) for window in windows]):
        answer = await tx.run(READ_SESSIONS_AROUND, rows=list(chunk))
        found.extend(tuple(session) for session in answer[0]["sessions"])
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
"""One statement a type: a type can't be a parameter, and it is never built from a value."""

WRITE_ITEMLESS: Final = {type_: f"{_SESSION}CREATE (s)-[:{type_.value} {_FACTS}]->(s)" for type_ in InteractionType}

WRITE_MIXED: Final = f"{_SESSION}{_ITEM}\n" + "\n".join(
    f"FOREACH (_ IN CASE WHEN row[10] = '{type_.value}' THEN [1] ELSE [] END |"
    f" CREATE (s)-[:{type_.value} {_FACTS}]->(i))"
    for type_ in InteractionType
)
"""All types in one statement: dearer a row, cheaper than one statement a type where there are few rows."""

FEW: Final = 60
"""Rows up to which one statement for all types is quicker."""


async def write_interactions(tx: Writer, events: Iterable[tuple[SessionId, Message]]) -> None:
    """Adds the interactions of messages to their sessions, which must be there, and moves their bounds. Of several in a
    message each has a number after the message's id. The ledger of messages (`messages.py`) is what keeps an event from
    being added twice. Items are met in one order by every writer, against deadlocks."""
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
