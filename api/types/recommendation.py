"""Recommendations as they are shown, with their reasons.

What lives here: the types and the strategies' names. What does not: ranking (`resolvers/recommend.py`). Their sources
are the graph's own values.
"""

from __future__ import annotations

from enum import Enum

import strawberry

from api.types.item import Item
from graph.schema import InteractionType


@strawberry.enum(description="How to recommend. AUTO picks by what is known of the person.")
class Strategy(Enum):
    """The contract's strategies; the values are those of `graph.model.Strategy` where they are built."""

    AUTO = "auto"
    GRAPH_WALK = "graph_walk"
    ITEM_ITEM = "item_item"
    USER_USER = "user_user"
    MATRIX_FACTORISATION = "matrix_factorisation"
    CONTENT = "content"
    POPULAR = "popular"


@strawberry.type(description="Why an item is recommended: what the person did with which item.")
class Reason:
    """One path to an item; its source is `graph.model.Reason`."""

    text: str
    share: float = strawberry.field(description="The part of the score that this path brought, 0 to 1.")
    item: Item | None
    type: InteractionType | None


@strawberry.type(description="One recommended item. Scores compare only within one answer and one strategy.")
class Recommendation:
    """A recommendation; its source is `graph.model.RankedItem`."""

    item: Item
    score: float
    reasons: list[Reason]
    strategy: Strategy
