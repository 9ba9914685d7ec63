"""Pairwise measures of a partition, against counting the pairs one by one."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algorithms.identity.evaluation import score_partition


def test_an_example_counted_by_hand() -> None:
    score = score_partition({"a": 1, "b": 1, "c": 1, "d": 2}, {"a": "x", "b": "x", "c": "y", "d": "y"})
    assert (score.true_pairs, score.found_pairs, score.right_pairs) == (2, 3, 1)
    assert score.precision == pytest.approx(1 / 3)
    assert score.recall == pytest.approx(1 / 2)
    assert score.f1 == pytest.approx(2 / 5)


def test_ratios_over_no_pairs_are_one() -> None:
    score = score_partition({"a": 1}, {"b": 1})
    assert (score.precision, score.recall, score.f1) == (1.0, 1.0, 1.0)


LABELS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3))


@given(LABELS, LABELS)
def test_counts_equal_those_of_enumerated_pairs(found: dict[str, int], truth: dict[str, int]) -> None:
    pairs = list(combinations(sorted(found.keys() & truth.keys()), 2))
    right = [pair for pair in pairs if found[pair[0]] == found[pair[1]] and truth[pair[0]] == truth[pair[1]]]
    score = score_partition(found, truth)
    assert score.right_pairs == len(right)
    assert score.found_pairs == sum(found[a] == found[b] for a, b in pairs)
    assert score.true_pairs == sum(truth[a] == truth[b] for a, b in pairs)
    assert 0 <= score.f1 <= 1
