"""What a record knows of its person, over time: the latest saying of each fact wins.

What lives here: the form in which traits are kept on a record (JSON text {name: [value, at]}) and adding to it. What
does not: which traits stand for which fact (`api/collection/segment/traits.py`), one profile out of those of several
records (`algorithms/identity/survivorship.py`), Cypher (`records.py`). Attributes are kept one by one, as
`attributes.NAME`, so that each has its own time.

A removed fact stays as [null, at], so that an older saying that arrives late can't revive it. Of two sayings with the
same time the one that arrives later wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orjson import dumps, loads

from graph.model.time import Millis

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
