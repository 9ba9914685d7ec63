"""What people did, on its way into the graph: items that events mention, sessions, interactions.

What lives here: choosing what to write and in which order, inside the transaction of `arrivals.py`. What does not:
which session an event belongs to (`algorithms/activity/sessions.py`), Cypher (`graph/activity/sessions.py`,
`graph/catalogue/items.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from algorithms.activity.sessions import GAP, Span, place_events
from graph.activity.sessions import SessionStart, read_sessions_around, write_interactions, write_sessions
from graph.identity.records import TouchedRecord
from graph.model.activity import SessionId
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.identity import RecordId
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import Writer
from resolvers.collection.arrival import Arrival


@dataclass(slots=True)
class ItemMemory:
    """What events lately said of items, so that saying it again costs no write. For one process; only mentions are
    remembered, and only after their commit: losing an entry costs a write, keeping one nothing, since a mention never
    outdoes what is declared."""

    limit: int = 50_000
    _said: dict[ItemKey, tuple[object, ...]] = field(default_factory=dict)

    def is_known(self, item: ItemFacts) -> bool:
        """Whether all that is said was the last thing said of the item."""
        known = self._said.get(item.key)
        return known is not None and (
            (item.title is None or item.title == known[0])
            and (item.category is None or item.category == known[1])
            and (item.price is None or item.price == known[2])
        )

    def remember(self, items: Iterable[ItemFacts]) -> None:
        """Keeps what was committed; an item that was declared is forgotten."""
        for item in items:
            known = self._said.pop(item.key, (None, None, None))
            if not item.declared:
                said = (item.title, item.category, item.price)
                self._said[item.key] = tuple(old if new is None else new for new, old in zip(said, known, strict=True))
        while len(self._said) > self.limit:
            del self._said[next(iter(self._said))]


def choose_items(said: Iterable[ItemFacts], memory: ItemMemory | None = None) -> list[ItemFacts]:
    """What to write of items: all declarations, and of mentions the latest of each item, unless it says nothing new."""
    declared: list[ItemFacts] = []
    mentioned: dict[ItemKey, ItemFacts] = {}
    for item in said:
        if item.declared:
            declared.append(item)
        elif memory is None or not memory.is_known(item):
            known = mentioned.get(item.key)
            if known is None or item.updated_at >= known.updated_at:
                mentioned[item.key] = item
    return declared + list(mentioned.values())


async def write_visits(tx: Writer, new: Sequence[Arrival], touched: dict[RecordId, TouchedRecord]) -> None:
    """Places events in sessions and adds their interactions."""
    by_record: dict[RecordId, list[Message]] = {}
    for one in new:
        if one.record is not None and one.message.interactions:
            by_record.setdefault(one.record, []).append(one.message)
    if not by_record:
        return
    spans = await _read_spans(tx, by_record, touched)
    starts: list[SessionStart] = []
    rows: list[tuple[SessionId, Message]] = []
    for record, messages in by_record.items():
        placed, after = place_events(record, [(each.at, each.session) for each in messages], spans[record])
        rows.extend(zip(placed, messages, strict=True))
        current = touched[record].session
        latest = after[0] if len(after) == 1 else max(after, key=lambda span: (span.end, span.start, span.id))
        if latest.id != current or len(after) > 1:
            starts += [
                SessionStart(span.id, record, span.start, span.id == latest.id)
                for span in after
                if span.joined and (span.begins or span.id == latest.id != current)
            ]
    if starts:
        await write_sessions(tx, sorted(starts, key=lambda start: (start.record, start.id)))
    await write_interactions(tx, rows)


async def _read_spans(
    tx: Writer, by_record: dict[RecordId, list[Message]], touched: dict[RecordId, TouchedRecord]
) -> dict[RecordId, list[Span]]:
    """The sessions that events may join: each record's current one, and older ones where an event lies before it."""
    spans: dict[RecordId, list[Span]] = {}
    windows: list[tuple[RecordId, Millis, Millis]] = []
    for record, messages in by_record.items():
        known = touched[record]
        spans[record] = []
        if known.session is None or known.session_start is None or known.session_end is None:
            continue
        spans[record].append(Span(known.session, known.session_start, known.session_end))
        start = known.session_start - GAP
        earlier = [each.at for each in messages if not each.session and each.at < start]
        if earlier:
            windows.append((record, Millis(min(earlier) - GAP), Millis(max(earlier) + GAP)))
    if windows:
        for record, session, begun, ended in await read_sessions_around(tx, windows):
            if session != touched[record].session:
                spans[record].append(Span(session, begun, ended))
    return spans
