"""Traits as a record stores them, JSON text {name: [value, at]}, and how statements are merged into it.

The latest statement of each fact wins; of two at the same instant, the one that arrives later. Each attribute is stored
separately, as `attributes.NAME`, so that it has its own time. A removed fact stays as [null, at], so that an older
statement that arrives late can't restore it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from orjson import dumps, loads

from graph.model.identity import ATTRIBUTE_PREFIX, Trait
from graph.model.time import Millis

ATTRIBUTES: Final = "attributes"

_Entries = dict[str, list[Any]]
"""The JSON as loaded, name → [value, at]. It doesn't leave this module; merging it builds no `Trait`."""


def parse_traits(text: str | None) -> dict[str, Trait]:
    """Returns the traits in a record's text, by name."""
    return {name: Trait(value, at) for name, (value, at) in _load(text).items()}


def merge_traits(text: str | None, statements: Iterable[tuple[Mapping[str, Any], Millis]]) -> str | None:
    """Returns a record's text with these statements added, each (facts, instant), or None if they change nothing.
    O(traits + facts stated)."""
    entries = _load(text)
    changed = False
    for facts, at in statements:
        for name, value in facts.items():
            if name == ATTRIBUTES:
                for attribute, inner in value.items():
                    changed |= _put(entries, ATTRIBUTE_PREFIX + attribute, inner, at)
            else:
                changed |= _put(entries, name, value, at)
    return dumps(entries).decode() if changed else None


def _load(text: str | None) -> _Entries:
    if not text:
        return {}
    entries: _Entries = loads(text)
    return entries


def _put(entries: _Entries, name: str, value: Any, at: Millis) -> bool:
    known = entries.get(name)
    if known is not None and (known[1] > at or known == [value, at]):
        return False
    entries[name] = [value, at]
    return True
