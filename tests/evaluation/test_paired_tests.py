"""McNemar's test with patients, and Holm's correction."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from scanlens.evaluation.paired_tests import holm, mcnemar
from scanlens.evaluation.resampling import PatientGroups, group_patients


def units(patients: list[str | None]) -> PatientGroups:
    return group_patients(patients, np.zeros(len(patients), dtype=np.int64))


def answers(first_only: int, second_only: int, both: int = 10) -> tuple[NDArray, NDArray]:
    first = np.r_[np.ones(first_only), np.zeros(second_only), np.ones(both)] > 0
    second = np.r_[np.zeros(first_only), np.ones(second_only), np.ones(both)] > 0
    return first, second


@pytest.mark.parametrize(("first_only", "second_only"), [(8, 2), (1, 9), (0, 6), (12, 12)])
def test_with_one_image_a_patient_it_is_the_exact_test_of_mcnemar(first_only: int, second_only: int) -> None:
    first, second = answers(first_only, second_only)
    found = mcnemar(first, second, units([None] * len(first)))
    assert found == pytest.approx(binomtest(first_only, first_only + second_only).pvalue)


def test_patients_are_exchanged_whole() -> None:
    """Gains of 3, 2, -1 and 0: of the 8 exchanges of the first three, |sum| >= 4 for +++ ++- and their opposites."""
    patients: list[str | None] = ["a"] * 3 + ["b"] * 2 + ["c"] + ["d"] * 2
    first = np.array([1, 1, 1, 1, 1, 0, 1, 0]) > 0
    second = np.array([0, 0, 0, 0, 0, 1, 0, 1]) > 0
    by_hand = np.mean([abs(3 * a + 2 * b - c) >= 4 for a, b, c in product((1, -1), repeat=3)])
    assert by_hand == 0.5
    assert mcnemar(first, second, units(patients)) == pytest.approx(0.5)
    assert mcnemar(first, second, units([None] * 8)) == pytest.approx(binomtest(6, 8).pvalue)


def test_many_answers_have_the_normal_approximation(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = answers(230, 180)
    exact = mcnemar(first, second, units([None] * len(first)))
    monkeypatch.setattr("scanlens.evaluation.paired_tests.MAX_EXACT", 100)
    assert mcnemar(first, second, units([None] * len(first))) == pytest.approx(exact, rel=0.15)


def test_networks_that_are_right_equally_often_have_p_one() -> None:
    first, second = answers(0, 0)
    assert mcnemar(first, second, units([None] * 10)) == 1.0


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="second_right_N: expected one entry for each of 3 images, got 2"):
        mcnemar(np.ones(3, dtype=bool), np.ones(2, dtype=bool), units([None] * 3))


def test_holm_steps_down() -> None:
    """Holm 1979: 0.01 times 4, 0.03 times 3 (0.09), 0.03 (at least 0.09), 0.9; the missing one is not counted."""
    assert holm([0.03, None, 0.9, 0.01, 0.031]) == [
        pytest.approx(0.09),
        None,
        0.9,
        pytest.approx(0.04),
        pytest.approx(0.09),
    ]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
