"""Spread over seeds and folds: by hand, against REML, and on simulated studies of known variances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from scanlens.evaluation.spread import error_of_intervals, seed_spread, spread_parts


def simulated(num_seeds: int, num_folds: int, *, seed: float, fold: float, rest: float, generator: int) -> np.ndarray:
    """(S, F) values whose parts have the given standard deviations."""
    draw = np.random.default_rng(generator)
    of_seed, of_fold = draw.normal(0, seed, (num_seeds, 1)), draw.normal(0, fold, (1, num_folds))
    return 0.8 + of_seed + of_fold + draw.normal(0, rest, (num_seeds, num_folds))


def test_the_parts_of_a_small_table_are_those_worked_out_by_hand() -> None:
    """Means of seeds 4, 8 and of folds 3, 6, 9; residuals -1, 0, 1 and 1, 0, -1; all in units of 0.01.

    Mean squares: seeds 3 * 8 = 24, folds 2 * 9 = 18, rest 4 / 2 = 2; so 24 = 2 + 3 seed, 18 = 2 + 2 fold.
    """
    found = spread_parts([[0.00, 0.04, 0.08], [0.06, 0.08, 0.10]])
    assert found["seed"] == pytest.approx(0.01 * math.sqrt(22 / 3))
    assert found["fold"] == pytest.approx(0.01 * math.sqrt(8))
    assert found["rest"] == pytest.approx(0.01 * math.sqrt(2))
    assert found["total"] == pytest.approx(0.01 * math.sqrt(22 / 3 + 8 + 2))
    assert found["within_fold"] == pytest.approx(0.01 * math.sqrt((18 + 8 + 2) / 3))
    assert found["within_seed"] == pytest.approx(0.01 * math.sqrt((16 + 4) / 2))
    assert (found["below_zero"], found["num_seeds"], found["num_folds"], found["reason"]) == ([], 2, 3, None)


def test_a_variance_below_zero_is_told_as_zero_and_named() -> None:
    """Seeds have equal means, so their mean square 0 lies below that of the rest."""
    found = spread_parts([[0.7, 0.9], [0.9, 0.7]])
    assert (found["seed"], found["fold"], found["below_zero"]) == (0, 0, ["seed", "fold"])
    assert found["rest"] == found["total"] == pytest.approx(0.2)


def test_what_does_not_vary_has_no_spread_and_nothing_is_said_to_be_below_zero() -> None:
    alike = spread_parts([[0.1, 0.7, 0.3]] * 4)
    assert alike["seed"] == alike["rest"] == alike["within_fold"] == 0
    assert alike["fold"] == pytest.approx(np.std([0.1, 0.7, 0.3], ddof=1))
    assert alike["below_zero"] == []


def test_the_parts_are_those_of_restricted_maximum_likelihood() -> None:
    """For balanced data with estimates above 0 both are the same (Searle et al. 1992, chapter 4.8)."""
    value_SF = simulated(4, 5, seed=0.03, fold=0.05, rest=0.02, generator=2)
    num_seeds, num_folds = value_SF.shape
    of_seed = np.kron(np.eye(num_seeds), np.ones((num_folds, num_folds)))
    of_fold = np.kron(np.ones((num_seeds, num_seeds)), np.eye(num_folds))

    def deviance(log_std: np.ndarray) -> float:
        seed, fold, rest = np.exp(2 * log_std)
        inverse = np.linalg.inv(seed * of_seed + fold * of_fold + rest * np.eye(value_SF.size))
        information = inverse.sum()
        residual = value_SF.ravel() - inverse.sum(axis=0) @ value_SF.ravel() / information
        return float(-np.linalg.slogdet(inverse)[1] + np.log(information) + residual @ inverse @ residual)

    best = minimize(deviance, np.log([0.05, 0.05, 0.05]), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10})
    found = spread_parts(value_SF.tolist())
    np.testing.assert_allclose([found["seed"], found["fold"], found["rest"]], np.exp(best.x), rtol=1e-4)


def test_known_variances_are_recovered_from_simulated_studies() -> None:
    """Over many studies of ordinary size the squares of the parts are right on average."""
    truth = {"seed": 0.03, "fold": 0.05, "rest": 0.02}
    found = [spread_parts(simulated(5, 5, **truth, generator=number).tolist()) for number in range(1500)]
    for name, std in truth.items():
        assert np.mean([one[name] ** 2 for one in found]) == pytest.approx(std**2, rel=0.06), name
    assert np.mean([one["within_fold"] ** 2 for one in found]) == pytest.approx(0.03**2 + 0.02**2, rel=0.06)
    assert np.mean([one["total"] ** 2 for one in found]) == pytest.approx(0.03**2 + 0.05**2 + 0.02**2, rel=0.06)


def test_a_fold_without_a_value_is_left_out_and_too_few_are_no_study() -> None:
    table = [[0.00, None, 0.04, 0.08], [0.06, 0.5, 0.08, 0.10]]
    assert spread_parts(table) == spread_parts([[0.00, 0.04, 0.08], [0.06, 0.08, 0.10]])
    for few in ([[0.5, 0.6]], [[0.5], [0.6]], [[0.5, None], [None, 0.7]], []):
        found = spread_parts(few)
        assert found["seed"] is found["fold"] is found["rest"] is found["total"] is None
        assert "two seeds, and two folds" in found["reason"]
    with pytest.raises(ValueError, match="as many folds in every seed"):
        spread_parts([[0.5, 0.6], [0.5]])


def test_the_interval_of_a_standard_deviation_over_seeds_holds_what_it_says() -> None:
    """Also by hand: of three values the chi-square quantiles with 2 degrees are -2 log(0.975) and -2 log(0.025)."""
    found = seed_spread([0.7, None, 0.8, 0.9])
    assert (found["mean"], found["std"], found["num_seeds"]) == (pytest.approx(0.8), pytest.approx(0.1), 3)
    assert found["std_low"] == pytest.approx(0.1 * math.sqrt(1 / -math.log(0.025)))
    assert found["std_high"] == pytest.approx(0.1 * math.sqrt(1 / -math.log(0.975)))
    draws = np.random.default_rng(5).normal(0.8, 0.02, (2000, 4))
    intervals = [seed_spread(values.tolist()) for values in draws]
    assert np.mean([one["std_low"] <= 0.02 <= one["std_high"] for one in intervals]) == pytest.approx(0.95, abs=0.015)
    for few in ([0.7, 0.9], [0.7, 0.7, 0.7]):
        assert (seed_spread(few)["std_low"], seed_spread(few)["std_high"]) == (None, None)
    one = seed_spread([0.7])
    assert (one["mean"], one["std"], one["std_low"], one["num_seeds"]) == (0.7, None, None, 1)


def test_an_interval_is_read_back_as_its_standard_error() -> None:
    entries = [{"low": 0.5 - 1.959964 * s, "high": 0.5 + 1.959964 * s} for s in (0.02, 0.04)]
    assert error_of_intervals([*entries, {"low": None, "high": None}]) == pytest.approx(0.03)
    assert error_of_intervals([{"low": None, "high": None}]) is None
