"""Collaborative filtering on the bipartite graph of people and items: which item leads to which.

What lives here: the graph walk RP3β, item–item cosine, popularity, and scoring of whole histories for evaluation. What
does not: how strong an interaction is and what one person is shown at request time (`ranking.py`), how good it is
(`evaluation.py`).

Histories are CSR arrays of shape (people, items), float64, entries ≥ 0 in the unit of interaction strength; an item
that a person did not touch has no entry. Results are CSR arrays of shape (items, items): row *i* holds the items that
the seed *i* leads to, with weights ≥ 0 and an empty diagonal. A target keeps its `neighbours` strongest seeds, so a
column holds at most that many entries, a popular seed's row may hold more: the short list is the target's, which
spreads recommendations over more of the catalogue than a short list of the seed's (coverage).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from algorithms.arrays import Csr, Floats

BLOCK_CELLS: Final = 4_000_000
"""Cells of a dense block worked on at once: bounds memory at 32 MB a block, whatever the catalogue's size."""


class Scale(StrEnum):
    """How a seed's row is scaled once the lists are cut. NONE: not at all. SUM: to sum 1. PEAK: its strongest is 1."""

    NONE = "none"
    SUM = "sum"
    PEAK = "peak"


class WalkConfig(BaseModel):
    """Settings of the graph walk. The defaults are what `benchmarks/walk.py --tune` chose on validation splits inside
    the training part of MovieLens 100K; `alpha` as in the paper where both steps share it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha_item: float = Field(0.71, ge=0, le=3, description="exponent of the step from an item to a person")
    alpha_person: float = Field(0.74, ge=0, le=3, description="exponent of the step from a person to an item")
    beta: float = Field(0.27, ge=0, le=2, description="exponent of the target's popularity that damps it")
    neighbours: int = Field(100, ge=1, le=2000, description="strongest seeds kept for each target")
    scale: Scale = Scale.SUM


class CosineConfig(BaseModel):
    """Settings of item–item cosine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: int = Field(800, ge=1, le=2000, description="strongest targets kept for each seed")


def fit_walk(histories: Csr, config: WalkConfig | None = None) -> Csr:
    """RP3β: the chance that a random walk of three steps from a person ends at an item, damped by its popularity.

    Paudel, Christoffel, Newell, Bernstein 2017, "Updatable, Accurate, Diverse, and Scalable Recommendations for
    Interactive Applications", ACM TiiS 7(1), eq. 1–3. With w the strengths, d their sums a person v or an item i, the
    weight from seed i to target j is

        d_j^-β · Σ_v (w_vi / d_i)^α_item · (w_vj / d_v)^α_person

    The first step of the walk, from the person to their own items, is the person's history itself, at request time.
    Returns shape (items, items). Time O(Σ_v n_v²) for n_v items a person, memory O(items · neighbours) and a block.
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
    return _scale_rows(kept.T.tocsr(), config.scale)


def fit_cosine(histories: Csr, config: CosineConfig | None = None) -> Csr:
    """Item–item cosine between the items' columns of strengths (Sarwar et al. 2001, WWW '01). Here the short list is
    the seed's, as in the paper: undamped, a target's list would let items that one person touched outdo all others.

    Returns shape (items, items). Cost as `fit_walk`.
    """
    config = config or CosineConfig()
    histories = _positive(histories)
    squares = histories.copy()
    squares.data **= 2
    unit = _divide_rows(histories.T.tocsr(), np.sqrt(_sums(squares, 0)))
    return _keep_strongest(unit, unit.T.tocsr(), config.neighbours)


def count_people(histories: Csr) -> Floats:
    """Popularity: how many people touched each item. Shape (items,)."""
    return np.bincount(_positive(histories).indices, minlength=histories.shape[1]).astype(np.float64)


def score_histories(histories: Csr, lists: Csr) -> Floats:
    """Every person's score of every item by the lists: dense (people, items). For evaluation; ranking one person is
    `ranking.rank_items`."""
    return np.asarray((histories @ lists).toarray(), dtype=np.float64)


def _positive(histories: Any) -> Csr:
    """A copy in float64 without entries that are not above zero."""
    copy: Csr = sparse.csr_array(histories, dtype=np.float64, copy=True)
    copy.sum_duplicates()
    copy.data[copy.data < 0] = 0
    copy.eliminate_zeros()
    return copy


def _sums(matrix: Csr, axis: int) -> Floats:
    return np.asarray(matrix.sum(axis=axis), dtype=np.float64).ravel()


def _divide_rows(matrix: Csr, divisors: Floats) -> Csr:
    """Each row over its divisor; rows without entries have divisor 0 and stay empty."""
    divided = matrix.copy()
    divided.data /= np.repeat(divisors, np.diff(matrix.indptr))
    return divided


def _keep_strongest(left: Csr, right: Csr, most: int) -> Csr:
    """left @ right without its diagonal, each row cut to its `most` largest entries above zero. Ties go to the lower
    column, so the result does not depend on the machine."""
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


def _strongest(block: Floats, most: int) -> npt.NDArray[np.bool_]:
    """Which cells are among the `most` largest of their row and above zero; ties by column."""
    positive: npt.NDArray[np.bool_] = block > 0
    if most >= block.shape[1]:
        return positive
    edge = np.partition(block, -most, axis=1)[:, [-most]]
    above = block > edge
    room = most - above.sum(axis=1, keepdims=True)
    tied = block == edge
    kept: npt.NDArray[np.bool_] = positive & (above | (tied & (np.cumsum(tied, axis=1) <= room)))
    return kept


def _scale_rows(lists: Csr, scale: Scale) -> Csr:
    if scale is Scale.NONE or not lists.nnz:
        return lists
    if scale is Scale.SUM:
        return _divide_rows(lists, _sums(lists, 1))
    return _divide_rows(lists, np.asarray(lists.max(axis=1).toarray(), dtype=np.float64).ravel())
