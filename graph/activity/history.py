"""A person's sessions and interactions, a page at a time, newest first; ties are ordered by ID.

First pages without a filter come with the profile (`graph/profile.py`). `behaviour` are the records that the gate ruled
on, those of devices included, each with the grade of its tie to the person; nothing else is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

READ_INTERACTIONS: Final = f"""
UNWIND $records AS record
MATCH (r:Record {{id: record}})-[:HAD]->(:Session)-[x]->(j)
WHERE (x.at < $at OR (x.at = $at AND x.message_id < $id))
  AND ($types IS NULL OR type(x) IN $types) AND ($item IS NULL OR (j:Item AND j.key = $item))
  AND ($since IS NULL OR x.at >= $since) AND ($until IS NULL OR x.at < $until)
WITH r, x, j ORDER BY x.at DESC, x.message_id DESC LIMIT $limit
RETURN collect({INTERACTION_ENTRY}) AS interactions
"""


async def read_interactions(
    client: GraphClient,
    behaviour: Mapping[RecordId, Grade],
    where: InteractionFilter,
    limit: int,
    before: tuple[Millis, str] = NEWEST,
) -> tuple[InteractionFacts, ...]:
    """Returns up to `limit` interactions that match a filter, before a position (an instant and an ID)."""
    rows = await client.read(
        READ_INTERACTIONS,
        records=sorted(behaviour),
        types=None if where.types is None else list(where.types),
        item=where.item,
        since=where.since,
        until=where.until,
        at=before[0],
        id=before[1],
        limit=limit,
    )
    found = parse_interactions(rows[0]["interactions"], behaviour)
    return tuple(sorted(found, key=lambda one: (one.at, one.id), reverse=True))


READ_SESSIONS: Final = f"""
UNWIND $records AS record
MATCH (r:Record {{id: record}})-[:HAD]->(s:Session)
WHERE (s.started_at < $at OR (s.started_at = $at AND s.id < $id))
WITH r, s ORDER BY s.started_at DESC, s.id DESC LIMIT $limit
RETURN collect({SESSION_ENTRY}) AS sessions
"""


async def read_sessions(
    client: GraphClient,
    behaviour: Mapping[RecordId, Grade],
    limit: int,
    before: tuple[Millis, str] = NEWEST,
) -> tuple[SessionFacts, ...]:
    """Returns up to `limit` sessions before a position (a start and an ID)."""
    rows = await client.read(
        READ_SESSIONS,
        records=sorted(behaviour),
        at=before[0],
        id=before[1],
        limit=limit,
    )
    found = parse_sessions(rows[0]["sessions"], behaviour)
    return tuple(sorted(found, key=lambda one: (one.started_at, one.id), reverse=True))


def parse_interactions(
    entries: Sequence[Sequence[Any]] | None, grades: Mapping[RecordId, Grade]
) -> tuple[InteractionFacts, ...]:
    """Returns interactions from their entries (`INTERACTION_ENTRY`)."""
    return tuple(
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
        for record, id_, at, type_, name, weight, value, quantity, order, item, topics in entries or ()
    )


def parse_sessions(
    entries: Sequence[Sequence[Any]] | None, grades: Mapping[RecordId, Grade]
) -> tuple[SessionFacts, ...]:
    """Returns sessions from their entries (`SESSION_ENTRY`)."""
    return tuple(
        SessionFacts(SessionId(id_), source, start, end, grades[record])
        for record, id_, source, start, end in entries or ()
    )
