from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from algorithms.recommendation.filtering import WalkConfig, fit_walk, measure_popularity
from algorithms.recommendation.ranking import (
    RankingConfig,
    StrengthConfig,
    TargetLists,
    build_histories,
    rank_items,
    rank_popular,
    rate_strength,
    weigh_seeds,
)
from graph.model.activity import RecentInteraction
from graph.model.catalogue import ItemKey
from graph.model.time import DAY, Millis

NOW = Millis(1_700_000_000_000)
TIMELESS = RankingConfig(half_life_days=None)
DENSE = hnp.arrays(np.float64, (6, 6), elements=st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0]))


def event(
    item: str, type_: str, days_ago: float = 0, *, weight: float = 5, value: float | None = None
) -> RecentInteraction:
    return RecentInteraction(ItemKey(item), type_, Millis(int(NOW - days_ago * DAY)), weight, value)


def strengths_of(*recent: RecentInteraction, config: RankingConfig = TIMELESS) -> dict[str, float]:
    return {item: seed.strength for item, seed in weigh_seeds(recent, NOW, config).items()}


@pytest.mark.parametrize(
    ("type_", "weight", "graded", "strength"),
    [
        ("PURCHASED", 5, True, 1),
        ("VIEWED", 1, False, 0.2),
        ("RATED", 5, True, 1),
        ("RATED", 4, True, 2 / 3),
        ("RATED", 3, True, 1 / 3),
        ("RATED", 2, True, 0),
        ("RATED", 0.5, True, 0),
        ("RATED", 3, False, 0.6),
        ("UNCARTED", 0, True, -0.6),
        ("REFUNDED", 0, True, -1),
        ("INTERACTED", 100, False, 1),
    ],
)
def test_strength_of_an_interaction(type_: str, weight: float, graded: bool, strength: float) -> None:
    assert rate_strength(type_, weight, graded, StrengthConfig()) == pytest.approx(strength)


def test_an_interaction_taken_back_is_not_a_seed() -> None:
    assert strengths_of(event("a", "PURCHASED"), event("a", "REFUNDED", weight=0)) == {}
    assert strengths_of(event("a", "CARTED", weight=3), event("a", "UNCARTED", weight=0)) == {}
    assert strengths_of(event("a", "UNCARTED", weight=0)) == {}
    kept = strengths_of(
        event("a", "VIEWED", weight=1), event("a", "CARTED", weight=3), event("a", "UNCARTED", weight=0)
    )
    assert kept == pytest.approx({"a": 0.2})


def test_low_ratings_are_not_seeds_and_repeats_are_capped() -> None:
    assert strengths_of(event("a", "RATED", weight=1, value=1)) == {}
    assert strengths_of(*[event("a", "VIEWED", weight=1)] * 3) == pytest.approx({"a": 0.6})
    assert strengths_of(*[event("a", "VIEWED", weight=1)] * 30) == {"a": 1.0}


def test_strength_halves_by_age_from_the_latest_interaction() -> None:
    config = RankingConfig(half_life_days=10)
    recent = [event("new", "PURCHASED", days_ago=400), event("old", "PURCHASED", days_ago=410)]
    assert strengths_of(*recent, config=config) == pytest.approx({"new": 1.0, "old": 0.5})


def test_an_event_in_the_future_counts_as_now() -> None:
    config = RankingConfig(half_life_days=10)
    recent = [event("future", "PURCHASED", days_ago=-1000), event("today", "PURCHASED")]
    assert strengths_of(*recent, config=config) == pytest.approx({"future": 1.0, "today": 1.0})


def test_a_seed_has_the_type_of_its_strongest_interaction() -> None:
    seeds = weigh_seeds([event("a", "VIEWED", weight=1), event("a", "CARTED", weight=3)], NOW, TIMELESS)
    assert seeds[ItemKey("a")].type == "CARTED"


