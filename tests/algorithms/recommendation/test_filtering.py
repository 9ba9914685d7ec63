from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError
from scipy import sparse

from algorithms.recommendation import filtering
from algorithms.recommendation.filtering import (
    CosineConfig,
    Scale,
    WalkConfig,
    fit_cosine,
    fit_walk,
    measure_popularity,
    score_histories,
)

STRENGTHS = st.sampled_from([0.0, 0.0, 0.0, 0.2, 0.5, 1.0, 2.0])
HISTORIES = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=STRENGTHS)


def dense_walk(histories: np.ndarray, config: WalkConfig) -> np.ndarray:
    """Computes RP3β from the formula by loops over people and pairs of items; a target's list is cut as documented."""
    people, items = histories.shape
    of_item, of_person = histories.sum(0), histories.sum(1)
    weights = np.zeros((items, items))
    for i in range(items):
        for j in range(items):
            for v in range(people):
                if i != j and histories[v, i] > 0 and histories[v, j] > 0:
                    back = (histories[v, i] / of_item[i]) ** config.alpha_item
                    forth = (histories[v, j] / of_person[v]) ** config.alpha_person
                    weights[i, j] += back * forth
    for j in range(items):
        for i in sorted(range(items), key=lambda i: (-weights[i, j], i))[config.neighbours :]:
            weights[i, j] = 0
        if of_item[j] > 0:
            weights[:, j] *= of_item[j] ** -config.beta
    for i in range(items):
        total = {Scale.NONE: 1.0, Scale.SUM: weights[i].sum(), Scale.PEAK: weights[i].max()}[config.scale]
        weights[i] /= total or 1.0
    return weights


@given(
    HISTORIES,
    st.floats(0, 1.5),
    st.floats(0, 1.5),
    st.floats(0, 1),
    st.sampled_from(list(Scale)),
)
def test_walk_equals_the_formula(histories: np.ndarray, item: float, person: float, beta: float, scale: Scale) -> None:
    config = WalkConfig(alpha_item=item, alpha_person=person, beta=beta, neighbours=50, scale=scale)
    lists = fit_walk(sparse.csr_array(histories), config)
    np.testing.assert_allclose(lists.toarray(), dense_walk(histories, config), rtol=1e-9, atol=1e-12)


@given(HISTORIES, st.integers(1, 4))
def test_walk_keeps_only_the_strongest_seeds_of_a_target(histories: np.ndarray, most: int) -> None:
    whole = fit_walk(sparse.csr_array(histories), WalkConfig(neighbours=50, scale=Scale.NONE)).toarray()
    cut = fit_walk(sparse.csr_array(histories), WalkConfig(neighbours=most, scale=Scale.NONE)).toarray()
    for full, kept in zip(whole.T, cut.T, strict=True):
        assert np.count_nonzero(kept) == min(most, np.count_nonzero(full))
        assert sorted(kept[kept > 0]) == sorted(np.sort(full[full > 0])[-most:])


@given(HISTORIES)
def test_blocks_do_not_change_the_result(histories: np.ndarray) -> None:
    whole = fit_walk(sparse.csr_array(histories), WalkConfig(neighbours=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filtering, "BLOCK_CELLS", 1)
        blocks = fit_walk(sparse.csr_array(histories), WalkConfig(neighbours=2))
    assert (whole != blocks).nnz == 0


def test_ties_go_to_the_lower_column() -> None:
    histories = sparse.csr_array(np.ones((3, 5)))
    lists = fit_walk(histories, WalkConfig(neighbours=2)).toarray()
    assert [np.flatnonzero(lists[:, j]).tolist() for j in range(5)] == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]


def test_damping_lowers_the_popular_target() -> None:
    histories = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]], dtype=float)
    flat = fit_walk(sparse.csr_array(histories), WalkConfig(beta=0, scale=Scale.NONE)).toarray()
    damped = fit_walk(sparse.csr_array(histories), WalkConfig(beta=1, scale=Scale.NONE)).toarray()
    assert flat[0, 1] > flat[0, 2]
    assert damped[0, 1] < damped[0, 2]


@given(HISTORIES)
def test_cosine_equals_the_formula(histories: np.ndarray) -> None:
    lists = fit_cosine(sparse.csr_array(histories), CosineConfig(neighbours=50)).toarray()
    norms = np.linalg.norm(histories, axis=0)
    norms[norms == 0] = 1
    expected = (histories / norms).T @ (histories / norms)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(lists, expected, rtol=1e-9, atol=1e-12)


@given(HISTORIES)
def test_scores_sum_over_the_seeds(histories: np.ndarray) -> None:
    matrix = sparse.csr_array(histories)
    lists = fit_walk(matrix)
    np.testing.assert_allclose(score_histories(matrix, lists), histories @ lists.toarray(), atol=1e-12)


def test_popularity_counts_people_not_strength() -> None:
    histories = sparse.csr_array(np.array([[5.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    assert measure_popularity(histories).tolist() == [2, 0, 1]


def test_negative_entries_and_empty_histories_lead_nowhere() -> None:
    assert fit_walk(sparse.csr_array(np.array([[1.0, -1.0], [-2.0, 3.0]]))).nnz == 0
    for shape in ((0, 0), (0, 3), (3, 0), (2, 3)):
        empty = sparse.csr_array(shape, dtype=np.float64)
        assert fit_walk(empty).shape == (shape[1], shape[1])
        assert fit_cosine(empty).nnz == 0


def test_unknown_or_invalid_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        WalkConfig.model_validate({"alpha": 0.5})
    with pytest.raises(ValidationError):
        WalkConfig(neighbours=0)
