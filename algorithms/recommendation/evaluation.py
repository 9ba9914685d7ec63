"""Offline evaluation of recommendations: a split of interactions, rankings of scored items, metrics of rankings.

Relevance is binary; the caller decides what is relevant. A ranking is an integer array of shape (people, k): columns
of items, best first, -1 where nothing is left to recommend. Metrics are means over the people who have at least one
relevant item; coverage is over everyone's list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from algorithms.arrays import Csr, Flags, Ints


@dataclass(frozen=True, slots=True)
class RankingQuality:
    """The metrics of one ranking, each 0–1, and how many people the means are over."""

    ndcg: float
    """Normalised discounted cumulative gain."""

    recall: float
    """Relevant items found, as a share of all relevant items."""

    hit_rate: float
    """Share of people with at least one relevant item in their list."""

    coverage: float
    """Share of the catalogue that is in at least one list."""

    people: int
    """People with at least one relevant item."""


def hold_back_random(size: int, share: float, rng: np.random.Generator) -> Flags:
    """Marks ⌊share · size⌋ of `size` interactions, chosen uniformly without replacement, as held back for testing.

    `share` is 0–1. Shape (size,). O(size).
    """
    held = np.zeros(size, dtype=np.bool_)
    held[rng.permutation(size)[: int(share * size)]] = True
    return held


def rank_scores(scores: npt.ArrayLike, seen: Csr, k: int) -> Ints:
    """Ranks each person's k best items among those they have not seen, best first; ties go to the lower column.

    `scores` has shape (people, items), or (items,) if everyone has the same; a score of -inf or NaN excludes an item.
    `seen` has shape (people, items); every stored entry counts, whatever its value. Returns shape (people, k), padded
    with -1. Raises ValueError if the shapes do not match. O(people · items · log items), memory of one dense block.
    """
    hidden = sparse.csr_array(seen)
    block = np.array(np.broadcast_to(np.asarray(scores, dtype=np.float64), hidden.shape))
    block[np.isnan(block)] = -np.inf
    block[np.repeat(np.arange(hidden.shape[0]), np.diff(hidden.indptr)), hidden.indices] = -np.inf
    best = np.argsort(-block, axis=1, kind="stable")[:, :k]
    ranking = np.where(np.isfinite(np.take_along_axis(block, best, axis=1)), best, -1)
    missing = max(0, k - ranking.shape[1])
    return np.pad(ranking, ((0, 0), (0, missing)), constant_values=-1).astype(np.int64)


def measure_ranking(ranking: npt.ArrayLike, relevant: Csr) -> RankingQuality:
    """Measures rankings of shape (people, k) against the relevant items of shape (people, items).

    Every stored entry of `relevant` counts, whatever its value. nDCG follows Järvelin & Kekäläinen 2002, "Cumulated
    Gain-Based Evaluation of IR Techniques", ACM TOIS 20(4), with gain 1 and discount 1 / log2(place + 1), places from
    1; the ideal is the best that k places can hold, so that 1 is always reachable. All metrics of people are 0 if
    no one has a relevant item. Raises IndexError if the numbers of people differ.
    O((people · k + relevant) log relevant).
    """
    listed = np.asarray(ranking, dtype=np.int64)
    wanted = sparse.csr_array(relevant)
    known = np.diff(wanted.indptr)
    judged = known > 0
    coverage = len(np.unique(listed[listed >= 0])) / max(1, wanted.shape[1])
    if not judged.any() or listed.shape[1] == 0:
        return RankingQuality(0.0, 0.0, 0.0, coverage, int(judged.sum()))
    hits = _hits(listed, wanted)[judged]
    known = known[judged]
    discounts = 1 / np.log2(np.arange(2, listed.shape[1] + 2))
    ideal = np.cumsum(discounts)[np.minimum(known, listed.shape[1]) - 1]
    return RankingQuality(
        ndcg=float(np.mean(hits @ discounts / ideal)),
        recall=float(np.mean(hits.sum(axis=1) / known)),
        hit_rate=float(np.mean(hits.any(axis=1))),
        coverage=coverage,
        people=int(judged.sum()),
    )


def _hits(listed: Ints, wanted: Csr) -> Flags:
    """Marks the places that hold a relevant item, shape (people, k). Cells are looked up as person · items + item."""
    items = wanted.shape[1]
    cells = np.repeat(np.arange(wanted.shape[0]), np.diff(wanted.indptr)) * items + wanted.indices
    asked = np.arange(len(listed))[:, None] * items + listed
    hits: Flags = np.isin(asked, cells) & (listed >= 0)
    return hits
