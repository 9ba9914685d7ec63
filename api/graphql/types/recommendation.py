"""Recommendations, their reasons and strategies as the API shows them. Their sources are the graph's own values."""

from __future__ import annotations

import strawberry

from api.graphql.types.item import Item
from api.graphql.types.scalars import expose_enum
from graph.model.recommendation import Strategy
from graph.schema import InteractionType

expose_enum(
    Strategy,
    "Strategy",
    "How to recommend items.",
    {
        Strategy.AUTO: "GRAPH_WALK first; POPULAR fills the remaining places.",
        Strategy.GRAPH_WALK: "Items chosen by people who chose what this person chose. May find few or none.",
        Strategy.POPULAR: "Items that most people chose.",
    },
)


@strawberry.type(description="Why an item is recommended: what the person did with which item, or that it is popular.")
class Reason:
    """Its source is `graph.model.recommendation.RecommendationReason`."""

    text: str = strawberry.field(description="The reason as an English sentence.")
    share: float = strawberry.field(description="Share of the score that this reason contributes, 0 to 1.")
    item: Item | None = strawberry.field(
        description="The item that the person interacted with. Null if the item is recommended for its popularity."
    )
    type: InteractionType | None = strawberry.field(
        description="What the person did with that item. Null if the item is recommended for its popularity."
    )


@strawberry.type(description="A recommended item, with its score and the reasons for it.")
class Recommendation:
    """Its source is `graph.model.recommendation.RankedItem`."""

    item: Item = strawberry.field(description="The recommended item.")
    score: float = strawberry.field(
        description="Strength of the recommendation, above 0 and at most 1. For GRAPH_WALK, relative to the best item "
        "of the list; for POPULAR, 1 divided by the place. Comparable only within one list and one strategy."
    )
    reasons: list[Reason] = strawberry.field(
        description="Why the item is recommended, strongest reason first; three reasons at most unless configured "
        "otherwise."
    )
    strategy: Strategy = strawberry.field(description="The strategy that found the item; never AUTO.")
