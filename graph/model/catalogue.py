"""Items as a catalogue describes them."""

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
    """What catalogues declare about an item. `updated_at` is when the latest declaration was made; None for an item
    that only events name, of which nothing but the key is known."""

    key: ItemKey
    title: str | None = None
    category: str | None = None
    price: float | None = None
    available: bool | None = None
    year: int | None = None
    topics: tuple[TopicWeight, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    updated_at: Millis | None = Millis(0)
