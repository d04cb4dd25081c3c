"""Nearest known images and how usual their distance is: by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from scanlens.evaluation.similar import (
    Scale,
    distances,
    fit_scale,
    joined_units,
    nearest_distances,
    nearest_units,
    percentile_among,
    two_sided,
)


@pytest.mark.parametrize(("value", "expected"), [(0.5, 0), (1, 12.5), (2, 50), (3, 75), (4, 87.5), (5, 100)])
def test_a_percentile_counts_equal_values_half(value: float, expected: float) -> None:
    assert percentile_among([1, 2, 2, 4], value) == expected


def test_two_sided_percentiles_are_small_at_both_ends() -> None:
    assert [two_sided(one) for one in (0, 2.5, 50, 90, 100)] == [0, 5, 100, 20, 0]


def test_a_distance_is_the_root_mean_square_of_differences() -> None:
    np.testing.assert_allclose(distances(np.array([[0, 0], [3, 4]]), np.array([0, 0])), [0, np.sqrt(25 / 2)])


def test_features_are_standardized_and_those_that_stand_still_are_left_out() -> None:
    scale = fit_scale(np.array([[1.0, 7, 0], [3, 7, 10]]))
    assert scale.num_varying == 2
    np.testing.assert_array_equal(scale.of([[1, 7, 0], [3, 99, 5]]), [[-1, -1], [1, 0]])
    far = Scale(np.zeros(1, np.float32), np.full(1, 1e-9, np.float32)).of([[1.0]])
    assert float(far[0, 0]) == 10_000


def test_nearest_distances_are_those_of_scikit_learn_with_own_units_left_out() -> None:
    rng = np.random.default_rng(3)
    known, new = rng.normal(size=(400, 7)), rng.normal(size=(300, 7))
    known_unit, new_unit = rng.integers(0, 50, 400), rng.integers(0, 60, 300)
    expected = []
    for x, unit in zip(new, new_unit, strict=True):
        others = NearestNeighbors(n_neighbors=1).fit(known[known_unit != unit])
        expected.append(others.kneighbors(x[None])[0][0, 0] / np.sqrt(7))
    np.testing.assert_allclose(nearest_distances(known, known_unit, new, new_unit), expected, rtol=1e-9)
    alone = nearest_distances(known[:2], np.array([1, 1]), new[:2], np.array([1, 2]))
    assert len(alone) == 1, "an image whose unit has all known ones has no nearest one"


def test_neighbors_are_of_different_units_and_allowed() -> None:
    distance, unit = np.array([3.0, 1, 1, 2, 0, 5]), np.array([0, 1, 1, 2, 3, 4])
    allowed = np.array([True, True, True, True, False, True])
    assert nearest_units(distance, unit, allowed, num=3) == [1, 3, 0]
    assert nearest_units(distance, unit, allowed, num=9) == [1, 3, 0, 5]


def test_units_hang_together_through_groups_and_patients() -> None:
    groups, patients = ["a", "a", "b", "c", "d"], ["", "x", "x", "", ""]
    units = joined_units(groups, patients)
    assert units[0] == units[1] == units[2]
    assert len(set(units.tolist())) == 3
