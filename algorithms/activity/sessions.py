"""Assignment of events to sessions: the session that an event names, else the nearest one within a pause of 30 minutes.

Events arrive out of order. An event within the gap of a session joins it and extends its bounds; of two such
sessions, it joins the nearer. Two sessions that a late event would bridge stay two, because earlier reads have shown
them. An ID depends only on the record and on what began the session, so that the same beginning gives the same session.
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
"""Longest pause within a session, the convention of web analytics; Catledge & Pitkow 1995, "Characterizing Browsing
Strategies in the World-Wide Web", measured 25.5 minutes."""


@dataclass(slots=True)
class Span:
    """A session as far as it is known: its bounds, whether an event has joined it, whether it is new."""

    id: SessionId
    start: Millis
    end: Millis
    joined: bool = False
    begins: bool = False

    def gain(self, at: Millis) -> None:
        """Adds an event."""
        self.joined = True
        self.start = min(self.start, at)
        self.end = max(self.end, at)

    def distance(self, at: Millis) -> int:
        """Returns how far an instant lies outside the bounds, in milliseconds; 0 within them."""
        return self.start - at if at < self.start else at - self.end if at > self.end else 0


def name_session(record: RecordId, beginning: str) -> SessionId:
    """Returns the ID of the session of a record with this beginning, 32 hexadecimal digits."""
    text = f"{record}\0{beginning}".encode("utf-8", "surrogatepass")
    return SessionId(blake2b(text, digest_size=16).hexdigest())


def place_events(
    record: RecordId, events: Sequence[tuple[Millis, str | None]], known: Iterable[Span], gap: Millis = GAP
) -> tuple[list[SessionId], list[Span]]:
    """Returns the session of each event, and every span, known or new.

    An event is its instant and the session it names, if any. `known` are the record's sessions near the events. The
    result does not depend on the order of `events`. O(events · (log events + spans)).
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
