"""Minimum support: items and pairs that enough people with an account chose."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from algorithms.recommendation.filtering import WalkConfig, fit_walk
from algorithms.recommendation.support import (
    SupportConfig,
    Supporters,
    choose_supporters,
    find_supported,
    find_supported_pairs,
)

CHOSEN = sparse.csr_array(np.array([[1, 1, 0], [0.5, 1, 0], [1, 0, 1], [0, 0, 1], [1, 1, 1]], dtype=np.float64))


def supporters(*people: int, least: int) -> Supporters:
    marks = np.zeros(5, dtype=np.bool_)
    marks[list(people)] = True
    return Supporters(marks, least)


def test_people_with_an_account_count_and_devices_do_not() -> None:
    found = choose_supporters([True, False], [0.0, 99.0], SupportConfig(), devices_only=False)
    assert (found.people.tolist(), found.least) == ([True, False], 5)


def test_in_a_store_without_accounts_older_devices_count() -> None:
    found = choose_supporters([False, False], [1.0, 1.5], SupportConfig(), devices_only=True)
    assert (found.people.tolist(), found.least) == ([False, True], 20)


def test_items_need_enough_supporters() -> None:
    assert find_supported(CHOSEN, supporters(0, 1, 2, 3, 4, least=4)).tolist() == [True, False, False]
    assert find_supported(CHOSEN, supporters(0, 1, 2, 3, 4, least=3)).tolist() == [True, True, True]
    assert find_supported(CHOSEN, supporters(0, 1, least=2)).tolist() == [True, True, False]
    assert find_supported(sparse.csr_array((0, 3)), Supporters(np.zeros(0, dtype=np.bool_), 1)).tolist() == [False] * 3


def test_pairs_need_enough_supporters_of_both() -> None:
    pairs = find_supported_pairs(CHOSEN, supporters(0, 1, 2, 3, 4, least=3)).toarray()
    assert pairs.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_a_walk_learns_only_supported_pairs() -> None:
    pairs = find_supported_pairs(CHOSEN, supporters(0, 1, 2, 3, 4, least=3))
    lists = fit_walk(CHOSEN, WalkConfig(), pairs).toarray()
    assert (lists > 0).tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    assert (fit_walk(CHOSEN, WalkConfig()).toarray() > 0).sum() == 6


def test_a_group_suffices_with_enough_supporters_among_it() -> None:
    some = supporters(0, 1, 2, least=2)
    assert some.suffice(np.array([True, True, False, False, False]))
    assert not some.suffice(np.array([True, False, False, True, True]))
