from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from algorithms.recommendation.evaluation import hold_back_random, measure_ranking, rank_scores

ITEMS = 7
CASES = st.lists(
    st.tuples(st.lists(st.integers(0, ITEMS - 1), max_size=4, unique=True), st.sets(st.integers(0, ITEMS - 1))),
    min_size=1,
    max_size=6,
)


def as_matrix(rows: list[set[int]]) -> sparse.csr_array:
    matrix = np.zeros((len(rows), ITEMS))
    for place, row in enumerate(rows):
        matrix[place, sorted(row)] = 1
    return sparse.csr_array(matrix)


def slow_ndcg(listed: list[int], wanted: set[int], k: int) -> float:
    gained = sum(1 / log2(place + 2) for place, item in enumerate(listed) if item in wanted)
    return gained / sum(1 / log2(place + 2) for place in range(min(k, len(wanted))))


@given(CASES)
def test_metrics_equal_a_slow_computation(cases: list[tuple[list[int], set[int]]]) -> None:
    k = 4
    ranking = np.array([listed + [-1] * (k - len(listed)) for listed, _ in cases])
    quality = measure_ranking(ranking, as_matrix([wanted for _, wanted in cases]))
    judged = [(listed, wanted) for listed, wanted in cases if wanted]
    assert quality.people == len(judged)
    assert quality.coverage == len({item for listed, _ in cases for item in listed}) / ITEMS
    if not judged:
        assert (quality.ndcg, quality.recall, quality.hit_rate) == (0, 0, 0)
        return
    found = [len(wanted & set(listed)) for listed, wanted in judged]
    assert quality.ndcg == pytest.approx(np.mean([slow_ndcg(listed, wanted, k) for listed, wanted in judged]))
    assert quality.recall == pytest.approx(
        np.mean([f / len(wanted) for f, (_, wanted) in zip(found, judged, strict=True)])
    )
    assert quality.hit_rate == pytest.approx(np.mean([f > 0 for f in found]))


def test_a_perfect_ranking_has_ndcg_one_even_with_more_relevant_items_than_places() -> None:
    assert measure_ranking(np.array([[0, 1]]), as_matrix([{0, 1, 2, 3}])).ndcg == pytest.approx(1)


def test_relevant_items_further_down_count_less() -> None:
    first, second = (measure_ranking(np.array([r]), as_matrix([{3}])).ndcg for r in ([3, 1], [1, 3]))
    assert first == 1
    assert second == pytest.approx(1 / log2(3))


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=ITEMS, max_size=ITEMS), min_size=1, max_size=5))
def test_ranking_is_a_stable_sort_without_seen_items(scores: list[list[float]]) -> None:
    seen = [{0, 3} if place % 2 else set() for place in range(len(scores))]
    ranking = rank_scores(np.array(scores), as_matrix(seen), 6)
    for row, hidden, listed in zip(scores, seen, ranking, strict=True):
        order = sorted(set(range(ITEMS)) - hidden, key=lambda item: (-row[item], item))
        assert listed.tolist() == (order + [-1] * 6)[:6]


def test_one_ranking_may_serve_everyone_and_lists_are_padded() -> None:
    scores = np.array([3.0, 2.0, np.nan, -np.inf, 1.0, 0.0, 0.0])
    ranking = rank_scores(scores, as_matrix([set(), {0}]), 9)
    assert ranking.tolist() == [[0, 1, 4, 5, 6, -1, -1, -1, -1], [1, 4, 5, 6, -1, -1, -1, -1, -1]]


@given(st.integers(0, 60), st.floats(0, 1))
def test_random_split_is_exact_and_repeatable(size: int, share: float) -> None:
    first, again = (hold_back_random(size, share, np.random.default_rng(3)) for _ in range(2))
    assert first.sum() == int(share * size)
    assert (first == again).all()
