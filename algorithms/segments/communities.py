"""Communities: people whose interactions are alike, found on the graph of people that their interactions project to.

Histories are CSR arrays of shape (people, items) with strengths of 0 or more, as in `recommendation/filtering.py`. A
community is a number of 0 or more; people without one have `NOBODY`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from sknetwork.clustering import Louvain, get_modularity

from algorithms.arrays import Csr, Floats, Ints
from algorithms.recommendation.filtering import CosineConfig, fit_cosine
from algorithms.recommendation.support import SupportConfig, Supporters, find_supported

NOBODY: Final = -1
"""The label of people in no community."""


class CommunityConfig(BaseModel):
    """Settings of the projection and of Louvain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: int = Field(20, ge=1, le=500)
    """Number of most similar people that each person is tied to."""

    resolution: float = Field(1.0, gt=0, le=10)
    """Resolution γ of the modularity that Louvain maximises (Reichardt & Bornholdt 2006, Phys. Rev. E 74, 016110): a
    higher value finds more and smaller communities."""

    smallest: int = Field(5, ge=1)
    """Minimum number of people in a community; smaller ones are dissolved."""

    seed: int = Field(42, ge=0)
    """Seed of Louvain's random state."""

    support: SupportConfig = SupportConfig()
    """How many people a community has at least, and how many of them chose what describes it, if others are to know of
    it."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Which community each person is in."""

    labels: Ints
    """Shape (people,): the community, numbered from 0 by decreasing size, or `NOBODY`."""

    belonging: Floats
    """Shape (people,), 0–1: the share of a person's ties, by weight, that stay within the community Louvain found for
    them, even if it was dissolved."""

    modularity: float
    """Modularity (-0.5–1) of the partition found."""

    @property
    def count(self) -> int:
        """Number of communities."""
        return int(self.labels.max(initial=NOBODY)) + 1

    def sizes(self) -> list[int]:
        """Number of people in each community."""
        counts: list[int] = np.bincount(self.labels[self.labels >= 0], minlength=self.count).tolist()
        return counts


@dataclass(frozen=True, slots=True)
class DistinctiveFeature:
    """A feature that sets a community apart."""

    column: int
    """Column of the feature."""

    share: float
    """The feature's share of the community's entries, above 0, at most 1."""

    lift: float
    """That share over the feature's share of all entries, above 1."""


def project_people(histories: Csr, config: CommunityConfig) -> Csr:
    """Projects histories to the graph of people: each is tied to the most similar others by cosine.

    Items are weighted by inverse frequency, ln(people / people who interacted with the item), so that an item everyone
    interacted with creates no ties (Salton & Buckley 1988, "Term-Weighting Approaches in Automatic Text
    Retrieval", Inf. Process. Manag. 24(5)). A tie stays if either end keeps it.

    Returns shape (people, people), symmetric, weights above 0, at most 1, no loops. Cost as in `filtering.fit_walk`,
    with people and items exchanged.
    """
    touched = np.bincount(histories.indices, minlength=histories.shape[1])
    rarity = np.log(max(1, histories.shape[0]) / np.maximum(touched, 1))
    weighted = sparse.csr_array(histories @ sparse.diags_array(rarity))
    ties = fit_cosine(weighted.T.tocsr(), CosineConfig(neighbours=config.neighbours))
    return sparse.csr_array(ties.maximum(ties.T))


def order_people(histories: Csr) -> Ints:
    """Returns the rows in an order that depends on what the histories hold alone, not on which row is whose. Rows that
    hold the same stay in their order. O(entries + people log people)."""
    canonical = sparse.csr_array(histories, copy=True)
    canonical.sort_indices()
    bounds = canonical.indptr
    held = [
        (canonical.indices[start:end].astype(np.int64).tobytes(), canonical.data[start:end].tobytes())
        for start, end in pairwise(bounds)
    ]
    return np.array(sorted(range(len(held)), key=held.__getitem__), dtype=np.int64)


