from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from algorithms.segments.communities import (
    NOBODY,
    CommunityConfig,
    Partition,
    carry_numbers,
    describe_communities,
    find_communities,
    name_community,
    project_people,
)

HISTORIES = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 10), st.integers(1, 6)), elements=st.sampled_from([0, 0.5, 1])
)
LABELS = st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), max_size=30)


def two_tastes() -> sparse.csr_array:
    rng = np.random.default_rng(11)
    block = rng.random((60, 40)) < np.where(np.arange(40) < 20, 0.5, 0.03)
    other = rng.random((30, 40)) < np.where(np.arange(40) < 20, 0.03, 0.5)
    return sparse.csr_array(np.vstack([block, other]).astype(float))


@given(HISTORIES)
def test_projection_is_the_cosine_weighted_by_rarity(histories: np.ndarray) -> None:
    graph = project_people(sparse.csr_array(histories), CommunityConfig(neighbours=50)).toarray()
    touched = np.maximum((histories > 0).sum(0), 1)
    weighed = histories * np.log(len(histories) / touched)
    norms = np.linalg.norm(weighed, axis=1, keepdims=True)
    norms[norms == 0] = 1
    expected = (weighed / norms) @ (weighed / norms).T
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(graph, expected, atol=1e-9)


def test_each_person_is_tied_only_to_the_most_similar() -> None:
    graph = project_people(two_tastes(), CommunityConfig(neighbours=3))
    assert (graph != graph.T).nnz == 0
    assert np.diff(graph.indptr).min() >= 3
    assert graph.nnz <= 2 * 3 * graph.shape[0]


def test_planted_tastes_are_found_and_modularity_matches_networkx() -> None:
    histories = two_tastes()
    config = CommunityConfig(neighbours=10, resolution=0.5)
    partition = find_communities(histories, config)
    assert partition.count == 2
    assert partition.sizes() == [60, 30]
    assert set(partition.labels[:60]) == {0}
    graph = networkx.from_scipy_sparse_array(project_people(histories, config))
    for person in (0, 17, 75):
        ties = {other: data["weight"] for other, data in graph[person].items()}
        own = sum(tie for other, tie in ties.items() if partition.labels[other] == partition.labels[person])
        assert partition.belonging[person] == pytest.approx(own / sum(ties.values()))
    groups = [set(np.flatnonzero(partition.labels == number).tolist()) for number in range(2)]
    assert partition.modularity == pytest.approx(networkx.community.modularity(graph, groups), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_people_changes_nothing(seed: int) -> None:
    histories = two_tastes()
    order = np.random.default_rng(seed).permutation(histories.shape[0])
    config = CommunityConfig(neighbours=3)
    found, again = find_communities(histories, config), find_communities(histories[order], config)
    assert again.modularity == found.modularity
    assert again.sizes() == found.sizes()
    held = [row.toarray().tobytes() for row in (histories[[place]] for place in range(histories.shape[0]))]
    alone = np.array([held.count(one) == 1 for one in held])  # people who did the same things can change places
    np.testing.assert_array_equal(again.labels[alone[order]], found.labels[order][alone[order]])


def test_the_same_seed_gives_the_same_partition() -> None:
    first, again = (find_communities(two_tastes(), CommunityConfig(seed=7)) for _ in range(2))
    assert first.labels.tolist() == again.labels.tolist()


def test_people_without_ties_and_in_small_communities_have_no_community() -> None:
    histories = np.zeros((9, 4))
    histories[:5, 0] = 1
    histories[5:7, 1] = 1
    histories[7, 2] = 1
    partition = find_communities(sparse.csr_array(histories), CommunityConfig(smallest=3))
    assert partition.labels.tolist() == [0] * 5 + [NOBODY] * 4
    empty = find_communities(sparse.csr_array((3, 4), dtype=float))
    assert (empty.labels.tolist(), empty.count, empty.sizes(), empty.modularity) == ([NOBODY] * 3, 0, [], 0.0)


@given(LABELS)
def test_numbers_are_carried_over_one_to_one(pairs: list[tuple[int, int]]) -> None:
    labels, before = [label for label, _ in pairs], [number for _, number in pairs]
    carried = carry_numbers(labels, before)
    assert set(carried) == {label for label in labels if label >= 0}
    assert len(set(carried.values())) == len(carried)
    assert all(number >= 0 for number in carried.values())


@given(st.lists(st.integers(-1, 5), max_size=30), st.permutations(range(6)))
def test_an_unchanged_partition_keeps_its_numbers(before: list[int], renaming: list[int]) -> None:
    labels = [renaming[number] if number >= 0 else NOBODY for number in before]
    assert carry_numbers(labels, before) == {renaming[number]: number for number in set(before) if number >= 0}


def test_a_new_community_takes_a_free_number() -> None:
    assert carry_numbers([0, 0, 1, 1, 2], [1, 1, NOBODY, NOBODY, NOBODY]) == {0: 1, 1: 0, 2: 2}


def test_distinctive_features_have_the_largest_gain() -> None:
    partition = Partition(np.array([0, 0, 1, 1]), np.ones(4), 0.4)
    features = sparse.csr_array(np.array([[8, 2, 0], [8, 2, 0], [8, 0, 2], [8, 0, 2]], dtype=float))
    traits = describe_communities(partition, features)
    assert [[trait.column for trait in found] for found in traits] == [[1], [2]]
    assert traits[0][0].share == pytest.approx(0.2)
    assert traits[0][0].lift == pytest.approx(2.0)
    names = {0: "Drama", 1: "War", 2: "Comedy"}
    assert [name_community(found, names) for found in traits] == ["War", "Comedy"]
    assert name_community([], names) == "Mixed"
