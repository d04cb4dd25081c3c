"""Values against scikit-learn and by hand, and what is said where there is no value."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as reference

from scanlens.evaluation.calibration import chance_calibration_error, expected_calibration_error
from scanlens.evaluation.metrics import Metrics, classification_metrics
from scanlens.evaluation.quick import quick_metrics
from scanlens.evaluation.ranking import Ranking
from scanlens.evaluation.weighted import WeightedMetrics

NAMES = ["a", "b", "c"]


def predictions(num: int = 240, *, seed: int = 0, is_tied: bool = False) -> tuple[NDArray, NDArray]:
    """Imperfect probabilities of three classes; if tied, in tenths, so that scores are exactly equal."""
    generator = np.random.default_rng(seed)
    target_N = generator.integers(3, size=num)
    logits_NK = generator.normal(size=(num, 3))
    logits_NK[np.arange(num), target_N] += 1.0
    probabilities_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(axis=1, keepdims=True)
    return (generator.multinomial(10, probabilities_NK) / 10 if is_tied else probabilities_NK), target_N


def judged(probabilities_NK: object, target_N: object, names: list[str] = NAMES) -> Metrics:
    return classification_metrics(np.asarray(probabilities_NK, dtype=float), np.asarray(target_N), class_names=names)


@pytest.mark.parametrize("is_tied", [False, True])
def test_values_equal_those_of_scikit_learn(is_tied: bool) -> None:
    probabilities_NK, target_N = predictions(is_tied=is_tied)
    found = judged(probabilities_NK, target_N)
    predicted_N = probabilities_NK.argmax(axis=1)
    truth_NK = np.eye(3)[target_N]
    expected = {
        "auroc": reference.roc_auc_score(target_N, probabilities_NK, multi_class="ovr"),
        "auprc": reference.average_precision_score(truth_NK, probabilities_NK),
        "accuracy": reference.accuracy_score(target_N, predicted_N),
        "balanced_accuracy": reference.balanced_accuracy_score(target_N, predicted_N),
        "log_loss": reference.log_loss(target_N, probabilities_NK),
        "brier": sum(reference.brier_score_loss(truth_NK[:, k], probabilities_NK[:, k]) for k in range(3)),
    }
    assert {name: found.overall[name].value for name in expected} == pytest.approx(expected)
    precision, recall, f1, _ = reference.precision_recall_fscore_support(target_N, predicted_N)
    for k, one in enumerate(found.per_class):
        assert one["precision"].value == pytest.approx(precision[k])
        assert one["sensitivity"].value == pytest.approx(recall[k])
        assert one["f1"].value == pytest.approx(f1[k])
        assert one["specificity"].value == pytest.approx(reference.recall_score(target_N != k, predicted_N != k))
        assert one["auroc"].value == pytest.approx(reference.roc_auc_score(target_N == k, probabilities_NK[:, k]))
    np.testing.assert_array_equal(found.confusion_KK, reference.confusion_matrix(target_N, predicted_N))


def test_values_of_four_images_by_hand() -> None:
    found = judged([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], [0, 0, 1, 1], ["healthy", "ill"])
    np.testing.assert_array_equal(found.confusion_KK, [[1, 1], [0, 2]])
    ill = {name: metric.value for name, metric in found.per_class[1].items()}
    assert ill == pytest.approx(
        {"auroc": 1.0, "auprc": 1.0, "sensitivity": 1.0, "specificity": 0.5, "precision": 2 / 3, "f1": 0.8}
    )
    assert found.overall["accuracy"].value == 0.75
    assert found.overall["balanced_accuracy"].value == 0.75
    assert found.overall["brier"].value == pytest.approx(2 * (0.01 + 0.36 + 0.04 + 0.09) / 4)
    assert found.overall["log_loss"].value == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean())


def test_a_constant_prediction_has_an_auroc_of_one_half() -> None:
    found = judged(np.full((40, 2), 0.5), np.arange(40) % 2, ["a", "b"])
    assert found.overall["auroc"].value == 0.5
    assert found.overall["auprc"].value == 0.5


def test_a_wrong_and_certain_answer_has_a_finite_log_loss() -> None:
    found = judged([[1.0, 0.0], [0.0, 1.0]], [1, 1], ["a", "b"])
    assert found.overall["log_loss"].value == pytest.approx(-np.log(np.finfo(float).eps) / 2)


def test_an_absent_class_is_named_and_left_out_of_the_balanced_accuracy() -> None:
    probabilities_NK, target_N = predictions()
    keep = target_N != 2
    found = judged(probabilities_NK[keep], target_N[keep])
    recalls = [one["sensitivity"].value for one in found.per_class[:2]]
    assert found.overall["balanced_accuracy"].value == pytest.approx(np.mean(recalls))
    assert "'c'" in str(found.overall["balanced_accuracy"].reason)
    areas = [one["auroc"].value for one in found.per_class[:2]]
    assert found.overall["auroc"].value == pytest.approx(np.mean(areas))
    assert "without 'c'" in str(found.overall["auroc"].reason)
    assert found.per_class[2]["sensitivity"].value is None
    assert "nothing of class 'c'" in str(found.per_class[2]["sensitivity"].reason)
    assert found.per_class[2]["specificity"].value is not None
    assert found.roc[2] is None
    assert found.roc[0] is not None


def test_a_single_class_has_no_curve_and_says_so() -> None:
    found = judged([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1]], [0, 0])
    assert found.overall["auroc"].value is None
    assert found.overall["auroc"].reason == "only one class here"
    assert found.overall["accuracy"].value == 0.5
    assert found.per_class[0]["specificity"].value is None
    assert found.per_class[2]["precision"].reason == "class 'c' was never predicted"
    assert found.roc == [None, None, None]


def test_one_image_is_judged() -> None:
    found = judged([[0.2, 0.7, 0.1]], [1])
    assert found.overall["accuracy"].value == 1.0
    assert found.overall["ece"].value is None
    assert "fewer than 30" in str(found.overall["ece"].reason)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([np.nan, 0.5, 0.5], "row 1 holds a value that is not finite"),
        ([0.5, 0.7, -0.2], r"row 1 leaves \[0, 1\]"),
        ([0.5, 0.2, 0.2], "row 1 has sum 0.9"),
    ],
)
def test_impossible_probabilities_name_the_row(row: list[float], words: str) -> None:
    for judge in (judged, quick_metrics):
        with pytest.raises(ValueError, match=words):
            judge(np.array([[0.2, 0.3, 0.5], row]), np.array([0, 1]))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ([0, 3], "row 1 is 3, expected a class number in 0..2"),
        ([0], "each of 2 images"),
        ([0.0, 1.0], "whole class numbers"),
    ],
)
def test_impossible_targets_are_refused(target: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        judged(np.full((2, 3), 1 / 3), target)


def test_class_names_must_fit_the_columns() -> None:
    with pytest.raises(ValueError, match="expected 3 names"):
        judged(np.full((2, 3), 1 / 3), [0, 1], ["a", "b"])


def test_the_roc_curve_is_short_ends_in_its_corners_and_keeps_its_area() -> None:
    probabilities_NK, target_N = predictions(5000, seed=3)
    found = judged(probabilities_NK, target_N)
    for curve, one in zip(found.roc, found.per_class, strict=True):
        assert curve is not None
        x, y = np.array(curve.false_positive_rate), np.array(curve.true_positive_rate)
        assert len(x) == len(y) <= 200
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        assert (np.diff(x) >= 0).all()
        assert (np.diff(y) >= 0).all()
        assert np.trapezoid(y, x) == pytest.approx(one["auroc"].value, abs=2e-3)


def test_calibration_error_of_a_calibrated_sampler_is_small_and_within_chance() -> None:
    generator = np.random.default_rng(1)
    stated_N = generator.uniform(0.5, 1, size=20_000)
    probabilities_NK = np.stack([stated_N, 1 - stated_N], axis=1)
    target_N = (generator.random(20_000) > stated_N).astype(int)
    error = expected_calibration_error(probabilities_NK, target_N)
    mean, high = chance_calibration_error(probabilities_NK, seed=0)
    assert error < 0.02
    assert 0 < mean < high < 0.02
    assert error < high


def test_calibration_error_of_an_overconfident_network_is_the_excess() -> None:
    probabilities_NK = np.tile([0.9, 0.1], (100, 1))
    target_N = (np.arange(100) >= 60).astype(int)
    assert expected_calibration_error(probabilities_NK, target_N) == pytest.approx(0.3)
    assert expected_calibration_error(probabilities_NK, target_N[::-1].copy()) == pytest.approx(0.3)


def test_calibration_bins_hold_equal_counts() -> None:
    stated_N = np.linspace(0.51, 0.99, 30)  # two images in each of 15 bins
    probabilities_NK = np.stack([stated_N, 1 - stated_N], axis=1)
    target_N = np.tile([0, 1], 15)  # in each bin one right, one wrong
    pairs = stated_N.reshape(15, 2).mean(axis=1)
    assert expected_calibration_error(probabilities_NK, target_N) == pytest.approx(np.abs(pairs - 0.5).mean())


@pytest.mark.parametrize("is_tied", [False, True])
def test_weighted_areas_are_those_of_repeated_rows(is_tied: bool) -> None:
    probabilities_NK, target_N = predictions(120, seed=5, is_tied=is_tied)
    weights_NR = np.random.default_rng(2).integers(0, 4, size=(120, 6)).astype(float)
    found = WeightedMetrics(probabilities_NK, target_N)(weights_NR)
    for r in range(6):
        rows = np.repeat(np.arange(120), weights_NR[:, r].astype(int))
        repeated = judged(probabilities_NK[rows], target_N[rows])
        for name in ("auroc", "auprc", "balanced_accuracy"):
            assert found[name][r] == pytest.approx(repeated.overall[name].value)
        for k in range(3):
            for name in ("auroc", "auprc", "f1"):
                assert found[f"class_{name}"][k, r] == pytest.approx(repeated.per_class[k][name].value)


def test_a_weighting_without_a_class_has_no_area_and_no_mean_over_classes() -> None:
    probabilities_NK, target_N = predictions(60)
    found = WeightedMetrics(probabilities_NK, target_N)((target_N != 1).astype(float)[:, None])
    assert np.isnan([found["auroc"][0], found["balanced_accuracy"][0], found["class_auroc"][1, 0]]).all()
    assert np.isfinite(found["class_auroc"][0, 0])


def test_all_scores_tied_rank_as_chance() -> None:
    auroc_R, auprc_R = Ranking(np.zeros(10), np.arange(10) < 3).areas(np.ones((10, 1)))
    assert auroc_R[0] == 0.5
    assert auprc_R[0] == pytest.approx(0.3)


@pytest.mark.parametrize("is_tied", [False, True])
def test_quick_metrics_are_the_full_ones(is_tied: bool) -> None:
    probabilities_NK, target_N = predictions(500, seed=7, is_tied=is_tied)
    full = judged(probabilities_NK, target_N).overall
    quick = quick_metrics(probabilities_NK, target_N)
    assert quick == pytest.approx({name: full[name].value for name in quick})


def test_quick_metrics_of_a_single_class_leave_the_curves_out() -> None:
    found = quick_metrics(np.array([[0.7, 0.3], [0.4, 0.6]]), np.array([0, 0]))
    assert found == {"auroc": None, "auprc": None, "balanced_accuracy": 0.5, "accuracy": 0.5}


def test_quick_metrics_without_one_class_are_means_over_the_others() -> None:
    probabilities_NK, target_N = predictions(200, seed=8)
    keep = target_N != 2
    full = judged(probabilities_NK[keep], target_N[keep])
    quick = quick_metrics(probabilities_NK[keep], target_N[keep])
    assert quick["auroc"] == pytest.approx(np.mean([one["auroc"].value for one in full.per_class[:2]]))
    assert quick["balanced_accuracy"] == pytest.approx(full.overall["balanced_accuracy"].value)
