"""Ranking at request time: a person's latest interactions become seeds, and the fitted lists lead from them to items.

Strengths are numbers without a unit: 1 is a purchase or the best rating; a negative strength cancels an
earlier interaction. Seeds are weighed at request time, so that a click changes the next ranking without a new fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from algorithms.arrays import Csr, Flags, Floats, Ints
from graph.model.activity import RecentInteraction
from graph.model.catalogue import ItemKey
from graph.model.time import DAY, Millis

FULL_WEIGHT: Final = 5.0
"""The largest weight of an interaction; ratings are on the same scale of 0–5."""

GRADED: Final = frozenset({"RATED", "REVIEWED"})
"""Types whose weight is a grade if they carry a value. A low grade is not a sign of liking."""

TAKEN_BACK: Final[Mapping[str, float]] = {"UNCARTED": 3.0, "REFUNDED": 5.0}
"""Types that undo another type, with the weight they take back: that of a cart or of a purchase."""


class StrengthConfig(BaseModel):
    """How interactions become strengths."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grade_floor: float = Field(2.0, ge=0, lt=FULL_WEIGHT)
    """Grades up to this one (0–5) have strength 0; above it, strength rises linearly to 1 at grade 5. The default was
    the best of six on validation splits of MovieLens 100K."""

    cap: float = Field(1.0, gt=0)
    """Upper limit of the sum of a person's strengths with one item."""

    half_life_days: float | None = Field(None, gt=0)
    """Age in days at which half of a strength remains; None: age does not matter."""


class RankingConfig(StrengthConfig):
    """How a person's latest interactions are weighed at request time."""

    half_life_days: float | None = Field(90.0, gt=0)
    """As in `StrengthConfig`; age counts from the person's latest interaction."""

    reasons: int = Field(3, ge=0, le=10)
    """Largest number of reasons per recommended item."""


