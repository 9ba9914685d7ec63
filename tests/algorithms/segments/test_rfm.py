from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from algorithms.segments.rfm import (
    HighValueRule,
    RfmConfig,
    RfmScores,
    count_grid,
    find_high_value,
    score_quantiles,
    score_rfm,
)

VALUES = st.lists(st.integers(-20, 20), max_size=60)


@given(VALUES)
def test_scores_follow_the_middle_rank(values: list[int]) -> None:
    scores = score_quantiles(values)
    for value, score in zip(values, scores, strict=True):
        below, equal = sum(v < value for v in values), sum(v == value for v in values)
        assert score == min(5, 1 + (5 * (2 * below + equal)) // (2 * len(values)))


@given(VALUES, st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_order(values: list[int], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = dict(zip(values, score_quantiles(values).tolist(), strict=True))
    assert dict(zip(shuffled, score_quantiles(shuffled).tolist(), strict=True)) == first


def test_distinct_values_fill_the_bands_evenly() -> None:
    assert np.bincount(score_quantiles(range(50)))[1:].tolist() == [10] * 5


def test_recent_frequent_and_valuable_buyers_score_high() -> None:
    days, times, money = [1, 10, 20, 30, 40], [9, 7, 5, 3, 1], [5, 50, 500, 5000, 50000]
    scores = score_rfm(days, times, money)
    assert scores.cells() == ["551", "442", "333", "224", "115"]


def test_high_value_is_relative_to_everyone_in_scope() -> None:
    rule = HighValueRule(recency=3, frequency=4, monetary=4)
    alone = score_rfm([1, 2, 3, 4, 5], [10, 8, 6, 4, 2], [10, 8, 6, 4, 2])
    assert find_high_value(alone, rule).tolist() == [True, True, False, False, False]
    crowd = score_rfm([1, 2, 3, 4, 5] + [1] * 20, [10, 8, 6, 4, 2] + [99] * 20, [10, 8, 6, 4, 2] + [99] * 20)
    assert not find_high_value(crowd, rule)[:5].any()


@given(st.lists(st.tuples(*[st.integers(1, 5)] * 3), max_size=30))
def test_grid_counts_everyone_once(scores: list[tuple[int, int, int]]) -> None:
    columns = [np.array([score[axis] for score in scores], dtype=np.int64) for axis in range(3)]
    grid = count_grid(RfmScores(*columns))
    assert [len(row) for row in grid] == [5] * 5
    assert sum(map(sum, grid)) == len(scores)
    for recency, frequency, _ in scores:
        assert grid[recency - 1][frequency - 1] == sum(s[:2] == (recency, frequency) for s in scores)


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"types": ()}, {"window_days": 0}, {"high_value": {"recency": 6}}, {"unknown": 1}):
        with pytest.raises(ValidationError):
            RfmConfig.model_validate(wrong)
