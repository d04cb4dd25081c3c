"""Measures of calibration: parts that add up, references, and what cannot be told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

from fakes.planted import drawn, patients_of, singles
from scanlens.evaluation.brier_parts import brier_parts
from scanlens.evaluation.calibration import expected_calibration_error
from scanlens.evaluation.calibration_judgement import compare_calibration, measure_calibration
from scanlens.evaluation.calibrator import Calibrator
from scanlens.evaluation.metrics import brier_per_image
from scanlens.evaluation.recalibration import calibration_slope
from scanlens.evaluation.reliability import binned_error, reliability_bins
from scanlens.evaluation.resampling import group_patients

NAMES = ["a", "b", "c"]


def test_parts_of_the_brier_score_add_up_exactly() -> None:
    logits_NK, target_N = drawn(237)
    stated_NK = softmax(2 * logits_NK, axis=1)
    parts = brier_parts(stated_NK, target_N)
    total = parts.reliability - parts.resolution + parts.uncertainty
    assert total + parts.within_bin_variance - parts.within_bin_covariance == pytest.approx(parts.brier, abs=1e-12)
    assert parts.brier == pytest.approx(brier_per_image(stated_NK, target_N).mean(), abs=1e-12)
    assert parts.within_bin_variance > 1e-5


def test_parts_of_two_stated_values_are_those_computed_by_hand() -> None:
    """Ten images at 0.8 of which 6 are true, ten at 0.2 of which 2 are: bins hold equal probabilities."""
    positive_N = np.repeat([0.8, 0.2], 10)
    target_N = np.array([1] * 6 + [0] * 4 + [1] * 2 + [0] * 8)
    parts = brier_parts(np.stack([1 - positive_N, positive_N], axis=1), target_N)
    assert parts.reliability == pytest.approx(2 * 0.5 * (0.2**2 + 0.0**2))
    assert parts.resolution == pytest.approx(2 * 0.2**2)
    assert parts.uncertainty == pytest.approx(2 * 0.4 * 0.6)
    assert parts.within_bin_variance == pytest.approx(0)
    assert parts.within_bin_covariance == pytest.approx(0)


def test_the_plug_in_error_is_that_of_evaluation() -> None:
    logits_NK, target_N = drawn(150)
    stated_NK = softmax(2 * logits_NK, axis=1)
    found = measure_calibration(stated_NK, target_N, class_names=NAMES, groups=singles(target_N), seed=0)
    assert found.top is not None
    assert found.top.ece == pytest.approx(expected_calibration_error(stated_NK, target_N))


@pytest.mark.parametrize(("factor", "truth"), [(1.0, 0.0), (3.0, None)])
def test_the_debiased_error_is_nearer_to_that_of_endless_images(factor: float, truth: float | None) -> None:
    """Mean over 60 sets of 150 images, against the plug-in error of 200,000 images."""
    errors = []
    for seed in range(60):
        logits_NK, target_N = drawn(150, seed=seed)
        stated_NK = softmax(factor * logits_NK, axis=1)
        top = stated_NK.max(axis=1), stated_NK.argmax(axis=1) == target_N
        found = binned_error(*top, groups=singles(target_N))
        errors.append((found.ece, found.ece_debiased, found.rms_debiased))
    plug_in, debiased, rms = np.mean(errors, axis=0)
    if truth is None:
        logits_NK, target_N = drawn(200_000, seed=1000)
        truth = expected_calibration_error(softmax(factor * logits_NK, axis=1), target_N)
        assert rms > truth
    assert abs(debiased - truth) < 0.6 * abs(plug_in - truth)


def test_of_copies_of_images_the_debiased_error_takes_off_what_the_originals_would() -> None:
    logits_NK, target_N = drawn(120, seed=5)
    stated_NK = softmax(2 * logits_NK, axis=1)
    stated_N, is_right_N = stated_NK.max(axis=1), stated_NK.argmax(axis=1) == target_N
    copied = binned_error(
        np.repeat(stated_N, 4), np.repeat(is_right_N, 4), groups=patients_of(np.repeat(target_N, 4), 4)
    )
    assert copied.ece_debiased == pytest.approx(
        binned_error(stated_N, is_right_N, groups=singles(target_N)).ece_debiased
    )


def test_slope_and_intercept_are_those_of_logistic_regression() -> None:
    generator = np.random.default_rng(1)
    odds_N = generator.normal(0, 2, 500)
    is_true_N = generator.random(500) < expit(0.6 * odds_N - 0.5)
    found = calibration_slope(expit(odds_N), is_true_N, groups=singles(is_true_N.astype(np.int64)), name="a")
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(odds_N[:, None], is_true_N)
    assert found.slope["value"] == pytest.approx(reference.coef_.item(), rel=1e-4)
    assert found.slope["low"] < 0.6 < found.slope["high"] < 1
    assert expit(odds_N + found.intercept["value"]).mean() == pytest.approx(is_true_N.mean(), abs=1e-6)
    assert found.intercept["high"] < 0


def test_intervals_of_the_slope_know_that_copies_tell_nothing_new() -> None:
    generator = np.random.default_rng(2)
    odds_N = generator.normal(0, 2, 60)
    is_true_N = generator.random(60) < expit(odds_N)
    once = calibration_slope(expit(odds_N), is_true_N, groups=singles(is_true_N.astype(np.int64)), name="a")
    copies = np.repeat(is_true_N, 6)
    often = calibration_slope(
        expit(np.repeat(odds_N, 6)), copies, groups=patients_of(copies.astype(np.int64), 6), name="a"
    )
    for key in ("value", "low", "high"):
        assert often.slope[key] == pytest.approx(once.slope[key], rel=1e-4)


@pytest.mark.parametrize(
    ("stated", "truth", "reason"),
    [
        ([0.2, 0.3, 0.8], [False, False, True], "separates"),
        ([0.5, 0.5, 0.5], [False, True, True], "the same for all"),
        ([0.2, 0.3, 0.8], [False, False, False], "nothing of class 'a' here"),
        ([0.2, 0.3, 0.8], [True, True, True], "nothing but class 'a' here"),
    ],
)
def test_a_slope_that_cannot_be_told_says_why(stated: list, truth: list, reason: str) -> None:
    is_true_N = np.array(truth)
    found = calibration_slope(np.array(stated), is_true_N, groups=singles(is_true_N.astype(np.int64)), name="a")
    assert found.slope["value"] is None
    assert reason in found.slope["reason"]


def test_bins_of_the_reliability_curve_hold_their_images_intervals_and_chance() -> None:
    """Twenty images at 0.75 of which 10 came true: Wilson's interval of 10 of 20, and binomial chance."""
    bins = reliability_bins(np.full(20, 0.75), np.arange(20) < 10, groups=singles(np.zeros(20, dtype=np.int64)), seed=0)
    assert [(one.stated, one.observed, one.num_images, one.num_patients) for one in bins] == [(0.75, 0.5, 20, 20)]
    assert (bins[0].low, bins[0].high) == pytest.approx((0.2993, 0.7007), abs=1e-4)
    assert (bins[0].chance_low, bins[0].chance_high) == pytest.approx((0.55, 0.90), abs=0.051)


