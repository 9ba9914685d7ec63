"""Which session an event belongs to: the one it names, else the nearest in time without a pause of 30 minutes.

What lives here: a pure function over the events of one record and its sessions near them. What does not: reading and
writing sessions (`graph/activity/sessions.py`).

Events arrive out of order. One that lies within the gap of a session joins it and moves its bounds; where two sessions
are near, the nearer one. Two sessions that a late event would bridge stay two: what was said of them stands. An id
depends only on the record and on what began the session, so that the same beginning gives the same session.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from graph.model.activity import SessionId
from graph.model.identity import RecordId
from graph.model.time import Millis

GAP: Final = Millis(30 * 60_000)


@dataclass(slots=True)
class Span:
    """A session as far as it is known: its bounds, whether any event joined it, whether it may have to be begun."""

    id: SessionId
    start: Millis
    end: Millis
    joined: bool = False
    begins: bool = False

    def gain(self, at: Millis) -> None:
        """Takes one more event."""
        self.joined = True
        self.start = min(self.start, at)
        self.end = max(self.end, at)

    def distance(self, at: Millis) -> int:
        """How far an instant lies outside, in milliseconds."""
        return self.start - at if at < self.start else at - self.end if at > self.end else 0


def name_session(record: RecordId, beginning: str) -> SessionId:
    """The id of the session of a record with this beginning, 32 hex digits."""
    text = f"{record}\0{beginning}".encode("utf-8", "surrogatepass")
    return SessionId(blake2b(text, digest_size=16).hexdigest())


def place_events(
    record: RecordId, events: Sequence[tuple[Millis, str | None]], known: Iterable[Span], gap: Millis = GAP
) -> tuple[list[SessionId], list[Span]]:
    """The session of each event (at, the session it names), and every span that is known or begins.

    The answer doesn't depend on the order of `events`. O(events × (log events + spans)).
    """
    spans = list(known)
    if len(events) == 1 and len(spans) == 1 and not events[0][1] and spans[0].distance(events[0][0]) <= gap:
        spans[0].gain(events[0][0])
        return [spans[0].id], spans
    by_id = {span.id: span for span in spans}
    placed: list[SessionId] = [SessionId("")] * len(events)
    for index in sorted(range(len(events)), key=lambda i: (events[i][0], not events[i][1], events[i][1] or "")):
        at, named = events[index]
        span = _find_named(record, named, at, by_id) if named else _find_near(at, spans, gap)
        if span is None:
            span = Span(name_session(record, f"at:{at}"), at, at, begins=True)
        if span.id not in by_id:
            by_id[span.id] = span
            spans.append(span)
        span.gain(at)
        placed[index] = span.id
    return placed, spans


def _find_named(record: RecordId, named: str, at: Millis, by_id: dict[SessionId, Span]) -> Span:
    session = name_session(record, f"named:{named}")
    return by_id.get(session) or Span(session, at, at, begins=True)


def _find_near(at: Millis, spans: list[Span], gap: Millis) -> Span | None:
    near = [span for span in spans if span.distance(at) <= gap]
    return min(near, key=lambda span: (span.distance(at), span.start, span.id)) if near else None
