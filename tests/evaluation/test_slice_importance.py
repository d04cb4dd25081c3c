"""How much each slice decides, by hand."""

from __future__ import annotations

import numpy as np

from scanlens.evaluation.patient_rules import PatientRule
from scanlens.evaluation.slice_importance import decisive, slice_importance


def two(*ill: float) -> np.ndarray:
    return np.array([[1 - p, p] for p in ill])


def log_odds(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_of_the_mean_each_slice_counts_by_what_the_others_lack() -> None:
    found = slice_importance(two(0.2, 0.4, 0.9), PatientRule("mean"), 1)
    expected = [log_odds(0.5) - log_odds(0.65), log_odds(0.5) - log_odds(0.55), log_odds(0.5) - log_odds(0.3)]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(slice_importance(two(0.2, 0.4, 0.9), PatientRule("mean"), 0), -found)
    assert decisive(found, 5) == [2]


def test_of_the_highest_slice_only_that_one_decides_and_of_two_equal_ones_none() -> None:
    rule = PatientRule("max")
    found = slice_importance(two(0.1, 0.8, 0.3), rule, 1, positive=1)
    np.testing.assert_allclose(found, [0, log_odds(0.8) - log_odds(0.3), 0])
    assert not slice_importance(two(0.8, 0.8, 0.3), rule, 1, positive=1).any()
    assert decisive(np.zeros(3), 2) == []


def test_a_single_slice_and_a_certain_one_are_defined() -> None:
    assert slice_importance(two(0.7), PatientRule("mean"), 1).tolist() == [0.0]
    assert np.isfinite(slice_importance(two(1.0, 1.0), PatientRule("max"), 1, positive=1)).all()


def test_the_decisive_are_ranked_and_bounded() -> None:
    assert decisive(np.array([0.5, -1.0, 2.0, 0.5]), 2) == [2, 0]
