"""Directions of known vectors, and distances from them, against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.subspace import Subspace, fit_subspace

PLANE = Subspace(
    np.array([1, 1, 1], np.float32), np.array([[1, 0, 0], [0, 1, 0]], np.float32), np.array([2, 0.5], np.float32)
)


def test_distances_by_hand() -> None:
    values_ND = np.array([[1.0, 1.0, 1.0], [5.0, 1.0, 1.0], [1.0, 2.0, 4.0]])
    np.testing.assert_allclose(PLANE.coordinates(values_ND), [[0, 0], [2, 0], [0, 2]])
    np.testing.assert_allclose(PLANE.distance(values_ND), [0, np.sqrt(2), np.sqrt(2)])
    np.testing.assert_allclose(PLANE.residual(values_ND), [0, 0, np.sqrt(3)])  # 3 beside the plane, of three numbers


def test_fitted_directions_are_those_of_the_data() -> None:
    generator = np.random.default_rng(0)
    first, second = np.array([3.0, 4.0, 0.0]) / 5, np.array([0.0, 0.0, 1.0])
    values_ND = 7 + 4 * generator.standard_normal((4000, 1)) * first + generator.standard_normal((4000, 1)) * second
    found = fit_subspace(values_ND, seed=1)
    assert found is not None
    assert found.basis_CD.shape == (2, 3)  # a third direction does not vary
    assert abs(found.basis_CD[0] @ first) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(found.spread_C, [4, 1], rtol=0.05)
    np.testing.assert_allclose(np.square(found.distance(values_ND)).mean(), 1, rtol=0.01)
    assert found.residual(values_ND).max() < 1e-4
    assert found.residual(np.array([[7.0 - 4, 7 + 3, 7]])).item() == pytest.approx(5 / np.sqrt(3), rel=1e-3)


def test_what_does_not_vary_has_no_directions() -> None:
    assert fit_subspace(np.ones((5, 3)), seed=0) is None
    assert fit_subspace(np.ones((1, 3)), seed=0) is None


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="vectors of 3 numbers are expected"):
        PLANE.residual(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="do not fit"):
        Subspace(PLANE.mean_D, PLANE.basis_CD, np.ones(3, np.float32))
    with pytest.raises(ValueError, match="above 0"):
        Subspace(PLANE.mean_D, PLANE.basis_CD, np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="finite"):
        Subspace(PLANE.mean_D * np.nan, PLANE.basis_CD, PLANE.spread_C)
