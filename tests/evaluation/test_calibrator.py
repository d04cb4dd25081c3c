"""Calibration fitted on validation: planted truths are found, what cannot be told is said, files come back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from fakes.planted import drawn, patients_of, singles
from scanlens.errors import RunError
from scanlens.evaluation.calibrator import FITTED_METHODS, Calibrator
from scanlens.evaluation.calibrator_choice import fit_calibrator
from scanlens.evaluation.metrics import log_loss_per_image
from scanlens.evaluation.resampling import group_patients
from scanlens.evaluation.temperature import fit_temperature


@pytest.mark.parametrize("planted", [0.4, 1.0, 2.5])
def test_a_planted_temperature_is_found_within_its_interval(planted: float) -> None:
    logits_NK, target_N = drawn(4000)
    found = fit_temperature(softmax(planted * logits_NK, axis=1), target_N, singles(target_N))
    assert found.temperature == pytest.approx(planted, rel=0.05)
    assert found.interval.low is not None
    assert found.interval.high is not None
    assert found.interval.low < planted < found.interval.high


def test_applying_a_planted_temperature_gives_the_true_probabilities_back() -> None:
    logits_NK, _ = drawn(50)
    calibrator = Calibrator("temperature", 3, temperature=2.5)
    calibrated_NK = calibrator.apply(softmax(2.5 * logits_NK, axis=1))
    np.testing.assert_allclose(calibrated_NK, softmax(logits_NK, axis=1), atol=1e-12)


def test_with_two_classes_temperature_is_logistic_regression_without_intercept() -> None:
    logits_NK, target_N = drawn(300, num_classes=2)
    stated_NK = softmax(1.7 * logits_NK, axis=1)
    odds_N1 = np.log(stated_NK[:, 1:] / stated_NK[:, :1])
    reference = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10).fit(odds_N1, target_N)
    found = fit_temperature(stated_NK, target_N, singles(target_N))
    assert 1 / found.temperature == pytest.approx(reference.coef_.item(), rel=1e-4)


def test_the_interval_of_the_temperature_holds_the_truth_for_patients_whose_images_are_copies() -> None:
    hits = 0
    for seed in range(200):
        logits_NK, target_N = drawn(40, seed=seed)
        copied, target = np.repeat(softmax(2 * logits_NK, axis=1), 5, axis=0), np.repeat(target_N, 5)
        interval = fit_temperature(copied, target, patients_of(target, 5)).interval
        hits += interval.low is None or interval.low < 2 < interval.high  # type: ignore[operator]
    assert hits / 200 == pytest.approx(0.95, abs=0.04)


def test_a_planted_shift_of_classes_is_found() -> None:
    logits_NK, target_N = drawn(6000)
    shift_K = np.array([1.2, -0.4, -0.8])
    stated_NK = softmax(2 * (logits_NK - shift_K), axis=1)
    found = fit_calibrator(stated_NK, target_N, groups=singles(target_N), method="bias_and_temperature", seed=0)
    assert found.calibrator.temperature == pytest.approx(2, rel=0.06)
    assert found.calibrator.biases == pytest.approx(shift_K.tolist(), abs=0.08)


def test_isotonic_is_scikit_learn_for_each_class_with_sum_one() -> None:
    logits_NK, target_N = drawn(200)
    stated_NK = softmax(3 * logits_NK, axis=1)
    fitted = fit_calibrator(stated_NK, target_N, groups=singles(target_N), method="isotonic", seed=0).calibrator
    columns = [
        IsotonicRegression(y_min=1 / 202, y_max=201 / 202).fit_transform(stated_NK[:, k], target_N == k)
        for k in range(3)
    ]
    reference_NK = np.stack(columns, axis=1)
    np.testing.assert_allclose(
        fitted.apply(stated_NK), reference_NK / reference_NK.sum(axis=1, keepdims=True), atol=1e-9
    )


@pytest.mark.parametrize("method", FITTED_METHODS)
def test_a_calibration_comes_back_from_json_and_gives_the_same_probabilities(method: str) -> None:
    logits_NK, target_N = drawn(120)
    stated_NK = softmax(2 * logits_NK, axis=1)
    made = fit_calibrator(stated_NK, target_N, groups=singles(target_N), method=method, seed=0).calibrator
    read = Calibrator.from_dict(json.loads(json.dumps(made.as_dict(), allow_nan=False)))
    assert read == made
    assert (read.apply(stated_NK) == made.apply(stated_NK)).all()
    assert made.apply(stated_NK).sum(axis=1) == pytest.approx(1)


def test_probabilities_of_zero_stay_usable() -> None:
    stated_NK = np.array([[1.0, 0.0], [0.0, 1.0]] * 10)
    target_N = np.array([0, 1] * 9 + [1, 1])
    groups = singles(target_N)
    calibrator = fit_calibrator(stated_NK, target_N, groups=groups, method="temperature", seed=0).calibrator
    assert np.isfinite(calibrator.apply(stated_NK)).all()
    odds = -np.log(np.finfo(float).eps) / calibrator.temperature
    assert odds == pytest.approx(np.log(19), rel=1e-3)  # 19 of 20 are right


@pytest.mark.parametrize(
    ("stated_NK", "target_N", "reason"),
    [
        ([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 0, 1], "hardly any error"),
        ([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [1, 1, 0], "no better than chance"),
        ([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]], [0, 1, 1], "same probability"),
    ],
)
@pytest.mark.parametrize("method", ["temperature", "bias_and_temperature"])
def test_a_temperature_that_cannot_be_told_is_one_and_says_why(
    stated_NK: list, target_N: list, reason: str, method: str
) -> None:
    found = fit_calibrator(stated_NK, target_N, groups=singles(np.array(target_N)), method=method, seed=0).calibrator
    assert (found.method, found.temperature) == ("none", 1.0)
    assert reason in (found.reason or "")


def test_a_single_patient_teaches_nothing() -> None:
    logits_NK, target_N = drawn(30)
    groups = group_patients(["p"] * 30, target_N)
    for method in ("temperature", "bias_and_temperature", "isotonic", "auto"):
        found = fit_calibrator(softmax(logits_NK, axis=1), target_N, groups=groups, method=method, seed=0).calibrator
        assert found.method == "none"
        assert found.reason


@pytest.mark.parametrize("method", ["bias_and_temperature", "isotonic"])
def test_a_class_absent_from_validation_leaves_a_temperature_alone(method: str) -> None:
    logits_NK, target_N = drawn(300)
    kept = target_N != 2
    found = fit_calibrator(
        softmax(logits_NK[kept], axis=1), target_N[kept], groups=singles(target_N[kept]), method=method, seed=0
    ).calibrator
    assert found.method == "temperature"
    assert "validation has no image of some class" in (found.reason or "")


def test_auto_leaves_calibrated_probabilities_alone_and_mends_others() -> None:
    logits_NK, target_N = drawn(400, seed=3)
    groups = singles(target_N)
    good = fit_calibrator(softmax(logits_NK, axis=1), target_N, groups=groups, seed=0)
    sure = fit_calibrator(softmax(3 * logits_NK, axis=1), target_N, groups=groups, seed=0)
    assert good.calibrator.method == "none"
    assert sure.calibrator.method == "temperature"
    shift_K = np.array([2.0, -1.0, -1.0])
    shifted = fit_calibrator(softmax(2 * (logits_NK - shift_K), axis=1), target_N, groups=groups, seed=0)
    assert shifted.calibrator.method == "bias_and_temperature"
    assert json.loads(json.dumps(shifted.as_dict(), allow_nan=False))["num_folds"] == 5


def test_auto_prefers_the_simpler_within_one_standard_error_of_the_best() -> None:
    logits_NK, target_N = drawn(60, seed=2)
    found = fit_calibrator(softmax(1.3 * logits_NK, axis=1), target_N, groups=singles(target_N), seed=0)
    assert min(found.log_loss, key=lambda name: found.log_loss[name]) == "temperature"
    behind, error = found.behind["none"]
    assert 0 < behind < error
    assert found.calibrator.method == "none"
    assert "within one standard error of temperature, and simpler" in (found.calibrator.reason or "")


def test_auto_judges_the_identity_by_its_plain_log_loss_and_is_the_same_again() -> None:
    logits_NK, target_N = drawn(100)
    stated_NK = softmax(2 * logits_NK, axis=1)
    once, again = (fit_calibrator(stated_NK, target_N, groups=patients_of(target_N, 4), seed=7) for _ in range(2))
    assert once == again
    assert once.log_loss["none"] == pytest.approx(log_loss_per_image(stated_NK, target_N).mean())
    best = min(once.log_loss, key=lambda name: once.log_loss[name])
    assert once.behind[best] == (0.0, 0.0)


def test_mistakes_are_named() -> None:
    logits_NK, target_N = drawn(12)
    stated_NK, groups = softmax(logits_NK, axis=1), singles(target_N)
    with pytest.raises(ValueError, match="Did you mean 'temperature'"):
        fit_calibrator(stated_NK, target_N, groups=groups, method="temperatur", seed=0)
    broken_NK = stated_NK.copy()
    broken_NK[4, 1] = np.nan
    with pytest.raises(ValueError, match="row 4 holds a value that is not finite"):
        fit_calibrator(broken_NK, target_N, groups=groups, seed=0)
    with pytest.raises(ValueError, match="row 4"):
        Calibrator("none", 3).apply(broken_NK)
    with pytest.raises(ValueError, match="for 4 classes, got 3"):
        Calibrator("temperature", 4, temperature=2.0).apply(stated_NK)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "magic"},
        {"temperature": 0},
        {"temperature": float("nan")},
        {"biases": [1, 2]},
        {"method": "isotonic"},
        {"curves": [{"stated": [0, 1], "becomes": [0.9, 0.1]}]},
        {"num_classes": None},
        {"curves": 3},
    ],
)
def test_a_file_that_would_not_give_probabilities_is_refused(change: dict) -> None:
    made = replace(Calibrator("temperature", 3, temperature=2.0), num_patients=5).as_dict()
    with pytest.raises(RunError, match="Judge the run again"):
        Calibrator.from_dict({**made, **change})
