"""Items as a catalogue or an event describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NewType

from graph.model.time import Millis

ItemKey = NewType("ItemKey", str)


class TopicWeight(NamedTuple):
    """A topic that an item is about, and how much: a weight of 0 or more."""

    key: str
    weight: float


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What is known of an item. `declared`: described by a catalogue, not only mentioned by an event. A mention fills
    gaps and replaces older mentions, never a declared fact."""

    key: ItemKey
    title: str | None = None
    category: str | None = None
    price: float | None = None
    available: bool | None = None
    year: int | None = None
    topics: tuple[TopicWeight, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    updated_at: Millis = Millis(0)
    declared: bool = True
