"""Recommendations served from memory: the current model joined with the catalogue, ranked for one person at a time.

The model and the catalogue are not personal data. What is personal comes with the call and is not kept; whether the
viewer may see recommendations is decided by the caller, through the gate.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from algorithms.arrays import Flags
from algorithms.recommendation.ranking import (
    RankedColumn,
    RankingConfig,
    Seed,
    TargetLists,
    rank_items,
    rank_popular,
    weigh_seeds,
)
from graph.model.activity import RecentInteraction
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.recommendation import RankedItem, RecommendationReason, RunId, Strategy
from graph.model.time import Millis
from graph.recommendation.runs import ModelRow, ModelRun, read_current_run, read_model_rows
from graph.store.client import GraphClient
from resolvers.catalogue import read_catalogue

WALK: Final = "walk"
"""Name of the runs whose models are served."""

CATALOGUE_SECONDS: Final = 60.0
"""Age at which the catalogue is read again."""

LOAD_TRIES: Final = 3
"""How often to try to read a model's rows when a newer run removes them in the meantime."""

log = logging.getLogger("consentric.model")

PHRASES: Final[Mapping[str, str]] = {
    "VIEWED": "You viewed {}",
    "SEARCHED": "You searched for {}",
    "CLICKED": "You looked at {}",
    "WISHLISTED": "You saved {}",
    "CARTED": "You put {} in your cart",
    "CHECKED_OUT": "You were about to buy {}",
    "PURCHASED": "You bought {}",
    "RATED": "You rated {} highly",
    "REVIEWED": "You reviewed {}",
    "SHARED": "You shared {}",
}
"""What the person did with a seed, by type of interaction."""

POPULAR_REASON: Final = RecommendationReason("Many people chose this.", 1.0)


