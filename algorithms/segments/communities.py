"""Communities: people whose interactions are alike, found on the graph of people that the interactions project to.

What lives here: the projection, Louvain, modularity, numbers that stay with a community from run to run, and what sets
a community apart. What does not: whom it may be computed for (the gate's scope), membership (`resolvers/refresh.py`).

Histories are CSR arrays of shape (people, items), entries ≥ 0, as in `filtering.py`. A community is a number ≥ 0;
people who are alike to nobody have `NOBODY`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sknetwork.clustering import Louvain, get_modularity

from algorithms.arrays import Csr, Floats, Ints
from algorithms.recommendation.filtering import CosineConfig, fit_cosine

NOBODY: Final = -1


class CommunityConfig(BaseModel):
    """Settings of the projection and of Louvain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: int = Field(20, ge=1, le=500, description="most alike people that each person is tied to")
    resolution: float = Field(1.0, gt=0, le=10, description="higher finds more, smaller communities")
    smallest: int = Field(5, ge=1, description="communities of fewer people are none")
    seed: int = Field(42, ge=0)


@dataclass(frozen=True, slots=True)
class Partition:
    """Each person's community, shape (people,), largest first from 0; how much of their ties stay within it, 0–1; and
    the modularity of the partition found."""

    labels: Ints
    belonging: Floats
    modularity: float

    @property
    def count(self) -> int:
        """How many communities there are."""
        return int(self.labels.max(initial=NOBODY)) + 1

    def sizes(self) -> list[int]:
        """How many people each community has."""
        counts: list[int] = np.bincount(self.labels[self.labels >= 0], minlength=self.count).tolist()
        return counts


@dataclass(frozen=True, slots=True)
class Trait:
    """What sets a community apart: a column, its share inside, and how many times that is its share overall."""

    column: int
    share: float
    lift: float


def project_people(histories: Any, config: CommunityConfig) -> Csr:
    """The graph of people: cosine of their histories with items weighed by rarity, each tied to the most alike.

    Weight of an item: ln(people / people who touched it), so what everyone does ties nobody (Salton & Buckley 1988). An
    edge stays if either end keeps it; symmetric, no loops. Shape (people, people). Cost as `filtering.fit_walk`.
    """
    matrix = sparse.csr_array(histories, dtype=np.float64)
    touched = np.bincount(matrix.indices, minlength=matrix.shape[1])
    rarity = np.log(max(1, matrix.shape[0]) / np.maximum(touched, 1))
    weighed = sparse.csr_array(matrix @ sparse.diags_array(rarity))
    ties = fit_cosine(weighed.T.tocsr(), CosineConfig(neighbours=config.neighbours))
    return sparse.csr_array(ties.maximum(ties.T))


def find_communities(histories: Any, config: CommunityConfig | None = None) -> Partition:
    """Louvain on the projected graph (Blondel et al. 2008, J. Stat. Mech. P10008), seeded; communities below `smallest`
    are dissolved. Modularity is Newman's, of what Louvain found, before anything is dissolved. O(edges) a pass."""
    config = config or CommunityConfig()
    graph = project_people(histories, config)
    labels = np.full(graph.shape[0], NOBODY, dtype=np.int64)
    tied = np.flatnonzero(np.diff(graph.indptr))
    if not len(tied):
        return Partition(labels, np.zeros(len(labels)), 0.0)
    inner = sparse.csr_matrix(graph[tied][:, tied])
    found = Louvain(resolution=config.resolution, random_state=config.seed).fit_predict(inner)
    labels[tied] = found
    return Partition(
        _number_by_size(labels, config.smallest), _measure_belonging(graph, labels), float(get_modularity(inner, found))
    )


def _measure_belonging(graph: Csr, labels: Ints) -> Floats:
    """The share of each person's ties, by weight, that stay within their community."""
    owner = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    within = labels[owner] == labels[graph.indices]
    inside = np.bincount(owner, weights=graph.data * within, minlength=graph.shape[0])
    total = np.bincount(owner, weights=graph.data, minlength=graph.shape[0])
    return np.divide(inside, total, out=np.zeros_like(inside), where=total > 0)


def _number_by_size(labels: Ints, smallest: int) -> Ints:
    """Renumbers from 0, largest first, ties by the first person; what is too small becomes NOBODY."""
    names, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    kept = (names >= 0) & (sizes >= smallest)
    order = np.lexsort((first[kept], -sizes[kept]))
    numbers = {int(name): number for number, name in enumerate(names[kept][order])}
    return np.array([numbers.get(int(label), NOBODY) for label in labels], dtype=np.int64)


def carry_numbers(labels: Sequence[int], before: Sequence[int]) -> dict[int, int]:
    """New community → the number it goes by: that of the earlier community it overlaps most with (Jaccard, assigned one
    to one so that the total is largest), else the lowest free number. `before` holds the same people's earlier numbers
    (`NOBODY` for none). So a community keeps its key, and people their membership, from run to run."""
    now, then = np.asarray(labels, dtype=np.int64), np.asarray(before, dtype=np.int64)
    new, old = np.unique(now[now >= 0]), np.unique(then[then >= 0])
    overlap = np.zeros((len(new), len(old)))
    for row, label in enumerate(new):
        for column, number in enumerate(old):
            both = np.count_nonzero((now == label) & (then == number))
            either = np.count_nonzero((now == label) | (then == number))
            overlap[row, column] = both / either
    rows, columns = linear_sum_assignment(-overlap)
    carried = {int(new[r]): int(old[c]) for r, c in zip(rows, columns, strict=True) if overlap[r, c] > 0}
    free = (number for number in range(len(new) + len(old) + 1) if number not in set(carried.values()))
    return {int(label): carried[int(label)] if int(label) in carried else next(free) for label in new}


def describe_communities(partition: Partition, features: Any, most: int = 3) -> list[list[Trait]]:
    """What sets each community apart: the columns of `features` (people, columns; entries ≥ 0, such as strengths summed
    by topic) with the largest share · log2(lift), largest first, lifts above 1 only.

    A column's share is its part of the community's sum of entries; lift is share inside over share overall. The product
    is the column's part of the Kullback–Leibler divergence, so neither the rare nor the everywhere wins.
    """
    matrix = sparse.csr_array(features, dtype=np.float64)
    whole = _shares(np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel())
    found: list[list[Trait]] = []
    for number in range(partition.count):
        inside = _shares(np.asarray(matrix[partition.labels == number].sum(axis=0), dtype=np.float64).ravel())
        lift = np.divide(inside, whole, out=np.zeros_like(inside), where=whole > 0)
        gain = inside * np.log2(np.maximum(lift, 1))
        best = [int(column) for column in np.argsort(-gain, kind="stable")[:most] if gain[column] > 0]
        found.append([Trait(column, float(inside[column]), float(lift[column])) for column in best])
    return found


def _shares(sums: Floats) -> Floats:
    total = sums.sum()
    return sums / total if total > 0 else sums


def name_community(traits: Sequence[Trait], names: Mapping[int, str]) -> str:
    """A title a person understands: the two things that set the community apart most."""
    words = [names[trait.column] for trait in traits if trait.column in names][:2]
    return " and ".join(words) if words else "Mixed"
