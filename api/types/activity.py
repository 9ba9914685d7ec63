"""Sessions and interactions as they are shown.

What lives here: the types and the filter of interactions. What does not: reading them (`resolvers/activity.py`). Their
sources are the graph's own values, so their fields are plain attributes.
"""

from __future__ import annotations

import strawberry

from api.types.item import Item
from api.types.relay import given
from api.types.scalars import DateTime
from graph.activity.history import InteractionWish
from graph.schema import InteractionType

strawberry.enum(
    InteractionType,
    name="InteractionType",
    description="A closed set; events of other names are INTERACTED with a name.",
)


@strawberry.type(description="A visit: what one source record did without a long pause.")
class Session:
    """A session; its source is `graph.model.SessionFacts`."""

    id: strawberry.ID
    source: str
    started_at: DateTime
    ended_at: DateTime


@strawberry.type(description="One event, on one item or on none.")
class Interaction:
    """An interaction; its source is `graph.model.InteractionFacts`."""

    id: strawberry.ID
    at: DateTime
    type: InteractionType
    name: str | None = strawberry.field(description="The event's own name, where it has one.")
    item: Item | None = strawberry.field(description="None for a page, a search, or an event of the source's own.")
    weight: float = strawberry.field(description="The strength of this kind of event.")
    value: float | None = strawberry.field(description="Money or rating, in its own unit.")
    quantity: float | None
    order: str | None = strawberry.field(description="The purchase that several items belong to.")


@strawberry.input(description="Which interactions. What is not given does not filter; all that is given must hold.")
class InteractionFilter:
    """A filter of interactions."""

    types: list[InteractionType] | None = strawberry.UNSET
    item: str | None = strawberry.field(default=strawberry.UNSET, description="The key of an item.")
    since: DateTime | None = strawberry.field(default=strawberry.UNSET, description="At this instant or later.")
    until: DateTime | None = strawberry.field(default=strawberry.UNSET, description="Before this instant.")

    def wish(self) -> InteractionWish:
        """The filter as the resolvers take it."""
        types = given(self.types)
        return InteractionWish(
            types=None if types is None else tuple(str(kind) for kind in types),
            item=given(self.item),
            since=given(self.since),
            until=given(self.until),
        )
