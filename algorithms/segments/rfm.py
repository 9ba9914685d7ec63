"""RFM: how recently, how often and for how much people bought, scored by quantile; the dynamic high-value buyer.

What lives here: scores, cells, the grid, the rule. What does not: summing purchases a person (the store does,
`graph/activity/scoped.py`), whom it may be computed for (the gate's scope), membership (`resolvers/refresh.py`).

Arrays have shape (people,): recency in days since the last purchase, frequency in purchases, monetary value in the
shop's own unit, all within one window. Hughes 1994, "Strategic Database Marketing"; Fader, Hardie & Lee 2005 for the
three sums as sufficient statistics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from algorithms.arrays import Flags, Ints

BANDS = 5
"""Scores run from 1 to 5."""


class HighValueRule(BaseModel):
    """The least scores of a high-value buyer. Scores are relative to everyone in scope: membership moves with them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recency: int = Field(3, ge=1, le=BANDS)
    frequency: int = Field(4, ge=1, le=BANDS)
    monetary: int = Field(4, ge=1, le=BANDS)


class RfmConfig(BaseModel):
    """What counts, over which window, and who is of high value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    types: tuple[str, ...] = Field(("PURCHASED",), min_length=1, description="interactions that count as purchases")
    refunds: tuple[str, ...] = Field(("REFUNDED",), description="interactions whose value is taken off")
    window_days: float | None = Field(365.0, gt=0, description="how far back; None: everything")
    high_value: HighValueRule = HighValueRule()


@dataclass(frozen=True, slots=True)
class RfmScores:
    """The three scores, each 1–5 and int of shape (people,); 5 is the most recent, the most frequent, the highest."""

    recency: Ints
    frequency: Ints
    monetary: Ints

    def cells(self) -> list[str]:
        """Each person's cell as three digits, `545`."""
        return [f"{r}{f}{m}" for r, f, m in zip(self.recency, self.frequency, self.monetary, strict=True)]


def score_quantiles(values: npt.ArrayLike) -> Ints:
    """Scores 1–5 by quantile, higher for larger values. Equal values get equal scores: the band of their middle rank,
    so scores depend on the values alone, not on the order they come in. Shape (people,). O(n log n)."""
    _, place, sizes = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    if not len(place):
        return np.empty(0, dtype=np.int64)
    middle = (np.cumsum(sizes) - sizes / 2) / len(place)
    scores: Ints = np.minimum(1 + np.floor(middle * BANDS), BANDS).astype(np.int64)[place]
    return scores


def score_rfm(recency: npt.ArrayLike, frequency: npt.ArrayLike, monetary: npt.ArrayLike) -> RfmScores:
    """The scores of everyone in scope who bought within the window. Fewer days of recency score higher."""
    return RfmScores(
        score_quantiles(-np.asarray(recency, dtype=np.float64)),
        score_quantiles(frequency),
        score_quantiles(monetary),
    )


def find_high_value(scores: RfmScores, rule: HighValueRule) -> Flags:
    """Who is a high-value buyer now. Shape (people,)."""
    found: Flags = (
        (scores.recency >= rule.recency) & (scores.frequency >= rule.frequency) & (scores.monetary >= rule.monetary)
    )
    return found


def count_grid(scores: RfmScores) -> list[list[int]]:
    """How many people are in each cell of recency × frequency: row 0 is recency 1, column 0 frequency 1."""
    cells = (scores.recency - 1) * BANDS + scores.frequency - 1
    counts: list[list[int]] = np.bincount(cells, minlength=BANDS * BANDS).reshape(BANDS, BANDS).tolist()
    return counts