def test_calibration_of_calibrated_outcomes_lies_within_chance_in_most_bins() -> None:
    logits_NK, target_N = drawn(3000, seed=9)
    stated_NK = softmax(logits_NK, axis=1)
    bins = reliability_bins(
        stated_NK.max(axis=1), stated_NK.argmax(axis=1) == target_N, groups=singles(target_N), seed=0
    )
    assert len(bins) == 10
    assert sum(one.chance_low <= one.observed <= one.chance_high for one in bins) >= 8


def test_mending_a_network_that_is_too_sure_gains_on_new_images() -> None:
    logits_NK, target_N = drawn(1000, seed=4)
    stated_NK = softmax(3 * logits_NK, axis=1)
    change = compare_calibration(
        Calibrator("temperature", 3, temperature=3.0), stated_NK, target_N,
        class_names=NAMES, groups=singles(target_N), seed=0,
    ).as_dict()  # fmt: skip
    assert change["num_changed"] == 0
    assert change["gain"]["log_loss"]["low"] > 0
    lost = change["before"]["log_loss"]["value"] - change["after"]["log_loss"]["value"]
    assert change["gain"]["log_loss"]["value"] == pytest.approx(lost)
    assert change["before"]["per_class"]["a"]["slope"]["high"] < 0.5
    assert change["after"]["per_class"]["a"]["slope"]["value"] == pytest.approx(1, abs=0.15)
    assert change["after"]["ece"] < change["before"]["ece"] / 2
    assert sum(change["after"]["stated"]) == 1000
    json.dumps(change, allow_nan=False)


@pytest.mark.parametrize("num", [3, 40])
def test_a_single_class_or_patient_gives_reasons_and_no_nan(num: int) -> None:
    stated_NK = softmax(drawn(num)[0], axis=1)
    target_N = np.zeros(num, dtype=np.int64)
    for groups in (singles(target_N), group_patients(["p"] * num, target_N)):
        found = measure_calibration(stated_NK, target_N, class_names=NAMES, groups=groups, seed=0).as_dict()
        assert "nothing of class 'b' here" in found["per_class"]["b"]["slope"]["reason"]
        assert (found["ece"] is None) == (num == 3) == (found["reason"] is not None)
        json.dumps(found, allow_nan=False)


def test_a_stated_certainty_that_is_wrong_has_finite_measures() -> None:
    stated_NK = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.4, 0.6]])
    target_N = np.array([0, 1, 1, 0])
    found = measure_calibration(stated_NK, target_N, class_names=["a", "b"], groups=singles(target_N), seed=0)
    json.dumps(found.as_dict(), allow_nan=False)
    assert found.log_loss["value"] == pytest.approx((-np.log(np.finfo(float).eps) - np.log(0.4)) / 4)


def test_a_row_that_is_not_finite_is_named() -> None:
    stated_NK = np.array([[0.5, 0.5], [np.nan, 0.5]])
    with pytest.raises(ValueError, match="row 1"):
        measure_calibration(stated_NK, [0, 1], class_names=["a", "b"], groups=singles(np.array([0, 1])), seed=0)
