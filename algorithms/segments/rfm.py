"""RFM: how recently, how often and for how much people bought, scored by quintile, and who is a high-value buyer.

Arrays have shape (people,): recency in days since the last purchase, frequency in purchases, monetary value in the
shop's own unit, all within one window. Scores by quintile: Hughes 1994, "Strategic Database Marketing"; the three as
predictors of response: Bult & Wansbeek 1995, "Optimal Selection for Direct Mail", Marketing Science 14(4); as
sufficient statistics of purchasing: Fader, Hardie & Lee 2005, "RFM and CLV", J. Marketing Research 42(4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from algorithms.arrays import Flags, Ints
from algorithms.recommendation.support import SupportConfig, Supporters

BANDS = 5
"""Scores are 1 to 5."""

RfmGrid: TypeAlias = list[list[int]]
"""Numbers of people by recency (row) and frequency (column), each from score 1 to 5; shape (5, 5)."""


class HighValueRule(BaseModel):
    """Minimum scores of a high-value buyer. Scores are relative to everyone in scope, and membership changes with
    them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recency: int = Field(3, ge=1, le=BANDS)
    """Minimum recency score."""

    frequency: int = Field(4, ge=1, le=BANDS)
    """Minimum frequency score."""

    monetary: int = Field(4, ge=1, le=BANDS)
    """Minimum monetary score."""


class RfmConfig(BaseModel):
    """What counts as a purchase, over which window, and who is a high-value buyer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    types: tuple[str, ...] = Field(("PURCHASED",), min_length=1)
    """Types of interactions that count as purchases."""

    refunds: tuple[str, ...] = Field(("REFUNDED",))
    """Types of interactions whose value is subtracted."""

    window_days: float | None = Field(365.0, gt=0)
    """Length of the window in days; None: all time."""

    high_value: HighValueRule = HighValueRule()
    """Who is a high-value buyer."""

    support: SupportConfig = SupportConfig()
    """How many people a cell, or the segment of high-value buyers, has at least if others are to know of it."""


@dataclass(frozen=True, slots=True)
class RfmScores:
    """The three scores, each 1–5, shape (people,); 5 is the most recent, the most frequent, the highest value."""

    recency: Ints
    frequency: Ints
    monetary: Ints

    def cells(self) -> list[str]:
        """Returns each person's cell as three digits, such as `545`. Raises ValueError if lengths differ."""
        return [f"{r}{f}{m}" for r, f, m in zip(self.recency, self.frequency, self.monetary, strict=True)]


def score_quantiles(values: npt.ArrayLike) -> Ints:
    """Scores values 1–5 by quintile, higher for larger values.

    Equal values share the band of their middle rank, so that scores depend on the values alone, not on their order.
    Shape (people,). O(people log people).
    """
    _, place, sizes = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    if not len(place):
        return np.empty(0, dtype=np.int64)
    middle = (np.cumsum(sizes) - sizes / 2) / len(place)
    scores: Ints = np.minimum(1 + np.floor(middle * BANDS), BANDS).astype(np.int64)[place]
    return scores


def score_rfm(recency: npt.ArrayLike, frequency: npt.ArrayLike, monetary: npt.ArrayLike) -> RfmScores:
    """Scores everyone who bought within the window. Fewer days of recency score higher. O(people log people)."""
    return RfmScores(
        score_quantiles(-np.asarray(recency, dtype=np.float64)),
        score_quantiles(frequency),
        score_quantiles(monetary),
    )


def find_high_value(scores: RfmScores, rule: HighValueRule) -> Flags:
    """Marks the high-value buyers: all three scores reach the rule's. Shape (people,). O(people)."""
    found: Flags = (
        (scores.recency >= rule.recency) & (scores.frequency >= rule.frequency) & (scores.monetary >= rule.monetary)
    )
    return found


def find_shown_cells(cells: Sequence[str], supporters: Supporters) -> Flags:
    """Marks the people whose cell enough supporters are in. Shape (people,). O(people)."""
    counts = Counter(cell for cell, counted in zip(cells, supporters.people, strict=True) if counted)
    return np.array([counts[cell] >= supporters.least for cell in cells], dtype=np.bool_)


def count_grid(scores: RfmScores) -> RfmGrid:
    """Counts the people in each cell of recency and frequency. O(people)."""
    cells = (scores.recency - 1) * BANDS + scores.frequency - 1
    counts: RfmGrid = np.bincount(cells, minlength=BANDS * BANDS).reshape(BANDS, BANDS).tolist()
    return counts
