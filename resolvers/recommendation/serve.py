"""The model that is served: kept in memory, met by a person's latest interactions at request time.

What lives here: loading the current run and the catalogue, ranking for one person, the words of reasons. What does not:
the walk's arithmetic (`algorithms/recommendation/ranking.py`), whether the viewer may see recommendations (the gate),
fitting (`resolvers/refresh.py`). The catalogue and the model are not personal data; what is personal comes with the
call and is not kept.
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
from algorithms.recommendation.ranking import Lists, Ranked, RankingConfig, Seed, rank_items, rank_popular, weigh_seeds
from graph.model.activity import RecentInteraction
from graph.model.catalogue import ItemFacts, ItemKey
from graph.model.recommendation import RankedItem, RecommendationReason, RunId, Strategy
from graph.model.time import Millis
from graph.recommendation.runs import ModelRow, ModelRun, read_current_run, read_model_rows
from graph.store.client import GraphClient
from resolvers.catalogue import read_catalogue

WALK: Final = "walk"
"""The name of the runs that are served."""

CATALOGUE_SECONDS: Final = 60.0
LOAD_TRIES: Final = 3

log = logging.getLogger("consentric.model")

DONE: Final[Mapping[str, str]] = {
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
"""What a person did with a seed, in words."""

POPULAR_REASON: Final = RecommendationReason("Many people chose this.", 1.0)


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted walk: its run (None: nothing was fitted yet), the items of its columns, its lists."""

    run: ModelRun | None
    items: tuple[ItemKey, ...]
    lists: Lists


@dataclass(frozen=True, slots=True)
class Served:
    """A model joined with the catalogue. Columns beyond the model's are items that nobody touched yet. `absent` are
    columns that may not be recommended: gone from the catalogue, or not available."""

    lists: Lists
    facts: tuple[ItemFacts, ...]
    columns: Mapping[ItemKey, int]
    absent: Flags


class WalkRecommender:
    """Holds the current model. One writer (`load`) replaces what is served in one assignment; readers never wait."""

    def __init__(self, config: RankingConfig | None = None) -> None:
        self._config = config or RankingConfig()
        self._model = build_model(None, ())
        self._served = join_catalogue(self._model, ())
        self._loading = asyncio.Lock()
        self._catalogue_due = 0.0

    @property
    def run(self) -> RunId | None:
        """The run that is served."""
        return self._model.run.id if self._model.run else None

    async def load(self, client: GraphClient, *, catalogue: bool = False) -> None:
        """Takes up the current run if it is another one than before, and the catalogue if it is older than a minute, if
        the run changed, or if asked to. Cheap when nothing changed: one read."""
        async with self._loading:
            model = await self._read_model(client)
            now = asyncio.get_running_loop().time()
            if model is self._model and now < self._catalogue_due and not catalogue:
                return
            items = await read_catalogue(client)
            self._served = await asyncio.to_thread(join_catalogue, model, items)
            self._model = model
            self._catalogue_due = now + CATALOGUE_SECONDS

    async def _read_model(self, client: GraphClient) -> Model:
        """The current run's model; what is served already where it is current, or where runs overtake each other."""
        for _ in range(LOAD_TRIES):
            run = await read_current_run(client, WALK)
            if run is None or run.id == self.run:
                return self._model
            rows = await read_model_rows(client, run.id)
            if len(rows) == run.rows:
                return await asyncio.to_thread(build_model, run, rows)
        log.warning("model runs follow each other too fast to be read; the earlier one is served on")
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
    ) -> list[RankedItem]:
        """The n best items for a person of whom these interactions are the latest, best first.

        The walk comes first and popular items fill up what it leaves; `strategy` asks for one of them alone. Items that
        the person touched are left out unless asked for; what is not available always is. No I/O; well under a
        millisecond for some thousand items.
        """
        served = self._served
        seeds = weigh_seeds(recent, now, self._config)
        hidden = served.absent.copy()
        if not include_seen:
            hidden[_columns(served, {event.item for event in recent})] = True
        accept = None if admits is None else lambda column: admits(served.facts[column])
        answer: list[RankedItem] = []
        if strategy is not Strategy.POPULAR:
            known = {served.columns[item]: seed for item, seed in seeds.items() if item in served.columns}
            strengths = {column: seed.strength for column, seed in known.items()}
            found = rank_items(served.lists, strengths, n, hidden, accept=accept, reasons=self._config.reasons)
            answer = [_explain(served, ranked, known) for ranked in found]
            hidden[[ranked.item for ranked in found]] = True
        if strategy is not Strategy.GRAPH_WALK and len(answer) < n:
            popular = rank_popular(served.lists, n - len(answer), hidden, accept)
            answer += [
                RankedItem(served.facts[ranked.item], ranked.score, Strategy.POPULAR, (POPULAR_REASON,))
                for ranked in popular
            ]
        return answer


def build_model(run: ModelRun | None, rows: Sequence[ModelRow]) -> Model:
    """A model from the rows it is stored in, each of which lists the seeds of one target."""
    items = sorted({row.item for row in rows}.union(*(row.neighbours for row in rows)))
    columns = {item: column for column, item in enumerate(items)}
    targets = np.repeat([columns[row.item] for row in rows], [len(row.neighbours) for row in rows])
    seeds = [columns[seed] for row in rows for seed in row.neighbours]
    weights = [weight for row in rows for weight in row.weights]
    popularity = np.zeros(len(items))
    popularity[[columns[row.item] for row in rows]] = [row.popularity for row in rows]
    cells = (np.asarray(seeds, dtype=np.int64), np.asarray(targets, dtype=np.int64))
    lists = sparse.csr_array((np.asarray(weights, dtype=np.float64), cells), shape=(len(items), len(items)))
    return Model(run, tuple(items), Lists.of(lists, popularity))


def join_catalogue(model: Model, items: Collection[ItemFacts]) -> Served:
    """The model's columns with what is known of their items, then the items that the model does not know, by key."""
    known = {item.key: item for item in items}
    fresh = sorted(known.keys() - set(model.items))
    keys = [*model.items, *fresh]
    facts = tuple(known.get(key) or ItemFacts(key, available=False) for key in keys)
    lists = Lists(
        np.r_[model.lists.start, np.full(len(fresh), model.lists.start[-1])],
        model.lists.targets,
        model.lists.weights,
        np.r_[model.lists.popularity, np.zeros(len(fresh))],
    )
    absent = np.array([item.available is False for item in facts], dtype=np.bool_)
    return Served(lists, facts, {key: column for column, key in enumerate(keys)}, absent)


def _columns(served: Served, items: Collection[ItemKey]) -> list[int]:
    return [served.columns[item] for item in items if item in served.columns]


def _explain(served: Served, ranked: Ranked, seeds: Mapping[int, Seed]) -> RankedItem:
    reasons = tuple(
        RecommendationReason(
            describe_path(served.facts[seed], seeds[seed].type), share, served.facts[seed], seeds[seed].type
        )
        for seed, share in ranked.paths
    )
    return RankedItem(served.facts[ranked.item], ranked.score, Strategy.GRAPH_WALK, reasons)


def describe_path(seed: ItemFacts, type_: str) -> str:
    """A path of the walk in words."""
    done = DONE.get(type_, "You chose {}").format(seed.title or seed.key)
    return f"{done}; people who chose it also chose this."
