"""What people do: sessions and interactions with items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.time import Millis

SessionId = NewType("SessionId", str)


@dataclass(frozen=True, slots=True)
class Interaction:
    """One event on one item, or on none (a page, a search, a custom event): then the session alone keeps it.
    `weight` is the event type's strength (≥ 0), `value` money or rating in its own unit, `order` names the purchase
    that several items belong to."""

    type: str
    item: ItemKey | None
    name: str | None = None
    weight: float = 1.0
    value: float | None = None
    quantity: float | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One session of a person."""

    id: SessionId
    source: str
    started_at: Millis
    ended_at: Millis


@dataclass(frozen=True, slots=True)
class InteractionFacts:
    """One interaction of a person, with what is known of its item, if it has one; its parts as in `Interaction`."""

    id: str
    at: Millis
    type: str
    item: ItemFacts | None
    name: str | None = None
    weight: float = 1.0
    value: float | None = None
    quantity: float | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class RecentInteraction:
    """One of a person's latest interactions, as recommendations start from it. `weight` is 0–5 as collected, `value`
    a rating or money in its own unit."""

    item: ItemKey
    type: str
    at: Millis
    weight: float = 1.0
    value: float | None = None
