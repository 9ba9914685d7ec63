"""Collaborative filtering on the bipartite graph of people and items: which item leads to which, and how strongly.

Histories are CSR arrays of shape (people, items), float64, with strengths of 0 or more; an item that a person did not
interact with has no entry. Lists are CSR arrays of shape (items, items): row i holds the targets that seed i leads to,
with weights of 0 or more and an empty diagonal.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from algorithms.arrays import Csr, Flags, Floats

BLOCK_CELLS: Final = 4_000_000
"""Cells of the dense block computed at once: 32 MB, whatever the size of the catalogue."""


class Scale(StrEnum):
    """How the row of a seed is scaled after the lists are cut."""

    NONE = "none"
    """Not at all."""

    SUM = "sum"
    """To a sum of 1, so that every seed has the same influence."""

    PEAK = "peak"
    """To a largest weight of 1."""


class WalkConfig(BaseModel):
    """Settings of the graph walk. The defaults are what `benchmarks/walk.py --tune` chose on validation splits inside
    the training part of MovieLens 100K."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha_item: float = Field(0.71, ge=0, le=3)
    """Exponent of the step from an item to a person. The paper uses one α for all steps."""

    alpha_person: float = Field(0.74, ge=0, le=3)
    """Exponent of the step from a person to an item."""

    beta: float = Field(0.27, ge=0, le=2)
    """Exponent of the target's popularity, which its weights are divided by. 0: no damping, the P3α model."""

    neighbours: int = Field(100, ge=1, le=2000)
    """Number of strongest seeds kept for each target. The list is cut per target, not per seed, so that recommendations
    spread over more of the catalogue; a popular seed may lead to more targets than this."""

    scale: Scale = Scale.SUM
    """How each seed's weights are scaled."""


