"""Quality and speed of the graph walk: MovieLens 100K, ratings of 4 and 5, random 80/20, nDCG@10.

Run `python benchmarks/walk.py`. It measures the walk, with and without the minimum support that published
models have, popularity, item–item and user–user cosine on the same splits.
`--tune` chooses settings first, by a seeded random search on five validation splits inside the training part of the
split with seed 42, so that the test part stays unseen. The defaults of the configurations are what it chose.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import sparse

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from algorithms.arrays import Csr, Floats, Ints
from algorithms.recommendation.evaluation import RankingQuality, hold_back_random, measure_ranking, rank_scores
from algorithms.recommendation.filtering import (
    CosineConfig,
    Scale,
    WalkConfig,
    fit_cosine,
    fit_walk,
    keep_items,
    measure_popularity,
    score_histories,
)
from algorithms.recommendation.support import SupportConfig, Supporters, find_supported, find_supported_pairs
from api.demo.datasets import read_movielens
from benchmarks.report import DATASETS, publish, time_runs

SEED = 42
MORE_SEEDS = (1, 2, 3, 4)
SHARE = 0.2
LIKED = 4
K = 10
FIT_RUNS = 5
TUNE_TRIES = 400
TUNE_SPLITS = 5
PEOPLE_NEIGHBOURS = 60
SUPPORT = SupportConfig()


@dataclass(frozen=True, slots=True)
class Split:
    """Training histories and held-back likes, both of shape (people, items)."""

    train: Csr
    test: Csr


def read_likes() -> tuple[Ints, tuple[int, int]]:
    """Returns the person and the item of each rating that counts as liked, shape (likes, 2), and the numbers of people
    and items."""
    lens = read_movielens(DATASETS)
    person = {who.id: place for place, who in enumerate(lens.people)}
    item = {movie.id: place for place, movie in enumerate(lens.movies)}
    likes = [(person[r.person], item[r.item]) for r in lens.ratings if r.value >= LIKED]
    return np.array(likes, dtype=np.int64), (len(person), len(item))


def split_likes(likes: Ints, shape: tuple[int, int], seed: int) -> Split:
    held = hold_back_random(len(likes), SHARE, np.random.default_rng(seed))
    return Split(as_histories(likes[~held], shape), as_histories(likes[held], shape))


def as_histories(pairs: Ints, shape: tuple[int, int]) -> Csr:
    return sparse.csr_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=shape)


def measure_scores(scores: Floats, split: Split) -> RankingQuality:
    return measure_ranking(rank_scores(scores, split.train, K), split.test)


def by_popularity(train: Csr) -> Callable[[], Floats]:
    return lambda: measure_popularity(train)


def by_people(train: Csr) -> Callable[[], Floats]:
    """User–user: cosine with people and items exchanged; the people nearest to a person vote for their items."""
    nearest = CosineConfig(neighbours=PEOPLE_NEIGHBOURS)
    return lambda: score_histories(fit_cosine(train.T.tocsr(), nearest), train)


def fit_supported(train: Csr, walk: WalkConfig) -> Csr:
    """Fits the walk as it is published: on items and pairs of items that enough people chose."""
    supporters = Supporters(np.ones(train.shape[0], dtype=np.bool_), SUPPORT.accounts)
    kept = keep_items(train, find_supported(train, supporters))
    return fit_walk(kept, walk, find_supported_pairs(kept, supporters))


def list_fits(train: Csr, walk: WalkConfig, cosine: CosineConfig) -> dict[str, Callable[[], Csr | Floats]]:
    """Returns how each model is fitted, by its name. A fit returns lists of items, or scores outright."""
    return {
        "popular": by_popularity(train),
        "item–item cosine": lambda: fit_cosine(train, cosine),
        "user–user cosine": by_people(train),
        "graph walk RP3β": lambda: fit_walk(train, walk),
        f"graph walk, k = {SUPPORT.accounts}": lambda: fit_supported(train, walk),
    }


def measure(likes: Ints, shape: tuple[int, int], walk: WalkConfig, cosine: CosineConfig) -> list[dict[str, Any]]:
    """Returns one row per model: quality on the split of SEED, median seconds to fit (without scoring), and nDCG on
    further splits, so that one lucky split does not mislead."""
    splits = [split_likes(likes, shape, seed) for seed in (SEED, *MORE_SEEDS)]
    rows: list[dict[str, Any]] = []
    for name in list_fits(splits[0].train, walk, cosine):
        qualities: list[RankingQuality] = []
        for split in splits:
            model = list_fits(split.train, walk, cosine)[name]()
            scores = score_histories(split.train, model) if sparse.issparse(model) else model
            qualities.append(measure_scores(scores, split))
        _, seconds = time_runs(list_fits(splits[0].train, walk, cosine)[name], FIT_RUNS)
        every = [quality.ndcg for quality in qualities]
        rows.append(
            {"model": name, "fit_seconds": round(seconds, 4), **asdict(qualities[0])}
            | {"ndcg_of_splits": [round(value, 4) for value in every], "ndcg_mean": round(statistics.mean(every), 4)}
        )
    return rows


def tune(likes: Ints, shape: tuple[int, int]) -> tuple[WalkConfig, CosineConfig]:
    """Returns the settings with the best mean nDCG@10 over validation splits inside the training part."""
    held = hold_back_random(len(likes), SHARE, np.random.default_rng(SEED))
    inner = [split_likes(likes[~held], shape, 1000 + number) for number in range(TUNE_SPLITS)]
    rng = np.random.default_rng(SEED)
    console = Console()
    tried: list[tuple[float, WalkConfig]] = []
    for number in range(TUNE_TRIES):
        config = draw_walk(rng)
        score = statistics.mean(
            measure_scores(score_histories(s.train, fit_walk(s.train, config)), s).ndcg for s in inner
        )
        if not tried or score > max(tried, key=lambda pair: pair[0])[0]:
            console.print(f"{number:4d}  validation nDCG@{K} {score:.4f}  {config.model_dump(mode='json')}")
        tried.append((score, config))
    cosines = [CosineConfig(neighbours=n) for n in (25, 50, 100, 200, 400, 800, 1682)]
    scored = [
        statistics.mean(measure_scores(score_histories(s.train, fit_cosine(s.train, c)), s).ndcg for s in inner)
        for c in cosines
    ]
    return max(tried, key=lambda pair: pair[0])[1], cosines[int(np.argmax(scored))]


def draw_walk(rng: np.random.Generator) -> WalkConfig:
    return WalkConfig(
        alpha_item=round(float(rng.uniform(0.2, 1.2)), 2),
        alpha_person=round(float(rng.uniform(0.2, 1.3)), 2),
        beta=round(float(rng.uniform(0.0, 0.8)), 2),
        neighbours=int(rng.choice([50, 75, 100, 150, 200, 300])),
        scale=Scale(str(rng.choice([scale.value for scale in Scale]))),
    )


def as_table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    table = Table(title=title)
    for heading in ("model", f"nDCG@{K}", "mean of 5 splits", f"recall@{K}", "hit rate", "coverage", "fit s"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for row in rows:
        quality = [f"{row[key]:.3f}" for key in ("ndcg", "ndcg_mean", "recall", "hit_rate", "coverage")]
        table.add_row(row["model"], *quality, f"{row['fit_seconds']:.3f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true", help="choose settings on validation splits first (minutes)")
    likes, shape = read_likes()
    walk, cosine = tune(likes, shape) if parser.parse_args().tune else (WalkConfig(), CosineConfig())
    rows = measure(likes, shape, walk, cosine)
    title = f"MovieLens 100K, ratings ≥ {LIKED}, random 80/20 (seed {SEED}), fit: median of {FIT_RUNS}"
    results = {
        "data": {"people": shape[0], "items": shape[1], "likes": len(likes)},
        "split": {"kind": "random", "test_share": SHARE, "seed": SEED, "further_seeds": list(MORE_SEEDS)},
        "k": K,
        "fit_runs": FIT_RUNS,
        "walk_config": walk.model_dump(mode="json"),
        "cosine_config": cosine.model_dump(mode="json"),
        "models": rows,
    }
    publish("walk", results, as_table(rows, title), packages=("numpy", "scipy"))


if __name__ == "__main__":
    main()
