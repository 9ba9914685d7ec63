"""Writing sessions and interactions: which rows, and in which order.

`algorithms/activity/sessions.py` decides which session an event belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence

from algorithms.activity.sessions import GAP, Span, place_events
from graph.activity.sessions import (
    SessionStart,
    SessionWindow,
    read_sessions_around,
    write_interactions,
    write_recent_sessions,
    write_sessions,
)
from graph.identity.records import TouchedRecord
from graph.model.activity import SessionId
from graph.model.identity import RecordId, RecordKind
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import Writer
from resolvers.collection.arrival import Arrival


async def place_in_sessions(tx: Writer, new: Sequence[Arrival], touched: dict[RecordId, TouchedRecord]) -> None:
    """Places events in new or existing sessions and writes their interactions."""
    by_record: dict[RecordId, list[Message]] = {}
    for one in new:
        if one.record is not None and one.message.interactions:
            by_record.setdefault(one.record, []).append(one.message)
    if not by_record:
        return
    spans = await _read_spans(tx, by_record, touched)
    starts: list[SessionStart] = []
    begun: dict[RecordId, list[SessionId]] = {}
    rows: list[tuple[SessionId, Message]] = []
    for record, messages in by_record.items():
        placed, after = place_events(record, [(each.at, each.session) for each in messages], spans[record])
        rows.extend(zip(placed, messages, strict=True))
        current = touched[record].session
        beginning = [span for span in after if span.begins]
        if beginning and messages[0].record is not None and messages[0].record.kind is RecordKind.ANONYMOUS:
            begun[record] = [span.id for span in sorted(beginning, key=lambda span: span.end)[::-1]]
        latest = after[0] if len(after) == 1 else max(after, key=lambda span: (span.end, span.start, span.id))
        if latest.id != current or len(after) > 1:
            starts += [
                SessionStart(span.id, record, span.start, span.id == latest.id)
                for span in after
                if span.joined and (span.begins or span.id == latest.id != current)
            ]
    if starts:
        await write_sessions(tx, sorted(starts, key=lambda start: (start.record, start.id)))
    await write_recent_sessions(tx, begun)
    await write_interactions(tx, rows)


async def _read_spans(
    tx: Writer, by_record: dict[RecordId, list[Message]], touched: dict[RecordId, TouchedRecord]
) -> dict[RecordId, list[Span]]:
    """Returns the sessions that events may join: each record's current one, and older ones for events that precede
    it."""
    spans: dict[RecordId, list[Span]] = {}
    windows: list[SessionWindow] = []
    for record, messages in by_record.items():
        known = touched[record]
        spans[record] = []
        if known.session is None or known.session_start is None or known.session_end is None:
            continue
        spans[record].append(Span(known.session, known.session_start, known.session_end))
        start = known.session_start - GAP
        earlier = [each.at for each in messages if not each.session and each.at < start]
        if earlier:
            windows.append(SessionWindow(record, Millis(min(earlier) - GAP), Millis(max(earlier) + GAP)))
    if windows:
        for found in await read_sessions_around(tx, windows):
            if found.id != touched[found.record].session:
                spans[found.record].append(Span(found.id, found.start, found.end))
    return spans
