"""Traits as a record stores them, JSON text {name: [value, at]}, and how statements are merged into it.

The latest statement of each fact wins; of two at the same instant, the one that arrives later. Each attribute is stored
separately, as `attributes.NAME`, so that it has its own time. A removed fact stays as [null, at], so that an older
statement that arrives late can't restore it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orjson import dumps, loads

from graph.model.identity import ATTRIBUTE_PREFIX, Trait
from graph.model.time import Millis

ATTRIBUTES: Final = "attributes"

MOST_TRAITS: Final = 512
MOST_BYTES: Final = 65_536
"""How many traits a record keeps, including removed ones, and how many bytes of them. Every read of a person loads and
merges the traits of all records, so without a bound one sender could slow down everybody's reads."""

Statement = tuple[Mapping[str, Any], Millis]
"""Facts by name, and the instant that they are stated for."""

_Entries = dict[str, list[Any]]
"""The JSON as loaded, name → [value, at]. It doesn't leave this module; merging it builds no `Trait`."""


def parse_traits(text: str | None) -> dict[str, Trait]:
    """Returns the traits in a record's text, by name."""
    return {name: Trait(value, at) for name, (value, at) in _load(text).items()}


@dataclass(frozen=True, slots=True)
class MergedTraits:
    """A record's new text, or None if nothing changes, and the positions of the statements that have no room."""

    text: str | None
    refused: tuple[int, ...] = ()


def merge_traits(text: str | None, statements: Sequence[Statement]) -> MergedTraits:
    """Returns a record's text with these statements added. O(traits + facts stated).

    A statement that would make a record larger than it may be is refused as a whole. One that makes it no larger is
    not, so that a full record can still be corrected.
    """
    entries = _load(text)
    changed = False
    for facts, at in statements:
        puts = _find_changes(entries, facts, at)
        entries.update(puts)
        changed |= bool(puts)
    if not changed:
        return MergedTraits(None)
    merged = dumps(entries)
    if len(merged) <= MOST_BYTES and len(entries) <= MOST_TRAITS:
        return MergedTraits(merged.decode())
    return _merge_one_by_one(text, statements)


def _merge_one_by_one(text: str | None, statements: Sequence[Statement]) -> MergedTraits:
    """Does the same for a record that may be full, and measures it after each statement."""
    entries = _load(text)
    size = len(text.encode()) if text else 0
    refused: list[int] = []
    changed = False
    for position, (facts, at) in enumerate(statements):
        puts = _find_changes(entries, facts, at)
        if not puts:
            continue
        grown = size + sum(_measure(name, entry) - _measure(name, entries.get(name)) for name, entry in puts.items())
        added = sum(name not in entries for name in puts)
        if (grown > MOST_BYTES and grown > size) or (added and len(entries) + added > MOST_TRAITS):
            refused.append(position)
            continue
        entries.update(puts)
        size, changed = grown, True
    return MergedTraits(dumps(entries).decode() if changed else None, tuple(refused))


def _measure(name: str, entry: list[Any] | None) -> int:
    """Returns the bytes that a trait takes in the text."""
    return 0 if entry is None else len(dumps({name: entry})) - 1


def _load(text: str | None) -> _Entries:
    if not text:
        return {}
    entries: _Entries = loads(text)
    return entries


def _find_changes(entries: _Entries, facts: Mapping[str, Any], at: Millis) -> _Entries:
    """Returns the entries that a statement changes."""
    found: _Entries = {}
    for name, value in facts.items():
        if name == ATTRIBUTES:
            for attribute, inner in value.items():
                _add_change(found, entries, ATTRIBUTE_PREFIX + attribute, [inner, at])
        else:
            _add_change(found, entries, name, [value, at])
    return found


def _add_change(found: _Entries, entries: _Entries, name: str, entry: list[Any]) -> None:
    known = entries.get(name)
    if known is None or (known[1] <= entry[1] and known != entry):
        found[name] = entry
