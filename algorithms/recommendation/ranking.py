"""Ranking at request time: a person's latest interactions meet the model, so that a click changes the next answer.

What lives here: how strongly an interaction speaks for its item, what remains of it with time, the seeds it makes, and
the ranking of items from seeds with the share that each seed had. What does not: how the lists are fitted
(`filtering.py`), titles, availability and words (`resolvers/recommendation/serve.py`).

Strengths are pure numbers: 1 is a purchase or the best rating; below zero an interaction takes back another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from algorithms.arrays import Flags, Floats, Ints
from graph.model.activity import RecentInteraction
from graph.model.catalogue import ItemKey
from graph.model.time import Millis

DAY: Final = 86_400_000
FULL_WEIGHT: Final = 5.0
"""Weights are collected on a scale of 0–5, ratings included."""

GRADED: Final = frozenset({"RATED", "REVIEWED"})
"""Types whose weight is a grade where they carry a value: low grades speak for nothing."""

TAKEN_BACK: Final[Mapping[str, float]] = {"UNCARTED": 3.0, "REFUNDED": 5.0}
"""Types that undo another: the weight that they take back, of a cart and of a purchase."""


class StrengthConfig(BaseModel):
    """How interactions become strengths. The floor of 2 was the best of six on validation splits of MovieLens 100K."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    grade_floor: float = Field(2.0, ge=0, lt=FULL_WEIGHT, description="grades up to here (of 5) speak for nothing")
    cap: float = Field(1.0, gt=0, description="most that a person's interactions with one item add up to")
    half_life_days: float | None = Field(None, gt=0, description="days after which half remains; None: time is ignored")


class RankingConfig(StrengthConfig):
    """How a person's latest interactions are weighed when they are served."""

    half_life_days: float | None = Field(90.0, gt=0, description="as above, counted from the person's latest")
    reasons: int = Field(3, ge=0, le=10, description="most reasons an item")


def rate_strength(type_: str, weight: float, graded: bool, config: StrengthConfig) -> float:
    """The strength of one interaction, before time. `graded`: it carries a value, so a rating's weight is a grade."""
    if type_ in TAKEN_BACK:
        return -TAKEN_BACK[type_] / FULL_WEIGHT
    if graded and type_ in GRADED:
        return min(max((weight - config.grade_floor) / (FULL_WEIGHT - config.grade_floor), 0.0), 1.0)
    return min(max(weight / FULL_WEIGHT, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Seed:
    """An item that speaks for others: how strongly, and the strongest thing the person did with it."""

    strength: float
    type: str


def weigh_seeds(recent: Iterable[RecentInteraction], now: Millis, config: RankingConfig) -> dict[ItemKey, Seed]:
    """One person's seeds: strengths summed an item, halved every half-life before the person's latest interaction (so
    a pause changes nothing), capped; items with nothing left are not seeds. Later than `now` counts as now."""
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
) -> sparse.csr_array[np.float64, tuple[int, int]]:
    """Everyone's histories for fitting, shape (people, items), from one entry an interaction: its row, its column, its
    strength (`rate_strength`) and its age in days. Summed a cell, capped; what adds up to nothing has no entry."""
    weights = np.asarray(strengths, dtype=np.float64)
    if config.half_life_days is not None:
        weights = weights * 0.5 ** (np.maximum(np.asarray(ages, dtype=np.float64), 0) / config.half_life_days)
    cells = (np.asarray(people, dtype=np.int64), np.asarray(items, dtype=np.int64))
    summed = sparse.coo_array((weights, cells), shape=shape).tocsr()
    summed.data = np.clip(summed.data, 0, config.cap)
    summed.eliminate_zeros()
    return sparse.csr_array(summed)


@dataclass(frozen=True, slots=True)
class Lists:
    """The model in the form it is served from: row i of the CSR (start, targets, weights) is what seed i leads to;
    `popularity` of shape (items,) is ≥ 0."""

    start: Ints
    targets: Ints
    weights: Floats
    popularity: Floats

    @classmethod
    def of(cls, lists: Any, popularity: npt.ArrayLike) -> Lists:
        """From a CSR array of shape (items, items) as `filtering` fits it."""
        return cls(
            np.asarray(lists.indptr, dtype=np.int64),
            np.asarray(lists.indices, dtype=np.int64),
            np.asarray(lists.data, dtype=np.float64),
            np.asarray(popularity, dtype=np.float64),
        )

    @property
    def size(self) -> int:
        """How many items the model knows."""
        return len(self.popularity)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One ranked item by its column, with its score and the seeds that brought most of it: (column, share of score)."""

    item: int
    score: float
    paths: tuple[tuple[int, float], ...]


def rank_items(
    lists: Lists,
    seeds: Mapping[int, float],
    n: int,
    hidden: Flags,
    *,
    accept: Callable[[int], bool] | None = None,
    reasons: int = 3,
) -> list[Ranked]:
    """The n best items that the seeds (column → strength) lead to, best first; ties go to the lower column.

    `hidden`, shape (items,), are never recommended; `accept` is asked about candidates in order until n are found.
    Returns fewer than n where the walk ends. O(entries of the seeds' rows), about 0.2 ms for 100 seeds of 100 targets.
    """
    columns = np.fromiter(seeds, dtype=np.int64, count=len(seeds))
    steps = _walk(lists, columns, np.fromiter(seeds.values(), dtype=np.float64, count=len(seeds)))
    scores = np.bincount(steps.targets, weights=steps.parts, minlength=lists.size).astype(np.float64)
    scores[hidden] = 0
    chosen = _choose(scores, n, accept)
    shares = _share(chosen, steps, lists.size, len(columns))
    return [
        Ranked(item, float(scores[item]), _name_paths(row, columns, reasons))
        for item, row in zip(chosen, shares, strict=True)
    ]


def rank_popular(lists: Lists, n: int, hidden: Flags, accept: Callable[[int], bool] | None = None) -> list[Ranked]:
    """The n most popular items, for people without usable history or to fill up; items nobody touched come last."""
    scores: Floats = lists.popularity + 1.0
    scores[hidden] = 0
    return [Ranked(item, float(lists.popularity[item]), ()) for item in _choose(scores, n, accept)]


@dataclass(frozen=True, slots=True)
class _Steps:
    """The walk's last steps, one entry each: the target, the place of the seed it came from, its part of the score."""

    targets: Ints
    seeds: Ints
    parts: Floats


def _walk(lists: Lists, columns: Ints, strengths: Floats) -> _Steps:
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
    """Columns with a score above zero, best first: first a head that usually suffices, then, if need be, the rest."""
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
    """Each seed's share of each chosen item's score: shape (chosen, seeds), rows sum to 1."""
    place = np.full(size, -1, dtype=np.int64)
    place[np.asarray(chosen, dtype=np.int64)] = np.arange(len(chosen))
    row = place[steps.targets]
    mine = row >= 0
    cells = row[mine] * seeds + steps.seeds[mine]
    table = np.bincount(cells, weights=steps.parts[mine], minlength=len(chosen) * seeds).reshape(len(chosen), seeds)
    shares: Floats = table / table.sum(axis=1, keepdims=True)
    return shares


def _name_paths(shares: Floats, columns: Ints, most: int) -> tuple[tuple[int, float], ...]:
    best = np.argsort(-shares, kind="stable")[:most]
    return tuple((int(columns[seed]), float(shares[seed])) for seed in best if shares[seed] > 0)