def rate_strength(type_: str, weight: float, graded: bool, config: StrengthConfig) -> float:
    """Returns the strength of one interaction, regardless of its age.

    `weight` is 0–5; `graded` tells whether the interaction carries a value, so that the weight of a rating is its
    grade. The result is 0–1, or −1–0 for a type that cancels another.
    """
    if type_ in TAKEN_BACK:
        return -TAKEN_BACK[type_] / FULL_WEIGHT
    if graded and type_ in GRADED:
        return min(max((weight - config.grade_floor) / (FULL_WEIGHT - config.grade_floor), 0.0), 1.0)
    return min(max(weight / FULL_WEIGHT, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Seed:
    """An item that the person chose, from which others are recommended: its strength (above 0, at most
    `StrengthConfig.cap`) and the type of the strongest interaction with it."""

    strength: float
    type: str


def weigh_seeds(recent: Iterable[RecentInteraction], now: Millis, config: RankingConfig) -> dict[ItemKey, Seed]:
    """Returns one person's seeds: strengths decayed by age, summed per item, capped.

    A strength halves with every half-life between its interaction and the person's latest one, so that a pause changes
    nothing. Instants after `now` count as `now`. Items whose sum is not above 0 are not seeds. O(interactions).
    """
    events = list(recent)
    latest = min(max((event.at for event in events), default=now), now)
    sums: dict[ItemKey, float] = {}
    best: dict[ItemKey, tuple[float, str]] = {}
    for event in events:
        strength = rate_strength(event.type, event.weight, event.value is not None, config)
        if config.half_life_days is not None:
            strength *= 0.5 ** (max(0, latest - event.at) / (config.half_life_days * DAY))
        sums[event.item] = sums.get(event.item, 0.0) + strength
        if strength > 0 and (event.item not in best or strength > best[event.item][0]):
            best[event.item] = (strength, event.type)
    return {
        item: Seed(min(total, config.cap), best[item][1]) for item, total in sums.items() if item in best and total > 0
    }


def build_histories(
    people: npt.ArrayLike,
    items: npt.ArrayLike,
    strengths: npt.ArrayLike,
    ages: npt.ArrayLike,
    *,
    shape: tuple[int, int],
    config: StrengthConfig,
) -> Csr:
    """Returns the histories that models are fitted on: CSR of shape (people, items), entries above 0, at most the cap.

    The four arrays have one entry per interaction: row, column, strength (`rate_strength`) and age in days (negative
    counts as 0). Strengths are decayed, summed per cell and capped; a cell whose sum is not above 0 has no entry.
    Raises ValueError if lengths differ or an index lies outside `shape`. O(interactions).
    """
    weights = np.asarray(strengths, dtype=np.float64)
    if config.half_life_days is not None:
        weights = weights * 0.5 ** (np.maximum(np.asarray(ages, dtype=np.float64), 0) / config.half_life_days)
    cells = (np.asarray(people, dtype=np.int64), np.asarray(items, dtype=np.int64))
    summed = sparse.coo_array((weights, cells), shape=shape).tocsr()
    summed.data = np.clip(summed.data, 0, config.cap)
    summed.eliminate_zeros()
    return sparse.csr_array(summed)


@dataclass(frozen=True, slots=True)
class TargetLists:
    """The fitted model as it is ranked from: for each seed the targets it leads to, and each item's popularity. The
    first three arrays are those of a CSR array of shape (items, items)."""

    start: Ints
    """Shape (items + 1,): the targets of seed i are at `start[i]:start[i + 1]`."""

    targets: Ints
    """Columns of the targets."""

    weights: Floats
    """How strongly the seed leads to the target, above 0."""

    popularity: Floats
    """Shape (items,): how many people interacted with each item, 0 or more."""

    @classmethod
    def from_csr(cls, lists: Csr, popularity: npt.ArrayLike) -> TargetLists:
        """Returns the model of lists that `filtering` fitted, shape (items, items)."""
        return cls(
            np.asarray(lists.indptr, dtype=np.int64),
            np.asarray(lists.indices, dtype=np.int64),
            np.asarray(lists.data, dtype=np.float64),
            np.asarray(popularity, dtype=np.float64),
        )

    @property
    def size(self) -> int:
        """Number of items."""
        return len(self.popularity)


class SeedShare(NamedTuple):
    """A seed's column and its share of a target's score, above 0, at most 1."""

    seed: int
    share: float


@dataclass(frozen=True, slots=True)
class RankedColumn:
    """A ranked item by its column, with its score and the seeds that contribute most to it, largest share first."""

    column: int
    score: float
    paths: tuple[SeedShare, ...]


def rank_items(
    lists: TargetLists,
    seeds: Mapping[int, float],
    n: int,
    hidden: Flags,
    *,
    accept: Callable[[int], bool] | None = None,
    reasons: int = 3,
) -> list[RankedColumn]:
    """Returns the n best items that the seeds (column → strength) lead to, best first; ties go to the lower column.

    The score of target j is Σ_i strength_i · weight_ij over the seeds i: the person's own first step of the walk that
    `filtering.fit_walk` fits, divided by the best score returned. Scores are therefore above 0, at most 1, and compare
    only with each other.

    `hidden`, shape (items,), marks items that are never recommended; `accept` is called with candidates in order until
    n are found; `reasons` limits the paths per item. Returns fewer than n if the seeds lead to fewer. Raises IndexError
    for a seed that is not a column, or if `hidden` has another shape. O(items + targets of the seeds), about 0.2 ms for
    100 seeds of 100 targets.
    """
    columns = np.fromiter(seeds, dtype=np.int64, count=len(seeds))
    steps = _walk(lists, columns, np.fromiter(seeds.values(), dtype=np.float64, count=len(seeds)))
    scores = np.bincount(steps.targets, weights=steps.parts, minlength=lists.size).astype(np.float64)
    scores[hidden] = 0
    chosen = _choose(scores, n, accept)
    shares = _share(chosen, steps, lists.size, len(columns))
    best = scores[chosen[0]] if chosen else 1.0
    return [
        RankedColumn(item, float(scores[item] / best), _name_paths(row, columns, reasons))
        for item, row in zip(chosen, shares, strict=True)
    ]


def rank_popular(
    lists: TargetLists, n: int, hidden: Flags, accept: Callable[[int], bool] | None = None
) -> list[RankedColumn]:
    """Returns the n most popular items, most popular first, for people without usable history or to top up a list.

    Items without any people come last; ties go to the lower column. The score is 1 divided by the place, so that it
    tells nothing of the numbers of people. Arguments and errors as in `rank_items`. O(items log items) at worst.
    """
    scores: Floats = lists.popularity + 1.0
    scores[hidden] = 0
    chosen = _choose(scores, n, accept)
    return [RankedColumn(item, 1.0 / place, ()) for place, item in enumerate(chosen, start=1)]


@dataclass(frozen=True, slots=True)
class _Steps:
    """The last steps of the walk, one entry each: the target, the place of the seed that it starts from, its part of
    the score."""

    targets: Ints
    seeds: Ints
    parts: Floats


def _walk(lists: TargetLists, columns: Ints, strengths: Floats) -> _Steps:
    sizes = lists.start[columns + 1] - lists.start[columns]
    seeds = np.repeat(np.arange(len(columns)), sizes)
    ends = np.cumsum(sizes)
    cells = np.arange(len(seeds)) + np.repeat(lists.start[columns] - ends + sizes, sizes)
    return _Steps(lists.targets[cells], seeds, lists.weights[cells] * strengths[seeds])


def _choose(scores: Floats, n: int, accept: Callable[[int], bool] | None) -> list[int]:
    chosen: list[int] = []
    for item in _best_first(scores, n):
        if len(chosen) >= n:
            break
        if accept is None or accept(item):
            chosen.append(item)
    return chosen


def _best_first(scores: Floats, n: int) -> Iterator[int]:
    """Yields the columns with a score above 0, best first. The rest is sorted only if a head is not enough."""
    candidates = np.flatnonzero(scores > 0)
    head = max(64, 2 * n)
    if len(candidates) > 2 * head:
        edge = np.partition(scores[candidates], -head)[-head]
        above = scores[candidates] >= edge
        groups = [candidates[above], candidates[~above]]
    else:
        groups = [candidates]
    for group in groups:
        yield from group[np.argsort(-scores[group], kind="stable")].tolist()


def _share(chosen: Sequence[int], steps: _Steps, size: int, seeds: int) -> Floats:
    """Returns each seed's share of each chosen item's score: shape (chosen, seeds), rows sum to 1."""
    place = np.full(size, -1, dtype=np.int64)
    place[np.asarray(chosen, dtype=np.int64)] = np.arange(len(chosen))
    row = place[steps.targets]
    mine = row >= 0
    cells = row[mine] * seeds + steps.seeds[mine]
    table = np.bincount(cells, weights=steps.parts[mine], minlength=len(chosen) * seeds).reshape(len(chosen), seeds)
    shares: Floats = table / table.sum(axis=1, keepdims=True)
    return shares


def _name_paths(shares: Floats, columns: Ints, most: int) -> tuple[SeedShare, ...]:
    best = np.argsort(-shares, kind="stable")[:most]
    return tuple(SeedShare(int(columns[seed]), float(shares[seed])) for seed in best if shares[seed] > 0)
