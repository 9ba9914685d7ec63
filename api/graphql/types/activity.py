"""Sessions, interactions and their filter as the API shows them. Their sources are the graph's own values, so their
fields are plain attributes."""

from __future__ import annotations

from typing import Final

import strawberry

from api.graphql.types.item import Item
from api.graphql.types.relay import given, optional
from api.graphql.types.scalars import DateTime, expose_enum
from graph.activity.history import InteractionFilter
from graph.model.identity import Grade
from graph.schema import InteractionType

expose_enum(
    InteractionType,
    "InteractionType",
    "What a person did. A closed set: an event of any other name is INTERACTED and keeps its name.",
    {
        InteractionType.VIEWED: "An item, page or screen was viewed.",
        InteractionType.SEARCHED: "A search was made.",
        InteractionType.CLICKED: "An item was clicked, for example in a list.",
        InteractionType.WISHLISTED: "An item was added to a wish list.",
        InteractionType.CARTED: "An item was added to the cart.",
        InteractionType.UNCARTED: "An item was removed from the cart.",
        InteractionType.CHECKED_OUT: "A checkout was started.",
        InteractionType.PURCHASED: "An item was bought.",
        InteractionType.REFUNDED: "A purchase was refunded.",
        InteractionType.RATED: "An item was rated; `value` is the rating, if stated.",
        InteractionType.REVIEWED: "An item was reviewed; `value` is the rating, if stated.",
        InteractionType.SHARED: "An item or a cart was shared.",
        InteractionType.INTERACTED: "Any other event; `name` is its name.",
    },
)


expose_enum(
    Grade,
    "Grade",
    "How well it is known that something belongs to a person.",
    {
        Grade.CLAIMED: "Somebody claimed it, without proof.",
        Grade.STATED: "A system of the company states it.",
        Grade.PROVEN: "It is proven.",
    },
)

GRADE: Final = (
    "How well it is known to be this person's: PROVEN for their own account or device, otherwise the grade of the tie "
    "between the account and the device that it happened on."
)


@strawberry.type(
    description="A visit: events of one source record without a pause of 30 minutes, or with the same session ID."
)
class Session:
    """Its source is `graph.model.activity.SessionFacts`."""

    id: strawberry.ID = strawberry.field(description="Stable ID of the session; `node` does not accept it.")
    source: str = strawberry.field(description="Name of the source that reported the session.")
    started_at: DateTime = strawberry.field(description="When the first event happened.")
    ended_at: DateTime = strawberry.field(description="When the latest event so far happened.")
    grade: Grade = strawberry.field(description=GRADE)


@strawberry.type(description="One event, on one item or on none.")
class Interaction:
    """Its source is `graph.model.activity.InteractionFacts`."""

    id: strawberry.ID = strawberry.field(description="Stable ID of the interaction; `node` does not accept it.")
    at: DateTime = strawberry.field(description="When it happened, corrected for the sender's clock.")
    type: InteractionType = strawberry.field(description="What the person did.")
    name: str | None = strawberry.field(
        description="The event's own name, the name or path of a page, or the text of a search. Null if the "
        "interaction has an item and a type other than INTERACTED."
    )
    item: Item | None = strawberry.field(
        description="The item concerned. Null for a page, a search or another event that names no item."
    )
    weight: float = strawberry.field(
        description="How strongly the interaction speaks for its item, from 0 to 5 (a purchase or the best rating)."
    )
    value: float | None = strawberry.field(
        description="Price times quantity, a rating on its own scale, or the number that the event states as its "
        "value. Null if there is none."
    )
    quantity: float | None = strawberry.field(
        description="Number of units, for an interaction with the cart or an order. Null if not stated."
    )
    order: str | None = strawberry.field(
        description="ID of the order, the same for all items bought together. A partner gets a pseudonym. Null if the "
        "interaction belongs to no order."
    )
    grade: Grade = strawberry.field(description=GRADE)


@strawberry.input(
    name="InteractionFilter",
    description="Selects interactions. Conditions that are left out or null are ignored; all others must hold.",
)
class InteractionFilterInput:
    types: list[InteractionType] | None = optional("Only interactions of these types; at most 20.")
    item: str | None = optional("Only interactions with the item of this key.")
    since: DateTime | None = optional("Only interactions at this instant or later.")
    until: DateTime | None = optional("Only interactions before this instant.")

    def to_filter(self) -> InteractionFilter:
        """Returns the filter in the form that the graph takes."""
        types = given(self.types)
        return InteractionFilter(
            types=None if types is None else tuple(str(kind) for kind in types),
            item=given(self.item),
            since=given(self.since),
            until=given(self.until),
        )