@dataclass(frozen=True, slots=True)
class WalkModel:
    """A fitted walk as it is stored: its run (None if nothing is fitted yet), the items of its columns, its lists."""

    run: ModelRun | None
    items: tuple[ItemKey, ...]
    lists: TargetLists


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model joined with the catalogue. Columns beyond the model's are items without interactions. `absent` marks the
    columns that are never recommended: items no longer in the catalogue, or not available."""

    lists: TargetLists
    facts: tuple[ItemFacts, ...]
    columns: Mapping[ItemKey, int]
    absent: Flags


class WalkRecommender:
    """Recommends by the current graph walk, topped up with popular items. `load` replaces what is served in one
    assignment, so that readers never wait."""

    def __init__(self, config: RankingConfig | None = None) -> None:
        self._config = config or RankingConfig()
        self._model = build_model(None, ())
        self._served = self._bare = join_catalogue(self._model, ())
        self._loading = asyncio.Lock()
        self._catalogue_due = 0.0

    @property
    def run(self) -> RunId | None:
        """The run whose model is served; None before the first is loaded."""
        return self._model.run.id if self._model.run else None

    async def load(self, client: GraphClient, *, catalogue: bool = False) -> None:
        """Loads the current run if it has changed. Reads the catalogue again if the run has changed, after
        `CATALOGUE_SECONDS`, or if `catalogue` asks for it. A single read if nothing has changed."""
        async with self._loading:
            model = await self._read_model(client)
            now = asyncio.get_running_loop().time()
            if model is self._model and now < self._catalogue_due and not catalogue:
                return
            items = await read_catalogue(client)
            served = await asyncio.to_thread(join_catalogue, model, items)
            bare = await asyncio.to_thread(join_catalogue, build_model(None, ()), items)
            self._served, self._bare, self._model = served, bare, model
            self._catalogue_due = now + CATALOGUE_SECONDS

    async def _read_model(self, client: GraphClient) -> WalkModel:
        """Returns the model of the current run; the one in use if it is current, or if runs replace each other too
        fast."""
        for _ in range(LOAD_TRIES):
            run = await read_current_run(client, WALK)
            if run is None or run.id == self.run:
                return self._model
            rows = await read_model_rows(client, run.id)
            if len(rows) == run.rows:
                return await asyncio.to_thread(build_model, run, rows)
        log.warning("model runs follow each other too fast to be read; the earlier model stays in use")
        return self._model

    def recommend(
        self,
        recent: Sequence[RecentInteraction],
        n: int,
        *,
        now: Millis,
        admits: Callable[[ItemFacts], bool] | None = None,
        strategy: Strategy = Strategy.AUTO,
        include_seen: bool = False,
        fresh: bool = True,
    ) -> list[RankedItem]:
        """Returns the n best items for a person with these latest interactions, best first.

        `strategy` chooses the walk, popular items, or (AUTO) the walk topped up with popular items. Items that the
        person interacted with are left out unless `include_seen`; items that are not available always are. If the
        model is not `fresh`, it is left out too: what remains is the catalogue. No I/O; well under a millisecond for
        some thousand items.
        """
        served = self._served if fresh else self._bare
        seeds = weigh_seeds(recent, now, self._config)
        hidden = served.absent.copy()
        if not include_seen:
            hidden[_columns(served, {event.item for event in recent})] = True
        accept = None if admits is None else lambda column: admits(served.facts[column])
        result: list[RankedItem] = []
        if strategy is not Strategy.POPULAR:
            known = {served.columns[item]: seed for item, seed in seeds.items() if item in served.columns}
            strengths = {column: seed.strength for column, seed in known.items()}
            found = rank_items(served.lists, strengths, n, hidden, accept=accept, reasons=self._config.reasons)
            result = [_explain(served, ranked, known) for ranked in found]
            hidden[[ranked.column for ranked in found]] = True
        if strategy is not Strategy.GRAPH_WALK and len(result) < n:
            popular = rank_popular(served.lists, n - len(result), hidden, accept)
            result += [
                RankedItem(served.facts[ranked.column], ranked.score, Strategy.POPULAR, (POPULAR_REASON,))
                for ranked in popular
            ]
        return result


def build_model(run: ModelRun | None, rows: Sequence[ModelRow]) -> WalkModel:
    """Builds a model from its stored rows, each of which lists the seeds of one target."""
    items = sorted({row.item for row in rows}.union(*(row.neighbours for row in rows)))
    columns = {item: column for column, item in enumerate(items)}
    targets = np.repeat([columns[row.item] for row in rows], [len(row.neighbours) for row in rows])
    seeds = [columns[seed] for row in rows for seed in row.neighbours]
    weights = [weight for row in rows for weight in row.weights]
    popularity = np.zeros(len(items))
    popularity[[columns[row.item] for row in rows]] = [row.popularity for row in rows]
    cells = (np.asarray(seeds, dtype=np.int64), np.asarray(targets, dtype=np.int64))
    lists = sparse.csr_array((np.asarray(weights, dtype=np.float64), cells), shape=(len(items), len(items)))
    return WalkModel(run, tuple(items), TargetLists.from_csr(lists, popularity))


def join_catalogue(model: WalkModel, items: Collection[ItemFacts]) -> ServedModel:
    """Joins a model with the catalogue: the model's columns first, then the items it does not know, by key."""
    known = {item.key: item for item in items}
    fresh = sorted(known.keys() - set(model.items))
    keys = [*model.items, *fresh]
    facts = tuple(known.get(key) or ItemFacts(key, available=False) for key in keys)
    lists = TargetLists(
        np.r_[model.lists.start, np.full(len(fresh), model.lists.start[-1])],
        model.lists.targets,
        model.lists.weights,
        np.r_[model.lists.popularity, np.zeros(len(fresh))],
    )
    absent = np.array([item.available is False for item in facts], dtype=np.bool_)
    return ServedModel(lists, facts, {key: column for column, key in enumerate(keys)}, absent)


def _columns(served: ServedModel, items: Collection[ItemKey]) -> list[int]:
    return [served.columns[item] for item in items if item in served.columns]


def _explain(served: ServedModel, ranked: RankedColumn, seeds: Mapping[int, Seed]) -> RankedItem:
    reasons = tuple(
        RecommendationReason(
            describe_path(served.facts[seed], seeds[seed].type), share, served.facts[seed], seeds[seed].type
        )
        for seed, share in ranked.paths
    )
    return RankedItem(served.facts[ranked.column], ranked.score, Strategy.GRAPH_WALK, reasons)


def describe_path(seed: ItemFacts, type_: str) -> str:
    """Returns the reason for following a seed, as a sentence."""
    done = PHRASES.get(type_, "You chose {}").format(seed.title or seed.key)
    return f"{done}; people who chose it also chose this."
