"""The live log of a record: the consent events that may still matter, and what a further statement does to them.

An event of a record can never matter again because of a later one of the record, whatever is stated by anybody
afterwards, if both state the same, and the later one is in effect, reaches at least as far, and lasts at least as long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import Final, NamedTuple

from graph.model.consent import ConsentEvent, ConsentStatement
from graph.model.time import Millis
from privacy.purposes import Assurance
from privacy.rules import Rank, applies_from, is_silent, last_stated_at, order_of, rank_of


class _Weight(NamedTuple):
    """What decides between events that state the same: one supersedes an earlier one if it is no less in each."""

    expires: float
    applies: int
    received: int
    stated: int
    assurance: int


class LiveLog:
    """The live events of one record, counted by the room that `room_of` gives each: the same for events that state the
    same. `former` are the IDs of those that were given or appended and are live no more.

    Appending takes O(live events that state the same); everything else takes constant time."""

    def __init__(self, events: Iterable[ConsentEvent], room_of: Callable[[ConsentEvent], Hashable]) -> None:
        self.former: set[str] = set()
        self._room_of = room_of
        self._events: dict[str, ConsentEvent] = {}
        self._alike: dict[tuple[object, ...], dict[str, _Weight]] = {}
        self._last: dict[tuple[str, str | None], ConsentEvent] = {}
        self._newest: dict[tuple[str, str | None], str] = {}
        self._rooms: Counter[Hashable] = Counter()
        self._seq = 0
        for event in sorted(events, key=lambda one: one.seq):
            self.append(event)

    @property
    def events(self) -> list[ConsentEvent]:
        """The live events in order of arrival."""
        return list(self._events.values())

    @property
    def next_seq(self) -> int:
        """The place of the next event in the log."""
        return self._seq + 1

    def last(self, purpose: str, recipient: str | None) -> ConsentEvent | None:
        """Returns the last statement about a purpose and recipient, even if it is not in effect yet; None if there is
        none."""
        return self._last.get((purpose, recipient))

    def newest(self, purpose: str, recipient: str | None) -> str | None:
        """Returns the ID of the event about a purpose and recipient that arrived last; None if there is none."""
        return self._newest.get((purpose, recipient))

    def count(self, room: Hashable) -> int:
        """Returns how many events are in a room."""
        return self._rooms[room]

    def supersedes_any(self, event: ConsentEvent) -> bool:
        """Whether the event would supersede another if it were appended."""
        return bool(_find_superseded(event, self._alike.get(_what_is_stated(event), {})))

    def append(self, event: ConsentEvent) -> None:
        """Appends an event, whose `seq` is higher than all others, and removes those that can't matter any more."""
        alike = self._alike.setdefault(_what_is_stated(event), {})
        superseded = _find_superseded(event, alike)
        for id_ in superseded:
            del alike[id_], self._events[id_]
        alike[event.id] = _weigh(event)
        self._events[event.id] = event
        self.former.update(superseded)
        self._rooms[self._room_of(event)] += 1 - len(superseded)
        self._seq = event.seq
        subject = event.statement.purpose, event.statement.recipient
        self._newest[subject] = event.id
        before = self._last.get(subject)
        if before is None or order_of(before) < order_of(event):
            self._last[subject] = event

    def repeat(self, event: ConsentEvent, at: Millis) -> ConsentEvent:
        """Replaces an event by one that was carried along again at an instant, and returns that one."""
        fresh = replace(event, repeated_at=at)
        self._events[event.id] = fresh
        self._alike[_what_is_stated(event)][event.id] = _weigh(fresh)
        subject = event.statement.purpose, event.statement.recipient
        if self._last[subject].id == event.id:
            self._last[subject] = fresh
        return fresh


def _find_superseded(event: ConsentEvent, alike: dict[str, _Weight]) -> list[str]:
    """Returns the IDs of those earlier events that an event supersedes, among those that state the same."""
    if not alike or applies_from(event) > event.received_at:
        return []
    expires, applies, received, stated, assurance = _weigh(event)
    return [
        id_
        for id_, (end, start, arrived, last, certain) in alike.items()
        if end <= expires and start <= applies and arrived <= received and last <= stated and certain <= assurance
    ]


_NEVER: Final = float("inf")


def _weigh(event: ConsentEvent) -> _Weight:
    statement = event.statement
    ends = rank_of(event) is Rank.GRANT and statement.expires_at is not None
    return _Weight(
        float(statement.expires_at or 0) if ends else _NEVER,
        applies_from(event),
        event.received_at,
        last_stated_at(event),
        statement.assurance,
    )


def _what_is_stated(event: ConsentEvent) -> tuple[object, ...]:
    statement = event.statement
    return (
        event.record,
        statement.purpose,
        statement.recipient,
        rank_of(event),
        is_silent(event),
        event.proof,
        event.reach,
        statement.controller,
        statement.notice,
        statement.notice_version,
        statement.jurisdiction,
    )


def is_repeat(statement: ConsentStatement, last: ConsentEvent) -> bool:
    """Whether a statement was only carried along and repeats the record's last one, which makes that one fresher
    (`ConsentEvent.repeated_at`)."""
    if statement.assurance != Assurance.CARRIED:
        return False
    earlier = last.statement
    same = replace(
        statement, effective_at=earlier.effective_at, assurance=earlier.assurance, evidence_hash=earlier.evidence_hash
    )
    return earlier.effective_at <= statement.effective_at and same == earlier
