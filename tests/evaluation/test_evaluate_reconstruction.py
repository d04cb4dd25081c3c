"""The judgement of an autoencoder."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from scanlens.evaluation.reconstruction import anomaly_score, evaluate_reconstruction


def judged(**changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    settings: dict[str, Any] = {
        "mse_N": generator.uniform(0.01, 0.02, size=90),
        "psnr_N": generator.normal(20, 1, size=90),
        "ssim_N": generator.uniform(0.6, 0.9, size=90),
        "targets": ["healthy"] * 60 + ["tumor"] * 30,
        "normal_classes": ["healthy"],
        "reference_mse": generator.uniform(0.01, 0.02, size=50),
        "patients": [f"p{i // 3}" for i in range(90)],
        "seed": 0,
        "num_resamples": 200,
        **changes,
    }
    found = evaluate_reconstruction(**settings)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def test_anomaly_scores_by_hand_go_to_both_sides() -> None:
    reference = [1.0, 2.0, 3.0, 4.0, 5.0]  # median 3, median absolute deviation 1
    np.testing.assert_allclose(anomaly_score([3.0, 5.0, 0.5, 9.0], reference), [0, 2, 2.5, 6])


def test_blank_images_that_are_easy_to_give_back_are_unusual_too() -> None:
    generator = np.random.default_rng(0)
    normal, blank = generator.normal(0.02, 0.003, size=200), np.full(20, 1e-4)
    scores_N = anomaly_score(np.r_[normal[100:], blank], normal[:100])
    is_blank_N = np.r_[np.zeros(100), np.ones(20)]
    assert roc_auc_score(is_blank_N, scores_N) == 1.0
    assert roc_auc_score(is_blank_N, np.r_[normal[100:], blank]) == 0.0


def test_alike_reference_errors_give_finite_scores_in_the_right_order() -> None:
    scores_N = anomaly_score([0.5, 0.6, 0.9], [0.5, 0.5, 0.5])
    assert np.isfinite(scores_N).all()
    assert scores_N[0] == 0 < scores_N[1] < scores_N[2]


def test_anomaly_scores_need_a_reference_and_finite_errors() -> None:
    with pytest.raises(ValueError, match="expected errors of normal validation images, got none"):
        anomaly_score([1.0], [])
    with pytest.raises(ValueError, match="error_N: row 1 is nan"):
        anomaly_score([1.0, np.nan], [1.0])


def test_means_have_intervals_over_patients() -> None:
    mse_N = np.repeat(np.random.default_rng(1).uniform(0.01, 0.02, size=30), 3)
    found, alone = judged(mse_N=mse_N), judged(mse_N=mse_N, patients=[None] * 90)
    mse, mse_alone = found["metrics"]["mse"], alone["metrics"]["mse"]
    assert mse["value"] == pytest.approx(mse_N.mean())
    assert mse["low"] < mse["value"] < mse["high"]
    assert mse["high"] - mse["low"] > 1.4 * (mse_alone["high"] - mse_alone["low"])
    assert found["per_class"]["tumor"]["mse"]["value"] == pytest.approx(mse_N[60:].mean())
    assert (found["num_images"], found["num_patients"], alone["num_patients"]) == (90, 30, None)
    assert found["counts"] == {"healthy": 60, "tumor": 30}
    assert found["interval"]["resampled"] == "patients"
    assert alone["interval"]["resampled"] == "images (patients unknown)"


def test_the_anomaly_auroc_is_that_of_the_two_sided_score_with_an_interval() -> None:
    generator = np.random.default_rng(5)
    mse_N, reference = np.abs(np.r_[generator.normal(5, 1, 60), generator.normal(5, 3, 30)]), generator.normal(5, 1, 80)
    found = judged(mse_N=mse_N, reference_mse=reference)
    is_abnormal_N = np.repeat([0, 1], [60, 30])
    auroc = found["anomaly"]["auroc"]
    assert auroc["value"] == pytest.approx(roc_auc_score(is_abnormal_N, anomaly_score(mse_N, reference)))
    assert 0.5 < auroc["low"] < auroc["value"] < auroc["high"]
    assert found["anomaly"]["chance_auprc"] == pytest.approx(1 / 3)
    assert found["anomaly"]["abnormal_classes"] == ["tumor"]
    assert (found["anomaly"]["num_normal"], found["anomaly"]["num_abnormal"]) == (60, 30)
    assert found["roc"]["abnormal"]["true_positive_rate"][-1] == 1.0


def test_images_without_a_label_are_left_out_of_the_anomaly_auroc() -> None:
    labeled = judged(patients=[None] * 90)
    extra = {
        name: np.r_[labeled_N, [0.5] * 5]
        for name, labeled_N in zip(("mse_N", "psnr_N", "ssim_N"), three(), strict=True)
    }
    found = judged(**extra, targets=["healthy"] * 60 + ["tumor"] * 30 + [None] * 5, patients=[None] * 95)
    assert found["num_images"] == 95
    assert found["anomaly"]["auroc"]["value"] == labeled["anomaly"]["auroc"]["value"]


def three() -> tuple[NDArray, NDArray, NDArray]:
    """The columns that `judged` makes."""
    generator = np.random.default_rng(0)
    return (
        generator.uniform(0.01, 0.02, size=90),
        generator.normal(20, 1, size=90),
        generator.uniform(0.6, 0.9, size=90),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"targets": [None] * 90}, "no labels"),
        ({"normal_classes": None}, "trained on all classes"),
        ({"targets": ["healthy"] * 90}, "all images here are of classes that count as normal"),
        ({"targets": ["tumor"] * 90}, "no image here is of a class that counts as normal (healthy)"),
        ({"reference_mse": []}, "validation split has no normal images"),
    ],
)
def test_where_nothing_can_be_compared_the_reason_is_given(changes: dict[str, Any], words: str) -> None:
    found = judged(**changes)
    assert found["anomaly"]["auroc"]["value"] is None
    assert words in found["anomaly"]["reason"]
    assert found["anomaly"]["auroc"]["reason"] == found["anomaly"]["reason"]
    assert found["roc"] == {}
    assert found["metrics"]["ssim"]["low"] is not None


def test_one_image_has_values_without_intervals() -> None:
    found = judged(mse_N=[0.1], psnr_N=[10.0], ssim_N=[1.0], targets=["tumor"], patients=["a"])
    assert found["metrics"]["psnr"]["value"] == 10.0
    assert found["metrics"]["psnr"]["low"] is None
    assert "no interval" in found["metrics"]["psnr"]["reason"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mse_N": np.full(90, np.inf)}, "mse_N: row 0 is inf"),
        ({"ssim_N": np.ones(3)}, "ssim_N: expected one entry for each of 90 images, got 3"),
        ({"patients": ["a"]}, "patients"),
        ({"targets": ["a"]}, "targets"),
        ({"mse_N": [], "psnr_N": [], "ssim_N": []}, "at least one image"),
        ({"reference_mse": [np.nan]}, "reference_mse: row 0 is nan"),
        ({"num_resamples": -1}, "num_resamples"),
    ],
)
def test_impossible_input_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        judged(**changes)
