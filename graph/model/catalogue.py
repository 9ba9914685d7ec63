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
    """What is known about an item. `declared` means that a catalogue describes it, not only that an event mentions it.
    A mention fills gaps and replaces older mentions, but never a declared fact."""

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
