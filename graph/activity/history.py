"""A person's sessions and interactions, a page at a time, newest first; ties are ordered by ID.

First pages without a filter come with the profile (`graph/profile.py`). `behaviour` are the records that the gate ruled
on, those of devices included, each with the grade of its tie to the person; nothing else is read.

Anybody can claim a person's user ID with a device, and fill the device's history. So of a claimed device, only the
latest sessions are read, which its record lists, and at most MOST_CLAIMED interactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any, Final

from graph.catalogue.reading import parse_item
from graph.model.activity import InteractionFacts, SessionFacts, SessionId
from graph.model.identity import Grade, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient

NEWEST: Final = (Millis(2**62), "")
"""The position before the newest entry: an instant and an ID."""


@dataclass(frozen=True, slots=True)
class InteractionFilter:
    """Conditions on interactions; one that is None is ignored. `since` is inclusive, `until` exclusive."""

    types: tuple[str, ...] | None = None
    item: str | None = None
    since: int | None = None
    until: int | None = None


INTERACTION_ENTRY: Final = """[r.id, x.message_id, x.at, type(x), x.name, x.weight, x.value, x.quantity, x.order,
  CASE WHEN j:Item THEN properties(j) ELSE NULL END, [(j)-[about:ABOUT]->(topic:Topic) | [topic.key, about.weight]]]"""
"""What a statement returns for an interaction `x` of record `r` with `j`; `parse_interactions` reads it."""

SESSION_ENTRY: Final = "[r.id, s.id, r.source, s.started_at, s.ended_at]"
"""What a statement returns for a session `s` of record `r`; `parse_sessions` reads it."""

MOST_CLAIMED: Final = 50
"""How many interactions of a claimed device are read at most, from its recent sessions, latest session first. Within a
session any may be left out: sorting would read them all. A filter searches only these."""

OF_CLAIMED: Final = f"""
CALL (claimed) {{
  MATCH (r:Record {{id: claimed}})
  UNWIND range(0, size(coalesce(r.recent_sessions, [])) - 1) AS place
  WITH r, place, r.recent_sessions[place] AS latest
  CALL (latest) {{
    MATCH (s:Session {{id: latest}})-[x]->(j)
    RETURN x, j LIMIT {MOST_CLAIMED}
  }}
  WITH r, x, j, place ORDER BY place LIMIT {MOST_CLAIMED}
  RETURN r, x, j
}}
WITH r, x, j
"""
"""The part of a statement that reads the interactions `x` of a device whose record has the ID `claimed`."""

SESSIONS_OF_CLAIMED: Final = """
UNWIND $claimed AS claimed
MATCH (r:Record {id: claimed})
UNWIND r.recent_sessions AS latest
MATCH (s:Session {id: latest})
"""

_FILTERED: Final = f"""
WHERE (x.at < $at OR (x.at = $at AND x.message_id < $id))
  AND ($types IS NULL OR type(x) IN $types) AND ($item IS NULL OR (j:Item AND j.key = $item))
  AND ($since IS NULL OR x.at >= $since) AND ($until IS NULL OR x.at < $until)
WITH r, x, j ORDER BY x.at DESC, x.message_id DESC LIMIT $limit
RETURN collect({INTERACTION_ENTRY}) AS interactions
"""

READ_INTERACTIONS: Final = (
    "UNWIND $records AS record MATCH (r:Record {id: record})-[:HAD]->(:Session)-[x]->(j)" + _FILTERED
)
READ_CLAIMED_INTERACTIONS: Final = "UNWIND $claimed AS claimed" + OF_CLAIMED + _FILTERED


def split_claimed(records: Mapping[RecordId, Grade]) -> tuple[list[RecordId], list[RecordId]]:
    """Returns the records that are read whole, and those of claimed devices, both sorted."""
    claimed = sorted(record for record, grade in records.items() if grade is Grade.CLAIMED)
    return sorted(records.keys() - set(claimed)), claimed


async def read_interactions(
    client: GraphClient,
    behaviour: Mapping[RecordId, Grade],
    where: InteractionFilter,
    limit: int,
    before: tuple[Millis, str] = NEWEST,
) -> tuple[InteractionFacts, ...]:
    """Returns up to `limit` interactions that match a filter, before a position (an instant and an ID)."""
    conditions: dict[str, Any] = {
        "types": None if where.types is None else list(where.types),
        "item": where.item,
        "since": where.since,
        "until": where.until,
        "at": before[0],
        "id": before[1],
        "limit": limit,
    }
    whole, claimed = split_claimed(behaviour)
    rows = await client.read(READ_INTERACTIONS, records=whole, **conditions)
    if claimed:
        rows += await client.read(READ_CLAIMED_INTERACTIONS, claimed=claimed, **conditions)
    return parse_interactions([entry for row in rows for entry in row["interactions"]], behaviour, limit)


_BEFORE: Final = f"""
WHERE (s.started_at < $at OR (s.started_at = $at AND s.id < $id))
WITH r, s ORDER BY s.started_at DESC, s.id DESC LIMIT $limit
RETURN collect({SESSION_ENTRY}) AS sessions
"""

READ_SESSIONS: Final = "UNWIND $records AS record MATCH (r:Record {id: record})-[:HAD]->(s:Session)" + _BEFORE
READ_CLAIMED_SESSIONS: Final = SESSIONS_OF_CLAIMED + _BEFORE


async def read_sessions(
    client: GraphClient,
    behaviour: Mapping[RecordId, Grade],
    limit: int,
    before: tuple[Millis, str] = NEWEST,
) -> tuple[SessionFacts, ...]:
    """Returns up to `limit` sessions before a position (a start and an ID)."""
    whole, claimed = split_claimed(behaviour)
    place: dict[str, Any] = {"at": before[0], "id": before[1], "limit": limit}
    rows = await client.read(READ_SESSIONS, records=whole, **place)
    if claimed:
        rows += await client.read(READ_CLAIMED_SESSIONS, claimed=claimed, **place)
    return parse_sessions([entry for row in rows for entry in row["sessions"]], behaviour, limit)


def parse_interactions(
    entries: Iterable[Sequence[Any]], grades: Mapping[RecordId, Grade], limit: int
) -> tuple[InteractionFacts, ...]:
    """Returns the latest interactions from entries (`INTERACTION_ENTRY`) in any order."""
    found = (
        InteractionFacts(
            id=id_,
            at=at,
            type=type_,
            item=None if item is None else parse_item(item, topics),
            name=name,
            weight=1.0 if weight is None else weight,
            value=value,
            quantity=quantity,
            order=order,
            grade=grades[record],
        )
        for record, id_, at, type_, name, weight, value, quantity, order, item, topics in entries
    )
    return tuple(nlargest(limit, found, key=lambda one: (one.at, one.id)))


def parse_sessions(
    entries: Iterable[Sequence[Any]], grades: Mapping[RecordId, Grade], limit: int
) -> tuple[SessionFacts, ...]:
    """Returns the latest sessions from entries (`SESSION_ENTRY`) in any order."""
    found = (
        SessionFacts(SessionId(id_), source, start, end, grades[record]) for record, id_, source, start, end in entries
    )
    return tuple(nlargest(limit, found, key=lambda one: (one.started_at, one.id)))