def test_histories_are_summed_and_capped_without_negative_cells() -> None:
    built = build_histories(
        [0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [0.6, 0.6, 0.5, 1.0, -1.0], [0, 0, 10, 0, 0],
        shape=(2, 3), config=StrengthConfig(half_life_days=10),
    )  # fmt: skip
    assert built.toarray().tolist() == [[1.0, 0.25, 0.0], [0.0, 0.0, 0.0]]
    assert built.nnz == 2


@given(DENSE, st.dictionaries(st.integers(0, 5), st.sampled_from([0.5, 1.0]), max_size=4), st.integers(1, 6))
def test_ranking_equals_the_dense_product(lists: np.ndarray, seeds: dict[int, float], n: int) -> None:
    history = np.zeros(6)
    history[list(seeds)] = list(seeds.values())
    hidden = history > 0
    expected = history @ lists
    expected[hidden] = 0
    order = [item for item in sorted(range(6), key=lambda item: (-expected[item], item)) if expected[item] > 0][:n]
    ranked = rank_items(TargetLists.from_csr(sparse.csr_array(lists), np.zeros(6)), seeds, n, hidden, reasons=10)
    assert [found.column for found in ranked] == order
    for found in ranked:
        assert found.score == pytest.approx(expected[found.column] / expected[order[0]])
        parts = {seed: history[seed] * lists[seed, found.column] / expected[found.column] for seed in seeds}
        assert dict(found.paths) == pytest.approx({seed: part for seed, part in parts.items() if part > 0})
        assert [share for _, share in found.paths] == sorted((share for _, share in found.paths), reverse=True)


def test_large_catalogues_rank_like_small_ones() -> None:
    rng = np.random.default_rng(5)
    lists = sparse.random_array((2000, 2000), density=0.05, rng=rng, format="csr")
    seeds = {7: 1.0, 300: 0.5, 1999: 0.2}
    hidden = np.zeros(2000, dtype=np.bool_)
    hidden[list(seeds)] = True
    history = np.zeros(2000)
    history[list(seeds)] = list(seeds.values())
    expected = np.where(hidden, 0, history @ lists)
    order = np.argsort(-expected, kind="stable")[: np.count_nonzero(expected)].tolist()
    model = TargetLists.from_csr(lists, np.zeros(2000))
    assert [found.column for found in rank_items(model, seeds, 10, hidden)] == order[:10]
    only_last = rank_items(model, seeds, 10, hidden, accept=lambda item: item == order[-1])
    assert [found.column for found in only_last] == [order[-1]]


def test_only_accepted_items_are_returned_and_may_be_fewer_than_n() -> None:
    lists = TargetLists.from_csr(sparse.csr_array(np.array([[0.0, 3.0, 2.0, 1.0]] + [[0.0] * 4] * 3)), [4, 3, 2, 1])
    hidden = np.array([True, False, False, False])
    assert [found.column for found in rank_items(lists, {0: 1.0}, 3, hidden, accept=lambda item: item != 1)] == [2, 3]
    assert [found.column for found in rank_popular(lists, 2, hidden, accept=lambda item: item != 1)] == [2, 3]


def test_no_seeds_and_no_items_give_an_empty_ranking() -> None:
    lists = TargetLists.from_csr(sparse.csr_array((0, 0)), [])
    assert rank_items(lists, {}, 5, np.zeros(0, dtype=np.bool_)) == []
    assert rank_popular(lists, 5, np.zeros(0, dtype=np.bool_)) == []


def test_popular_items_are_scored_by_place_and_end_with_untouched_items() -> None:
    lists = TargetLists.from_csr(sparse.csr_array((3, 3)), [0, 5, 2])
    ranked = rank_popular(lists, 3, np.zeros(3, dtype=np.bool_))
    assert [(found.column, found.score) for found in ranked] == [(1, 1.0), (2, 1 / 2), (0, 1 / 3)]


def test_one_more_click_changes_the_next_ranking() -> None:
    together = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], dtype=float)
    histories = sparse.csr_array(together)
    model = TargetLists.from_csr(fit_walk(histories, WalkConfig()), measure_popularity(histories))
    before = rank_items(model, {0: 1.0}, 2, np.array([True, False, False, False]))
    after = rank_items(model, {0: 1.0, 2: 1.0}, 2, np.array([True, False, True, False]))
    assert [found.column for found in before] == [1]
    assert [found.column for found in after] == [1, 3]
    assert after[1].paths == ((2, 1.0),)
