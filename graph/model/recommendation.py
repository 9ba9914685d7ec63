"""Recommendations and the reasons for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from graph.model.catalogue import ItemFacts

RunId = NewType("RunId", str)


class Strategy(StrEnum):
    """How to recommend items: one strategy alone, or AUTO, which uses GRAPH_WALK and fills the rest with POPULAR."""

    AUTO = "auto"
    GRAPH_WALK = "graph_walk"
    POPULAR = "popular"


@dataclass(frozen=True, slots=True)
class RecommendationReason:
    """Why an item is recommended: a sentence, the share of the score that the reason contributes (0–1), the item that
    the person interacted with, and the type of that interaction. The last two are None for POPULAR."""

    text: str
    share: float
    item: ItemFacts | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class RankedItem:
    """One recommendation. Scores are comparable only within one response and one strategy. `strategy` is the one that
    found the item, never AUTO."""

    item: ItemFacts
    score: float
    strategy: Strategy
    reasons: tuple[RecommendationReason, ...] = ()
