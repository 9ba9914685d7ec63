"""How good recommendations are, measured offline: splits of interactions and metrics of rankings.

What lives here: a random split, the ranking of a scored block, nDCG, recall,
hit rate, coverage. What does not: the models (`filtering.py`), which interactions count as liked (the caller says).

Relevance is binary. Rankings are int arrays of shape (people, k): item columns, best first, -1 where nothing was left
to recommend. Every metric of people is the mean over the people who have at least one relevant item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from algorithms.arrays import Flags, Ints


@dataclass(frozen=True, slots=True)
class RankingQuality:
    """The metrics of one ranking, each in 0–1. `people` is over how many people the means are taken."""

    ndcg: float
    recall: float
    hit_rate: float
    coverage: float
    people: int


def hold_back_random(size: int, share: float, rng: np.random.Generator) -> Flags:
    """Which of `size` interactions are held back: exactly ⌊share · size⌋, chosen evenly. Shape (size,)."""
    held = np.zeros(size, dtype=np.bool_)
    held[rng.permutation(size)[: int(share * size)]] = True
    return held


def rank_scores(scores: npt.ArrayLike, seen: Any, k: int) -> Ints:
    """The k best items of each person without what they have seen, best first; ties go to the lower column.

    `scores`: (people, items), or (items,) for a ranking that is everyone's. `seen`: sparse (people, items), any entry
    counts. Items with a score of -inf or NaN are never recommended. Returns (people, k), -1 where nothing is left.
    """
    hidden = sparse.csr_array(seen)
    block = np.array(np.broadcast_to(np.asarray(scores, dtype=np.float64), hidden.shape))
    block[np.isnan(block)] = -np.inf
    block[np.repeat(np.arange(hidden.shape[0]), np.diff(hidden.indptr)), hidden.indices] = -np.inf
    best = np.argsort(-block, axis=1, kind="stable")[:, :k]
    ranking = np.where(np.isfinite(np.take_along_axis(block, best, axis=1)), best, -1)
    missing = max(0, k - ranking.shape[1])
    return np.pad(ranking, ((0, 0), (0, missing)), constant_values=-1).astype(np.int64)


def measure_ranking(ranking: npt.ArrayLike, relevant: Any) -> RankingQuality:
    """The quality of rankings (people, k) against the relevant items, sparse (people, items), any entry counts.

    nDCG: Järvelin & Kekäläinen 2002, "Cumulated Gain-based Evaluation of IR Techniques", ACM TOIS 20(4), with gain 1
    and discount 1/log2(place + 1), over the best reachable in k places. Recall: found over all relevant. Hit rate:
    share of people with a hit. Coverage: share of the catalogue that is in anyone's list. O(people · k).
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


def _hits(listed: Ints, wanted: Any) -> Flags:
    """Which places hold a relevant item: (people, k). Cells are numbered person · items + item and looked up."""
    items = wanted.shape[1]
    cells = np.repeat(np.arange(wanted.shape[0]), np.diff(wanted.indptr)) * items + wanted.indices
    asked = np.arange(len(listed))[:, None] * items + listed
    hits: Flags = np.isin(asked, cells) & (listed >= 0)
    return hits
