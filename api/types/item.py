"""Items: what people interact with, and what is recommended to them.

What lives here: `Item`, its topics and its filter. What does not: finding items (`resolvers/catalogue.py`). The source
of an `Item` is `graph.model.ItemFacts` itself, so its fields are plain attributes.
"""

from __future__ import annotations

from typing import Any

import strawberry

from api.types.relay import Node, given, global_id
from api.types.scalars import DateTime, Json
from graph.catalogue.reading import ItemWish
from graph.model.catalogue import ItemFacts, ItemKey


@strawberry.type(description="A subject that an item is about, and how much.")
class Topic:
    """One of an item's topics."""

    key: str
    weight: float


@strawberry.type(description="A product, title or page that people interact with.")
class Item(Node):
    """An item of the catalogue."""

    key: str
    title: str | None
    category: str | None
    price: float | None
    available: bool | None
    year: int | None
    attributes: Json
    updated_at: DateTime

    @strawberry.field  # type: ignore[misc]
    def id(self) -> strawberry.ID:  # type: ignore[override]
        return global_id("Item", self.key)

    @strawberry.field
    def topics(self) -> list[Topic]:
        pairs: Any = self.topics
        return [Topic(key=key, weight=weight) for key, weight in pairs]

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Items are the graph's own values."""
        return isinstance(source, ItemFacts)


@strawberry.input(description="Which items. What is not given does not filter; all that is given must hold.")
class ItemFilter:
    """A filter of items."""

    keys: list[str] | None = strawberry.UNSET
    category: str | None = strawberry.UNSET
    topic: str | None = strawberry.UNSET
    available: bool | None = strawberry.UNSET
    min_price: float | None = strawberry.UNSET
    max_price: float | None = strawberry.UNSET
    min_year: int | None = strawberry.UNSET
    max_year: int | None = strawberry.UNSET

    def wish(self) -> ItemWish:
        """The filter as the resolvers take it."""
        keys = given(self.keys)
        return ItemWish(
            keys=None if keys is None else tuple(ItemKey(key) for key in keys),
            category=given(self.category),
            topic=given(self.topic),
            available=given(self.available),
            min_price=given(self.min_price),
            max_price=given(self.max_price),
            min_year=given(self.min_year),
            max_year=given(self.max_year),
        )
