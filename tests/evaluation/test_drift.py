"""Drift: found where it was planted, and where there is none no more often than said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from scanlens.evaluation.drift import measure_drift, share_beyond

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PER_PATIENT = 4


def people(generator: np.random.Generator, num: int, *, columns: int = 1, shift: float = 0.0) -> tuple[Floats, Ints]:
    """Numbers (images, columns) of which most is common to the images of a patient, and the patients."""
    group_N = np.repeat(np.arange(num), PER_PATIENT)
    common = generator.standard_normal((num, columns))[group_N]
    return common + 0.3 * generator.standard_normal((len(group_N), columns)) + shift, group_N


def test_without_drift_alarms_are_as_rare_as_said_though_images_of_a_patient_are_alike() -> None:
    """A table for independent images would call half of these sets different."""
    generator, p_values, naive = np.random.default_rng(3), [], []
    for seed in range(300):
        known, new = people(generator, 20), people(generator, 15)
        (found,) = measure_drift(["x"], *known, *new, seed=seed, num_exchanges=199)
        p_values.append(found.p)
        naive.append(ks_2samp(known[0][:, 0], new[0][:, 0]).pvalue)
    share = np.mean(np.array(p_values) <= 0.05)
    assert 0.02 <= share <= 0.085  # 0.05, within 2.8 standard errors
    assert np.mean(np.array(naive) <= 0.05) > 0.25


def test_the_statistic_is_that_of_scipy_ties_included() -> None:
    generator = np.random.default_rng(1)
    known, new = generator.integers(0, 6, (40, 1)) / 2, generator.integers(0, 8, (25, 1)) / 2
    (found,) = measure_drift(["x"], known, np.arange(40), new, np.arange(25), seed=0, num_exchanges=19)
    assert found.ks == pytest.approx(ks_2samp(known[:, 0], new[:, 0]).statistic)
    spread = np.sqrt((known.var() + new.var()) / 2)
    assert found.difference == pytest.approx((new.mean() - known.mean()) / spread)
    assert (found.known_median, found.new_median) == (np.median(known), np.median(new))


def test_a_planted_shift_is_found_in_its_column_alone() -> None:
    generator = np.random.default_rng(5)
    known_NF, known_N = people(generator, 40, columns=6)
    new_MF, new_M = people(generator, 30, columns=6)
    new_MF[:, 2] += 1.5
    found = measure_drift(list("abcdef"), known_NF, known_N, new_MF, new_M, seed=7)
    assert [one.name for one in found if one.has_drifted] == ["c"]
    assert found[2].difference == pytest.approx(1.5, abs=0.4)
    assert found[2].p == pytest.approx(0.001)
    assert found[2].adjusted_p == pytest.approx(0.006)
    assert found[2].ks is not None
    assert found[2].ks_by_chance is not None
    assert found[2].ks > found[2].ks_by_chance


def test_the_same_seed_gives_the_same_numbers() -> None:
    known, new = people(np.random.default_rng(1), 12), people(np.random.default_rng(2), 9)
    once, again = (measure_drift(["x"], *known, *new, seed=4, num_exchanges=99) for _ in range(2))
    assert once == again
    assert measure_drift(["x"], *known, *new, seed=5, num_exchanges=99) != once


def test_unknown_constant_and_few_are_told() -> None:
    known_NF = np.array([[np.nan, 1.0, 0.0]] * 10)
    new_MF = np.array([[2.0, 1.0, 1.0]] * 10)
    absent, same, other = measure_drift(list("abc"), known_NF, np.arange(10), new_MF, np.arange(10), seed=0)
    assert absent.reason == "not known of the known images"
    assert (absent.known_median, absent.new_median, absent.p) == (None, 2.0, None)
    assert (same.ks, same.difference, same.has_drifted) == (0.0, 0.0, False)
    assert (other.ks, other.difference, other.has_drifted) == (1.0, None, True)
    (few,) = measure_drift(["a"], known_NF[:, 1:2], np.arange(10), new_MF[:, 1:2], np.arange(10) % 4, seed=0)
    assert few.p is None
    assert few.reason == "4 patients (or groups) of one set, at least 5 are needed"
    with pytest.raises(ValueError, match="do not fit"):
        measure_drift(["a", "b"], known_NF, np.arange(10), new_MF, np.arange(10), seed=0)


def test_beyond_nearly_all_by_hand() -> None:
    new_M = np.array([50.0, 99.0, 100.0, 101.0])
    found = share_beyond(np.arange(1.0, 200.0), new_M, np.arange(4), quantile=0.5)  # rank 100 of 199
    assert (found["threshold"], found["expected"], found["num_known"]) == (100.0, 0.5, 199)
    assert found["share"]["value"] == 0.25
    few = share_beyond(np.arange(1.0, 10.0), new_M, np.arange(4))  # of 9, one in ten lies above the largest
    assert (few["threshold"], few["expected"], few["share"]["value"]) == (9.0, pytest.approx(0.1), 1.0)


def test_beyond_is_as_frequent_as_expected_where_nothing_has_changed() -> None:
    generator = np.random.default_rng(2)
    for num in (20, 150):
        found = [
            share_beyond(generator.standard_normal(num), generator.standard_normal(200), np.arange(200))
            for _ in range(300)
        ]
        assert np.mean([one["share"]["value"] for one in found]) == pytest.approx(found[0]["expected"], abs=0.012)
