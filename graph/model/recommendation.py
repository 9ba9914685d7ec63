"""Recommendations and why they are given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from graph.model.catalogue import ItemFacts

RunId = NewType("RunId", str)


class Strategy(StrEnum):
    """How to recommend items: a strategy alone, or AUTO, which takes GRAPH_WALK first and fills up with POPULAR."""

    AUTO = "auto"
    GRAPH_WALK = "graph_walk"
    POPULAR = "popular"


@dataclass(frozen=True, slots=True)
class RecommendationReason:
    """Why an item is recommended: a sentence, the share of the score that this reason contributes (0–1), and what the
    person did with which item; the last two are None for POPULAR."""

    text: str
    share: float
    item: ItemFacts | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class RankedItem:
    """One recommendation. Scores compare only within one answer and one strategy. `strategy` is the one that found the
    item, never AUTO."""

    item: ItemFacts
    score: float
    strategy: Strategy
    reasons: tuple[RecommendationReason, ...] = ()
