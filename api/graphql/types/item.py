"""Items, their topics and their filter as the API shows them. Their sources are the graph's own values, so most fields
are plain attributes."""

from __future__ import annotations

import strawberry

from api.graphql.types.relay import Node, given, global_id, optional
from api.graphql.types.scalars import DateTime, Json
from graph.catalogue.reading import ItemFilter
from graph.model.catalogue import ItemFacts, ItemKey


@strawberry.type(description="A topic that an item is about, and how much.")
class Topic:
    """Its source is `graph.model.catalogue.TopicWeight`."""

    key: str = strawberry.field(description="Key of the topic, such as a genre.")
    weight: float = strawberry.field(description="How much the item is about the topic: 0 or more.")


@strawberry.type(
    description="A product, title or page that people interact with. The catalogue holds those that were declared; an "
    "item that only events name appears with the interactions that name it, by its key alone, and nowhere else."
)
class Item(Node):
    """Its source is `graph.model.catalogue.ItemFacts`."""

    key: str = strawberry.field(description="The catalogue's own key, 1 to 512 characters.")
    title: str | None = strawberry.field(description="Title to display. Null if unknown.")
    category: str | None = strawberry.field(description="Category, in the catalogue's own words. Null if unknown.")
    price: float | None = strawberry.field(
        description="Price of one unit, in the catalogue's own currency. Null if unknown."
    )
    available: bool | None = strawberry.field(
        description="Whether the item is available. Null if unknown; only `false` excludes it from recommendations."
    )
    year: int | None = strawberry.field(description="Year of the item, such as its release. Null if unknown.")
    attributes: Json = strawberry.field(
        description="Further facts from the catalogue, as a JSON object. Empty if there are none."
    )
    updated_at: DateTime | None = strawberry.field(
        description="When the catalogue last described the item. Null if it never has."
    )

    @strawberry.field(description="Global ID of the item, which `node` accepts.")  # type: ignore[misc]
    def id(self) -> strawberry.ID:
        return global_id("Item", self.key)

    topics: list[Topic] = strawberry.field(description="What the item is about, sorted by topic key. Empty if unknown.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Whether a source is an item: the graph's own value."""
        return isinstance(source, ItemFacts)


@strawberry.input(
    name="ItemFilter",
    description="Selects items. Conditions that are left out or null are ignored; all others must hold.",
)
class ItemFilterInput:
    keys: list[str] | None = optional("Only items with one of these keys; at most 100.")
    category: str | None = optional("Only items of exactly this category.")
    topic: str | None = optional("Only items about the topic of this key.")
    available: bool | None = optional(
        "Only items that are (`true`) or are not (`false`) available; either excludes items whose availability is "
        "unknown."
    )
    min_price: float | None = optional("Only items of at least this price; excludes items without a price.")
    max_price: float | None = optional("Only items of at most this price; excludes items without a price.")
    min_year: int | None = optional("Only items of this year or later; excludes items without a year.")
    max_year: int | None = optional("Only items of this year or earlier; excludes items without a year.")

    def to_filter(self) -> ItemFilter:
        """Returns the filter in the form that the graph takes."""
        keys = given(self.keys)
        return ItemFilter(
            keys=None if keys is None else tuple(ItemKey(key) for key in keys),
            category=given(self.category),
            topic=given(self.topic),
            available=given(self.available),
            min_price=given(self.min_price),
            max_price=given(self.max_price),
            min_year=given(self.min_year),
            max_year=given(self.max_year),
        )
