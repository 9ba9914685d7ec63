"""What people do: sessions and interactions with items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.identity import Grade
from graph.model.time import Millis

SessionId = NewType("SessionId", str)


@dataclass(frozen=True, slots=True)
class Interaction:
    """One event on an item, or without one (a page, a search, a custom event). `weight` is how much it counts in favour
    of the item, from 0 to 5 (a purchase or the best rating); `value` is money or a rating, in its own unit; `order` is
    the purchase that several items belong to."""

    type: str
    item: ItemKey | None
    name: str | None = None
    weight: float = 1.0
    value: float | None = None
    quantity: float | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One session of a person. `grade` is how well it is known to be theirs."""

    id: SessionId
    source: str
    started_at: Millis
    ended_at: Millis
    grade: Grade = Grade.PROVEN


@dataclass(frozen=True, slots=True)
class InteractionFacts:
    """One interaction of a person, with what is known about its item, if it has one. `grade` is how well
    it is known to be theirs; the other fields are as in `Interaction`."""

    id: str
    at: Millis
    type: str
    item: ItemFacts | None
    name: str | None = None
    weight: float = 1.0
    value: float | None = None
    quantity: float | None = None
    order: str | None = None
    grade: Grade = Grade.PROVEN


@dataclass(frozen=True, slots=True)
class RecentInteraction:
    """One of a person's latest interactions with an item, from which recommendations start. `weight` and `value` are as
    in `Interaction`."""

    item: ItemKey
    type: str
    at: Millis
    weight: float = 1.0
    value: float | None = None
