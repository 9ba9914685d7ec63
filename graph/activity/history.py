"""A person's sessions and interactions, a page at a time, newest first; ties are ordered by ID.

First pages without a filter come with the profile (`graph/profile.py`). `records` are the records that the gate ruled
on; entries of a record that has joined the person since then are not read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph.catalogue.reading import parse_item
from graph.model.activity import InteractionFacts, SessionFacts, SessionId
from graph.model.identity import RecordId, UserId
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


INTERACTION_ENTRY: Final = """[x.message_id, x.at, type(x), x.name, x.weight, x.value, x.quantity, x.order,
  CASE WHEN j:Item THEN properties(j) ELSE NULL END, [(j)-[about:ABOUT]->(topic:Topic) | [topic.key, about.weight]]]"""
"""What a statement returns for an interaction `x` with `j`; `parse_interactions` reads it."""

SESSION_ENTRY: Final = "[s.id, r.source, s.started_at, s.ended_at]"
"""What a statement returns for a session `s` of record `r`; `parse_sessions` reads it."""

READ_INTERACTIONS: Final = f"""
MATCH (:User {{id: $user}})<-[a:RESOLVES_TO]-(r:Record)-[:HAD]->(:Session)-[x]->(j)
WHERE a.to IS NULL AND ($records IS NULL OR r.id IN $records) AND (x.at < $at OR (x.at = $at AND x.message_id < $id))
  AND ($types IS NULL OR type(x) IN $types) AND ($item IS NULL OR (j:Item AND j.key = $item))
  AND ($since IS NULL OR x.at >= $since) AND ($until IS NULL OR x.at < $until)
WITH x, j ORDER BY x.at DESC, x.message_id DESC LIMIT $limit
RETURN collect({INTERACTION_ENTRY}) AS interactions
"""


async def read_interactions(
    client: GraphClient,
    user: UserId,
    where: InteractionFilter,
    limit: int,
    before: tuple[Millis, str] = NEWEST,
    *,
    records: Collection[RecordId] | None = None,
) -> tuple[InteractionFacts, ...]:
    """Returns up to `limit` interactions that match a filter, before a position (an instant and an ID)."""
    rows = await client.read(
        READ_INTERACTIONS,
        user=user,
        records=None if records is None else sorted(records),
        types=None if where.types is None else list(where.types),
        item=where.item,
        since=where.since,
        until=where.until,
        at=before[0],
        id=before[1],
        limit=limit,
    )
    found = parse_interactions(rows[0]["interactions"])
    return tuple(sorted(found, key=lambda one: (one.at, one.id), reverse=True))


READ_SESSIONS: Final = f"""
MATCH (:User {{id: $user}})<-[a:RESOLVES_TO]-(r:Record)-[:HAD]->(s:Session)
WHERE a.to IS NULL AND ($records IS NULL OR r.id IN $records)
  AND (s.started_at < $at OR (s.started_at = $at AND s.id < $id))
WITH r, s ORDER BY s.started_at DESC, s.id DESC LIMIT $limit
RETURN collect({SESSION_ENTRY}) AS sessions
"""


async def read_sessions(
    client: GraphClient,
    user: UserId,
    limit: int,
    before: tuple[Millis, str] = NEWEST,
    *,
    records: Collection[RecordId] | None = None,
) -> tuple[SessionFacts, ...]:
    """Returns up to `limit` sessions before a position (a start and an ID)."""
    rows = await client.read(
        READ_SESSIONS,
        user=user,
        records=None if records is None else sorted(records),
        at=before[0],
        id=before[1],
        limit=limit,
    )
    found = parse_sessions(rows[0]["sessions"])
    return tuple(sorted(found, key=lambda one: (one.started_at, one.id), reverse=True))


def parse_interactions(entries: Sequence[Sequence[Any]] | None) -> tuple[InteractionFacts, ...]:
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
        )
        for id_, at, type_, name, weight, value, quantity, order, item, topics in entries or ()
    )


def parse_sessions(entries: Sequence[Sequence[Any]] | None) -> tuple[SessionFacts, ...]:
    """Returns sessions from their entries (`SESSION_ENTRY`)."""
    return tuple(SessionFacts(SessionId(id_), source, start, end) for id_, source, start, end in entries or ())
