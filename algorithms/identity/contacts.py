"""Since when, and until when, a record has held each of its e-mail addresses and phone numbers.

A record has one value of such a kind at a time: a new one ends the others. What counts is the order of receipt, within
one receipt the order of the events, so that nothing is gained by stating an earlier time. The state keeps the first and
the last statement of each value. Minimum and maximum do not depend on the order of processing, and neither do the ends
that follow from them. No end moves when another value is stated again: an address that was given up and now belongs to
somebody else is not held longer than it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from orjson import dumps, loads

from graph.model.time import Millis

REMOVED: Final = ""
"""Stands for the absence of a value: the record stated that it has none, or one that is not usable."""

MOST_VALUES: Final = 32
"""How many values of one kind a record remembers; the ones stated last are kept."""

_State = dict[str, dict[str, list[int]]]
"""Kind → identifier ID → [first receipt, its event time, last receipt, its event time]."""


class ContactStatement(NamedTuple):
    """A message's statement of its record's values of one kind: the IDs of the identifiers (none: it has no value),
    when the message was received, and the time of its event."""

    kind: str
    identifiers: frozenset[str]
    received: Millis
    at: Millis


class ContactChange(NamedTuple):
    """A record's new state as text, and the ends that changed, by identifier ID (None: the value is current again)."""

    text: str
    ends: Mapping[str, Millis | None]


def merge_contacts(text: str | None, statements: Iterable[ContactStatement]) -> ContactChange | None:
    """Returns the state with these statements added, or None if they change nothing. O(values²), at most
    MOST_VALUES²."""
    state: _State = loads(text) if text else {}
    before = _find_ends(state)
    changed = False
    for statement in statements:
        values = state.setdefault(statement.kind, {})
        stamp: list[int] = [statement.received, statement.at]
        for identifier in statement.identifiers or (REMOVED,):
            changed |= _put(values, identifier, stamp)
        for oldest in sorted(values, key=lambda value: values[value][2:])[:-MOST_VALUES]:
            del values[oldest]
    if not changed:
        return None
    after = _find_ends(state)
    ends = {identifier: end for identifier, end in after.items() if end != before.get(identifier)}
    return ContactChange(dumps(state).decode(), ends)


def find_ends(text: str | None) -> Mapping[str, Millis | None]:
    """Returns when each value in a state was replaced, by identifier ID; None if it is current."""
    return _find_ends(loads(text) if text else {})


def find_receipts(text: str | None) -> Mapping[str, tuple[Millis, Millis]]:
    """Returns when each value in a state was received first and last, by identifier ID."""
    state: _State = loads(text) if text else {}
    return {
        identifier: (Millis(known[0]), Millis(known[2]))
        for values in state.values()
        for identifier, known in values.items()
        if identifier != REMOVED
    }


def _put(values: dict[str, list[int]], identifier: str, stamp: list[int]) -> bool:
    known = values.get(identifier)
    if known is None:
        values[identifier] = [*stamp, *stamp]
        return True
    if stamp < known[:2]:
        known[:2] = stamp
        return True
    if stamp > known[2:]:
        known[2:] = stamp
        return True
    return False


def _find_ends(state: _State) -> dict[str, Millis | None]:
    """Returns for each value the receipt of the first other value that came after its own last statement. One that had
    been stated before, too, and came back ends it at that last statement, the latest instant at which it surely held.
    """
    ends: dict[str, Millis | None] = {}
    for values in state.values():
        for identifier, known in values.items():
            if identifier != REMOVED:
                last = known[2:]
                later = [max(other[:2], last) for other in values.values() if other[2:] > last]
                ends[identifier] = Millis(min(later)[0]) if later else None
    return ends