class CosineConfig(BaseModel):
    """Settings of item–item cosine. The default is what `benchmarks/walk.py --tune` chose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: int = Field(800, ge=1, le=2000)
    """Number of strongest targets kept for each seed."""


def fit_walk(histories: Csr, config: WalkConfig | None = None, pairs: Csr | None = None) -> Csr:
    """Fits RP3β: the probability that a random walk of three steps from a person ends at an item, damped by popularity.

    Paudel, Christoffel, Newell & Bernstein 2016, "Updatable, Accurate, Diverse, and Scalable Recommendations for
    Interactive Applications", ACM TiiS 7(1), after P3α: Cooper, Lee, Radinsky & Siantos 2014, "Random Walks in
    Recommender Systems: Exact Computation and Simulations", WWW '14 Companion. With strengths w and their sums d per
    item and per person, the weight from seed i to target j is

        d_j^-β · Σ_v (w_vi / d_i)^α_item · (w_vj / d_v)^α_person

    over the people v. The walk's first step, from a person to their own items, is taken at request time
    (`ranking.rank_items`). Each target keeps its strongest seeds, ties go to the lower column; entries of `histories`
    that are not above 0 are ignored. With `pairs`, shape (items, items), a seed leads to a target only if the pair is
    above 0 there (`support.find_supported_pairs`); the other weights stay as they are. Leaving pairs out before rows
    are scaled would give seeds with few supported targets more influence: nDCG@10 on MovieLens 100K fell by a tenth.

    Returns lists of shape (items, items), weights above 0, rows scaled by `WalkConfig.scale`. Time O(Σ_v n_v²) for the
    n_v items of each person, plus O(items²) to cut the lists; memory O(items · neighbours) plus one block.
    """
    config = config or WalkConfig()
    histories = _positive(histories)
    of_person, of_item = _sums(histories, 1), _sums(histories, 0)
    to_person = _divide_rows(histories.T.tocsr(), of_item)
    to_person.data **= config.alpha_item
    to_item = _divide_rows(histories, of_person)
    to_item.data **= config.alpha_person
    kept = _keep_strongest(to_item.T.tocsr(), to_person.T.tocsr(), config.neighbours)
    damping = np.maximum(of_item, np.finfo(float).tiny) ** -config.beta
    kept.data *= np.repeat(damping, np.diff(kept.indptr))
    lists = _scale_rows(kept.T.tocsr(), config.scale)
    return lists if pairs is None else sparse.csr_array(lists.multiply(pairs > 0)).astype(np.float64)


def fit_cosine(histories: Csr, config: CosineConfig | None = None) -> Csr:
    """Fits item–item cosine between the items' columns of strengths.

    Sarwar, Karypis, Konstan & Riedl 2001, "Item-Based Collaborative Filtering Recommendation Algorithms", WWW '01. As
    in the paper, each seed keeps its strongest targets: without damping, a cut per target would favour items that only
    one person interacted with. Ties go to the lower column; entries of `histories` that are not above 0 are ignored.

    Returns lists of shape (items, items), weights above 0, at most 1. Cost as in `fit_walk`.
    """
    config = config or CosineConfig()
    histories = _positive(histories)
    squares = histories.copy()
    squares.data **= 2
    unit = _divide_rows(histories.T.tocsr(), np.sqrt(_sums(squares, 0)))
    return _keep_strongest(unit, unit.T.tocsr(), config.neighbours)


def measure_popularity(histories: Csr) -> Floats:
    """Counts the people who interacted with each item. Shape (items,), 0 or more. O(interactions)."""
    return np.bincount(_positive(histories).indices, minlength=histories.shape[1]).astype(np.float64)


def score_histories(histories: Csr, lists: Csr) -> Floats:
    """Scores every item for every person by the lists, for evaluation: the dense product, shape (people, items).

    Raises ValueError if the numbers of items differ. At request time, `ranking.rank_items` does this for one person.
    """
    return np.asarray((histories @ lists).toarray(), dtype=np.float64)


def keep_entries(histories: Csr, kept: Flags) -> Csr:
    """Returns the histories with only the stored entries that are marked, in row order. O(entries)."""
    cells = sparse.coo_array(histories)
    rows, columns = cells.coords
    return sparse.csr_array(sparse.coo_array((cells.data[kept], (rows[kept], columns[kept])), shape=histories.shape))


def keep_items(histories: Csr, kept: Flags) -> Csr:
    """Returns the histories without the entries of items that are not marked. All columns stay. O(entries)."""
    return keep_entries(histories, kept[sparse.coo_array(histories).coords[1]])


def _positive(histories: Csr) -> Csr:
    """Returns a copy in float64, without entries that are not above 0."""
    copy: Csr = sparse.csr_array(histories.astype(np.float64))
    copy.sum_duplicates()
    copy.data[copy.data < 0] = 0
    copy.eliminate_zeros()
    return copy


def _sums(matrix: Csr, axis: int) -> Floats:
    return np.asarray(matrix.sum(axis=axis), dtype=np.float64).ravel()


def _divide_rows(matrix: Csr, divisors: Floats) -> Csr:
    """Divides each row by its divisor. A row without entries may have divisor 0."""
    divided = matrix.copy()
    divided.data /= np.repeat(divisors, np.diff(matrix.indptr))
    return divided


def _keep_strongest(left: Csr, right: Csr, most: int) -> Csr:
    """Computes left @ right without its diagonal, each row cut to its `most` largest entries above 0. Ties go to the
    lower column, so that the result does not depend on the machine."""
    rows, columns = left.shape[0], right.shape[1]
    height = max(1, BLOCK_CELLS // max(1, columns))
    blocks: list[Csr] = []
    for start in range(0, rows, height):
        block = np.asarray((left[start : start + height] @ right).toarray(), dtype=np.float64)
        own = np.arange(start, start + len(block))
        block[own - start, own] = 0
        blocks.append(sparse.csr_array(np.where(_strongest(block, most), block, 0)))
    if not blocks:
        return sparse.csr_array((rows, columns), dtype=np.float64)
    return sparse.csr_array(sparse.vstack(blocks, format="csr"))


def _strongest(block: Floats, most: int) -> Flags:
    """Marks the cells that are above 0 and among the `most` largest of their row; ties go to the lower column."""
    positive: Flags = block > 0
    if most >= block.shape[1]:
        return positive
    edge = np.partition(block, -most, axis=1)[:, [-most]]
    above = block > edge
    room = most - above.sum(axis=1, keepdims=True)
    tied = block == edge
    kept: Flags = positive & (above | (tied & (np.cumsum(tied, axis=1) <= room)))
    return kept


def _scale_rows(lists: Csr, scale: Scale) -> Csr:
    if scale is Scale.NONE or not lists.nnz:
        return lists
    if scale is Scale.SUM:
        return _divide_rows(lists, _sums(lists, 1))
    return _divide_rows(lists, np.asarray(lists.max(axis=1).toarray(), dtype=np.float64).ravel())