def find_communities(histories: Csr, config: CommunityConfig | None = None) -> Partition:
    """Finds communities by Louvain on the projected graph: Blondel, Guillaume, Lambiotte & Lefebvre 2008, "Fast
    Unfolding of Communities in Large Networks", J. Stat. Mech. P10008.

    People without ties are in no community; communities smaller than `smallest` are dissolved. Modularity is that of
    Newman & Girvan 2004 (Phys. Rev. E 69, 026113), of what Louvain found, before any community is dissolved. The same
    seed gives the same partition, in whatever order people are: Louvain visits them in the order of `order_people`,
    because IDs, and with them rows, differ wherever the same data is loaded. O(ties) per pass, after the projection.
    """
    config = config or CommunityConfig()
    order = order_people(histories)
    found = _find_in_order(sparse.csr_array(histories[order]), config)
    labels, belonging = np.empty_like(found.labels), np.empty_like(found.belonging)
    labels[order], belonging[order] = found.labels, found.belonging
    return Partition(labels, belonging, found.modularity)


def _find_in_order(histories: Csr, config: CommunityConfig) -> Partition:
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
    """Computes the share of each person's ties, by weight, that stay within their community."""
    owner = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    within = labels[owner] == labels[graph.indices]
    inside = np.bincount(owner, weights=graph.data * within, minlength=graph.shape[0])
    total = np.bincount(owner, weights=graph.data, minlength=graph.shape[0])
    return np.divide(inside, total, out=np.zeros_like(inside), where=total > 0)


def _number_by_size(labels: Ints, smallest: int) -> Ints:
    """Renumbers communities from 0, largest first, equal sizes by their first person; small ones become `NOBODY`."""
    names, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    kept = (names >= 0) & (sizes >= smallest)
    order = np.lexsort((first[kept], -sizes[kept]))
    numbers = {int(name): number for number, name in enumerate(names[kept][order])}
    return np.array([numbers.get(int(label), NOBODY) for label in labels], dtype=np.int64)


def carry_numbers(labels: Sequence[int], before: Sequence[int]) -> dict[int, int]:
    """Maps each new community to a number, so that communities keep their keys, and people their memberships, from run
    to run.

    A community takes the number of the earlier one it overlaps with most, by Jaccard index, assigned one to one so that
    the total overlap is largest (Kuhn 1955, "The Hungarian Method for the Assignment Problem"); without overlap, the
    lowest free number. `labels` and `before` hold the new and the earlier number of the same people, `NOBODY` for none.
    Raises ValueError if their lengths differ. O(new · earlier · people) for the numbers of communities.
    """
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


def describe_communities(
    partition: Partition, features: Csr, most: int = 3, supporters: Supporters | None = None
) -> list[list[DistinctiveFeature]]:
    """Finds the features that set each community apart: those with the largest share · log2(lift), largest first, at
    most `most`, with a lift above 1.

    `features` has shape (people, features) and entries of 0 or more, such as strengths summed by topic. The product is
    the feature's term of the Kullback–Leibler divergence of the community from everyone (Kullback & Leibler 1951, Ann.
    Math. Stat. 22(1)), so that neither rare nor ubiquitous features win. With `supporters`, a feature describes only a
    community in which enough of them have it. Returns one list per community. Raises
    IndexError if the numbers of people differ. O(entries + communities · features log features).
    """
    whole = _shares(np.asarray(features.sum(axis=0), dtype=np.float64).ravel())
    found: list[list[DistinctiveFeature]] = []
    for number in range(partition.count):
        members = np.flatnonzero(partition.labels == number)
        inside = _shares(np.asarray(features[members].sum(axis=0), dtype=np.float64).ravel())
        lift = np.divide(inside, whole, out=np.zeros_like(inside), where=whole > 0)
        gain = inside * np.log2(np.maximum(lift, 1))
        if supporters is not None:
            some = Supporters(supporters.people[members], supporters.least)
            gain[~find_supported(sparse.csr_array(features[members]), some)] = 0
        best = [int(column) for column in np.argsort(-gain, kind="stable")[:most] if gain[column] > 0]
        found.append([DistinctiveFeature(column, float(inside[column]), float(lift[column])) for column in best])
    return found


def _shares(sums: Floats) -> Floats:
    total = sums.sum()
    return sums / total if total > 0 else sums


def name_community(features: Sequence[DistinctiveFeature], names: Mapping[int, str]) -> str:
    """Returns a title: the names of the two most distinctive features that have one, or "Mixed" if none has."""
    words = [names[feature.column] for feature in features if feature.column in names][:2]
    return " and ".join(words) if words else "Mixed"
