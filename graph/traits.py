"""What a record knows of its person, over time: the latest saying of each fact wins.

What lives here: the form in which traits are kept on a record (JSON text {name: [value, at]}), adding to it, and
folding those of several records into one profile. What does not: which traits stand for which fact
(`api/collect/traits.py`), Cypher (`records.py`). Attributes are kept one by one, as `attributes.NAME`, so that each has
its own time.

A removed fact stays as [null, at], so that an older saying that arrives late can't revive it. Of two sayings with the
same time the one that arrives later wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from orjson import dumps, loads

from graph.model import Millis

ATTRIBUTES: Final = "attributes"
PREFIX: Final = f"{ATTRIBUTES}."

Kept = dict[str, list[Any]]
"""name → [value, at]"""


def parse_traits(text: str | None) -> Kept:
    """The kept form as a dictionary."""
    if not text:
        return {}
    kept: Kept = loads(text)
    return kept


def merge_traits(kept: Kept, said: Mapping[str, Any], at: Millis) -> bool:
    """Adds what was said at an instant to `kept`, in place; answers whether that changed anything. O(facts said)."""
    changed = False
    for name, value in said.items():
        if name == ATTRIBUTES:
            for attribute, inner in value.items():
                changed |= _put(kept, PREFIX + attribute, inner, at)
        else:
            changed |= _put(kept, name, value, at)
    return changed


def _put(kept: Kept, name: str, value: Any, at: Millis) -> bool:
    known = kept.get(name)
    if known is not None and (known[1] > at or known == [value, at]):
        return False
    kept[name] = [value, at]
    return True


def write_text(kept: Kept) -> str:
    """The kept form as text."""
    return dumps(kept).decode()


def fold_traits(texts: Iterable[str | None]) -> dict[str, Any]:
    """The facts of a profile from the texts of its records: of each fact the latest saying, none where that removed it.

    Attributes come as one dictionary under `attributes`. Of sayings with the same time the one of the later text wins,
    so give the records in a fixed order (by id).
    """
    latest: Kept = {}
    for text in texts:
        for name, entry in parse_traits(text).items():
            known = latest.get(name)
            if known is None or entry[1] >= known[1]:
                latest[name] = entry
    facts: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for name, (value, _) in latest.items():
        if value is None:
            continue
        if name.startswith(PREFIX):
            attributes[name[len(PREFIX) :]] = value
        else:
            facts[name] = value
    if attributes:
        facts[ATTRIBUTES] = attributes
    return facts
