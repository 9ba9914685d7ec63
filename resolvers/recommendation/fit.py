"""Fitting the graph walk to the interactions of people who permit personalisation, measuring and publishing it.

It learns only declared items that enough people chose, and only pairs of them that enough people chose both of.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse
from ulid import ULID

from algorithms.arrays import Csr, Floats
from algorithms.recommendation.evaluation import hold_back_random, measure_ranking, rank_scores
from algorithms.recommendation.filtering import (
    WalkConfig,
    fit_walk,
    keep_entries,
    keep_items,
    measure_popularity,
    score_histories,
)
from algorithms.recommendation.ranking import StrengthConfig
from algorithms.recommendation.support import SupportConfig, Supporters, find_supported, find_supported_pairs
from graph.model.catalogue import ItemKey
from graph.model.recommendation import RunId
from graph.recommendation.runs import ModelRow, write_model_rows
from privacy.purposes import PERSONALISATION
from resolvers.activity.behaviour import Behaviour, compute_settled, read_behaviour
from resolvers.catalogue import read_catalogue
from resolvers.context import Services
from resolvers.recommendation.serve import WALK
from resolvers.runs import RunInProgress, record_run

MODEL_VERSION: Final = 2
"""Version of the code that fits the model."""

LIKED: Final = 0.5
"""Minimum strength at which a held-back interaction counts as relevant: a rating of 4 of 5, a purchase, a cart."""

PLACES: Final = 10
"""Length of the lists that are measured."""

MOST_ITEMS: Final = 1_000
"""How many items of a person are learnt from: the latest. Pairs grow with the square, so one person could otherwise
use up the memory; hardly anybody chooses as many (the busiest of MovieLens 100K rated 737)."""


class WalkFitConfig(BaseModel):
    """How the model is fitted and measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    walk: WalkConfig = WalkConfig()
    """Settings of the graph walk."""

    strengths: StrengthConfig = StrengthConfig()
    """How interactions become strengths."""

    support: SupportConfig = SupportConfig()
    """How many people an item, and a pair of items, is learnt from at least."""

    held_back: float = Field(0.2, ge=0, lt=1)
    """Share of interactions held back to measure quality; 0: quality is not measured. The published model is fitted on
    all of them."""

    measured_people: int = Field(2000, ge=1, le=100_000)
    """Maximum number of people, drawn at random, to measure quality on. It bounds the cost."""

    seed: int = Field(42, ge=0)
    """Seed of the split and of the sample of people."""


@dataclass(frozen=True, slots=True)
class WalkReport:
    """The result of a fit. `metrics` is empty if quality is not measured."""

    run: RunId
    people: int
    items: int
    interactions: int
    metrics: Mapping[str, float]


async def refresh_walk(services: Services, config: WalkFitConfig) -> WalkReport:
    """Refits the walk, makes it the current model and loads it."""
    started = services.clock()
    run = RunId(str(ULID()))
    declared = {item.key for item in await read_catalogue(services.client)}
    behaviour = await read_behaviour(services, PERSONALISATION, config.strengths)
    fitted, behaviour = await compute_settled(
        services, PERSONALISATION, behaviour, lambda behaviour: _fit(behaviour, declared, config)
    )
    checked = services.clock()
    await write_model_rows(services.client, run, fitted.rows)
    manifest = behaviour.manifest(run)
    left_out = behaviour.census.left_out
    progress = RunInProgress(WALK, run, MODEL_VERSION, PERSONALISATION, started, checked, left_out)
    settings = config.model_dump(mode="json")
    await record_run(services, progress, manifest, fitted.metrics, settings, rows=len(fitted.rows))
    await services.recommender.load(services.client)
    return WalkReport(run, manifest.people, len(fitted.rows), len(behaviour.at), fitted.metrics)


@dataclass(frozen=True, slots=True)
class _Fitted:
    rows: list[ModelRow]
    metrics: dict[str, float]


def _fit(behaviour: Behaviour, declared: Collection[ItemKey], config: WalkFitConfig) -> _Fitted:
    """Fits the walk. What is only claimed supports nothing: who claims a few accounts could otherwise lift what one
    person did over the minimum."""
    supporters = behaviour.supporters(config.support)
    known = np.array([item in declared for item in behaviour.items], dtype=np.bool_)
    counted = behaviour.find_latest(known, MOST_ITEMS)
    chosen = behaviour.histories(config.strengths, counted & behaviour.proven)
    supported = find_supported(chosen, supporters)
    chosen = keep_items(chosen, supported)
    histories = keep_items(behaviour.histories(config.strengths, counted), supported)
    lists = fit_walk(histories, config.walk, find_supported_pairs(chosen, supporters))
    rows = make_rows(behaviour.items, lists, measure_popularity(histories))
    return _Fitted(rows, measure_walk(histories, config, supporters) if config.held_back else {})


def make_rows(items: tuple[ItemKey, ...], lists: Csr, popularity: Floats) -> list[ModelRow]:
    """Turns a fitted walk into rows, one per item with interactions: the seeds that lead to it, strongest first."""
    by_target = sparse.csr_array(lists.T)
    rows: list[ModelRow] = []
    for target in np.flatnonzero(popularity > 0).tolist():
        span = slice(by_target.indptr[target], by_target.indptr[target + 1])
        seeds, weights = by_target.indices[span], by_target.data[span]
        order = np.lexsort((seeds, -weights))
        neighbours = tuple(items[seed] for seed in seeds[order].tolist())
        rows.append(ModelRow(items[target], neighbours, tuple(weights[order].tolist()), float(popularity[target])))
    return rows


def measure_walk(histories: Csr, config: WalkFitConfig, supporters: Supporters) -> dict[str, float]:
    """Measures nDCG, recall, hit rate and coverage at 10 on a random part held back, and nDCG of popularity.

    Everyone's other interactions train the walk that is measured, under the same minimum support; at most
    `measured_people` are measured.
    """
    rng = np.random.default_rng(config.seed)
    held = hold_back_random(histories.nnz, config.held_back, rng)
    train = keep_entries(histories, ~held)
    train = keep_items(train, find_supported(train, supporters))
    fitted = fit_walk(train, config.walk, find_supported_pairs(train, supporters))
    liked = keep_entries(histories, held & (histories.data >= LIKED))
    sample = np.sort(rng.permutation(train.shape[0])[: config.measured_people])
    seen, wanted = sparse.csr_array(train[sample]), sparse.csr_array(liked[sample])
    walk = measure_ranking(rank_scores(score_histories(seen, fitted), seen, PLACES), wanted)
    popular = measure_ranking(rank_scores(measure_popularity(train), seen, PLACES), wanted)
    return {
        "ndcg10": walk.ndcg,
        "recall10": walk.recall,
        "hit_rate10": walk.hit_rate,
        "coverage10": walk.coverage,
        "popular_ndcg10": popular.ndcg,
        "measured_people": float(walk.people),
    }
