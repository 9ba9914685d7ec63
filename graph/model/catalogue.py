"""Items, as a catalogue or an event describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType

from graph.model.time import Millis

ItemKey = NewType("ItemKey", str)


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known of an item. `topics` are (key, weight ≥ 0) pairs. `declared`: said by a catalogue, not merely
    mentioned by an event; a mention fills gaps and replaces older mentions, never what was declared."""

    key: ItemKey
    title: str | None = None
    category: str | None = None
    price: float | None = None
    available: bool | None = None
    year: int | None = None
    topics: tuple[tuple[str, float], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    updated_at: Millis = Millis(0)
    declared: bool = True
