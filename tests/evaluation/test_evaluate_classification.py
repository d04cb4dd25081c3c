"""The dictionary that becomes `evaluation.json`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from scanlens.evaluation.classification import evaluate_classification
from scanlens.evaluation.intervals import wilson

NAMES = ["glioma", "meningioma", "no_tumor"]
METRICS = {"auroc", "auprc", "accuracy", "balanced_accuracy", "log_loss", "brier", "ece"}
PER_CLASS = {"auroc", "auprc", "sensitivity", "specificity", "precision", "f1"}


def study(
    *, num_patients: int = 60, per_patient: int = 6, signal: float = 1.2, spread: float = 1.0, seed: int = 0
) -> dict[str, Any]:
    """Slices of patients whose logits share a disturbance of the patient."""
    generator = np.random.default_rng(seed)
    target_P = np.arange(num_patients) % 3
    target_N = np.repeat(target_P, per_patient)
    logits_NK = np.repeat(spread * generator.normal(size=(num_patients, 3)), per_patient, axis=0)
    logits_NK += 0.5 * generator.normal(size=logits_NK.shape)
    logits_NK[np.arange(len(target_N)), target_N] += signal
    probabilities_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(axis=1, keepdims=True)
    patients = [f"p{p}" for p in range(num_patients) for _ in range(per_patient)]
    return {"probabilities_NK": probabilities_NK, "target_N": target_N, "patients": patients}


def judged(data: dict[str, Any], *, num_resamples: int = 200, **changes: Any) -> dict[str, Any]:
    settings = {"class_names": NAMES, "seed": 0, "num_resamples": num_resamples, **data, **changes}
    return evaluate_classification(settings.pop("probabilities_NK"), settings.pop("target_N"), **settings)


def bounds(metric: dict[str, Any]) -> tuple[float, float]:
    return metric["low"], metric["high"]


def test_the_layout_is_the_public_one_at_both_levels() -> None:
    found = judged(study())
    assert set(found) == {"slice", "patient", "patient_reason", "baseline"}
    assert found["baseline"] == found["slice"]["baseline"]
    assert found["patient_reason"] is None
    common = {"num_images", "num_patients", "unit", "counts", "metrics", "per_class"}
    common |= {"confusion", "roc", "interval", "baseline"}
    assert set(found["slice"]) == common
    assert set(found["patient"]) == common | {"excluded"}
    for level in (found["slice"], found["patient"]):
        assert set(level["metrics"]) == METRICS
        assert list(level["per_class"]) == list(level["roc"]) == list(level["counts"]) == NAMES
        assert all(set(one) == PER_CLASS | {"num"} for one in level["per_class"].values())
        assert all(set(one) == {"value", "low", "high", "reason"} for one in level["metrics"].values())
        assert set(level["interval"]) == {"method", "level", "num_resamples", "resampled", "note"}
    assert (found["slice"]["num_images"], found["slice"]["num_patients"], found["slice"]["unit"]) == (360, 60, "image")
    assert (found["patient"]["num_images"], found["patient"]["num_patients"], found["patient"]["unit"]) == (
        360,
        60,
        "patient",
    )
    assert np.sum(found["slice"]["confusion"]) == 360
    assert np.sum(found["patient"]["confusion"]) == 60
    assert found["slice"]["interval"]["resampled"] == found["patient"]["interval"]["resampled"] == "patients"


def test_every_interval_holds_its_value() -> None:
    found = judged(study())
    for level in (found["slice"], found["patient"]):
        named = {**level["metrics"], **{(k, m): one[m] for k, one in level["per_class"].items() for m in PER_CLASS}}
        for name, metric in named.items():
            if name == "ece":
                assert metric["low"] is None
                assert "calibrated network would show" in metric["reason"]
            else:
                assert metric["low"] < metric["value"] < metric["high"], name
                assert metric["reason"] is None


def test_the_same_seed_gives_the_same_dictionary_and_json_holds_no_nan() -> None:
    first, again = judged(study()), judged(study())
    text = json.dumps(first, allow_nan=False)
    assert json.loads(text) == first == again
    assert judged(study(), seed=1) != first


def test_no_name_of_a_patient_is_in_the_result() -> None:
    data = study()
    data["patients"] = [f"Doe^{name}" for name in data["patients"]]
    assert "Doe" not in json.dumps(judged(data))


def test_known_patients_widen_the_intervals_of_alike_slices() -> None:
    data = study(spread=2.0)
    grouped, alone = judged(data)["slice"], judged(data, patients=[None] * 360)["slice"]
    assert alone["interval"]["resampled"] == "images (patients unknown)"
    assert alone["num_patients"] is None
    for name in METRICS - {"ece"}:
        low, high = bounds(grouped["metrics"][name])
        naive_low, naive_high = bounds(alone["metrics"][name])
        assert high - low > 1.5 * (naive_high - naive_low), name


def test_unknown_patients_have_no_patient_level_and_a_reason() -> None:
    found = judged(study(), patients=[""] * 360)
    assert found["patient"] is None
    assert "no patient is known" in found["patient_reason"]


def test_patients_of_several_classes_are_excluded_from_the_patient_level() -> None:
    data = study()
    data["target_N"] = data["target_N"].copy()
    data["target_N"][0] = 1
    found = judged(data)
    assert found["patient"]["excluded"] == {"mixed_patients": 1, "images_without_patient": 0}
    assert (found["patient"]["num_patients"], found["patient"]["num_images"]) == (59, 354)


def test_the_baseline_is_what_can_be_had_without_looking() -> None:
    found = judged(study(num_patients=30))["slice"]["baseline"]
    assert found["accuracy"] == found["balanced_accuracy"] == pytest.approx(1 / 3)
    assert found["auroc"] == 0.5
    assert found["auprc"] == pytest.approx(1 / 3)
    assert found["log_loss"] == pytest.approx(np.log(3))
    assert found["brier"] == pytest.approx(2 / 3)
    uneven = evaluate_classification(
        np.full((10, 2), 0.5), np.array([1] * 8 + [0] * 2), class_names=["a", "b"], patients=[None] * 10, seed=0
    )
    assert uneven["slice"]["baseline"]["majority_class"] == "b"
    assert uneven["slice"]["baseline"]["accuracy"] == 0.8
    assert uneven["slice"]["baseline"]["auprc_per_class"] == {"a": 0.2, "b": 0.8}


def test_a_perfect_result_is_not_called_certain() -> None:
    target_N = np.repeat([0, 1, 2], 20)
    found = judged({"probabilities_NK": np.eye(3)[target_N], "target_N": target_N, "patients": [None] * 60})["slice"]
    assert found["metrics"]["auroc"]["value"] == 1.0
    assert bounds(found["metrics"]["auroc"]) == (pytest.approx(0.925, abs=1e-3), 1.0)
    assert bounds(found["per_class"]["glioma"]["auroc"]) == pytest.approx(bounds(found["metrics"]["auroc"]))
    assert bounds(found["metrics"]["auprc"]) == (None, None)
    assert "same value" in found["metrics"]["auprc"]["reason"]
    assert bounds(found["metrics"]["accuracy"]) == pytest.approx(wilson(60, 60))
    assert bounds(found["per_class"]["glioma"]["sensitivity"]) == pytest.approx(wilson(20, 20))


def test_an_absent_class_gives_nulls_with_reasons_and_no_curve() -> None:
    data = study()
    keep = data["target_N"] != 2
    patients = [name for name, is_kept in zip(data["patients"], keep, strict=True) if is_kept]
    found = judged(
        {"probabilities_NK": data["probabilities_NK"][keep], "target_N": data["target_N"][keep]}, patients=patients
    )
    level = json.loads(json.dumps(found["slice"], allow_nan=False))
    assert level["counts"]["no_tumor"] == level["per_class"]["no_tumor"]["num"] == 0
    auroc = level["metrics"]["auroc"]
    assert auroc["low"] < auroc["value"] < auroc["high"]
    assert "without 'no_tumor'" in auroc["reason"]
    assert level["metrics"]["balanced_accuracy"]["low"] is not None
    assert "'no_tumor'" in level["metrics"]["balanced_accuracy"]["reason"]
    assert list(level["roc"]) == NAMES[:2]
    assert level["baseline"]["balanced_accuracy"] == 0.5
    assert level["baseline"]["auprc"] == pytest.approx(0.5)


@pytest.mark.parametrize("num_images", [1, 2, 12])
def test_a_single_class_is_judged_as_far_as_it_goes(num_images: int) -> None:
    probabilities_NK = np.tile([0.7, 0.2, 0.1], (num_images, 1))
    target_N = np.zeros(num_images, dtype=int)
    found = judged({"probabilities_NK": probabilities_NK, "target_N": target_N, "patients": [None] * num_images})
    json.dumps(found, allow_nan=False)
    metrics = found["slice"]["metrics"]
    assert metrics["accuracy"]["value"] == 1.0
    assert metrics["auroc"] == {"value": None, "low": None, "high": None, "reason": "only one class here"}


def test_a_single_patient_has_values_but_no_intervals() -> None:
    data = study(num_patients=3)
    found = judged(data, patients=["one"] * 18)
    assert "of one patient" in found["patient_reason"]
    assert found["slice"]["num_patients"] == 1
    for name in METRICS - {"ece"}:
        metric = found["slice"]["metrics"][name]
        assert metric["value"] is not None
        assert bounds(metric) == (None, None)
        assert "no interval" in metric["reason"]


def test_a_class_of_one_patient_has_no_interval_and_few_patients_are_noted() -> None:
    data = study(num_patients=40)
    data["patients"] = ["same" if k == 0 else name for name, k in zip(data["patients"], data["target_N"], strict=True)]
    found = judged(data)["slice"]
    assert bounds(found["per_class"]["glioma"]["sensitivity"]) == (None, None)
    assert bounds(found["metrics"]["auroc"]) == (None, None)
    assert bounds(found["per_class"]["meningioma"]["sensitivity"]) != (None, None)
    assert found["interval"]["note"] == "Fewer than 10 patients of 'glioma' (1): read these intervals with care."


def test_without_resamples_shares_and_the_auroc_have_intervals() -> None:
    metrics = judged(study(), num_resamples=0)["slice"]["metrics"]
    assert metrics["accuracy"]["low"] is not None
    assert metrics["auroc"]["low"] is not None
    assert bounds(metrics["auprc"]) == (None, None)
    assert "no resamples" in metrics["auprc"]["reason"]


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="once"):
        judged(study(), class_names=["a", "a", "b"])
    with pytest.raises(ValueError, match="num_resamples"):
        judged(study(), num_resamples=-1)
    with pytest.raises(ValueError, match="patients: expected one entry"):
        judged(study(), patients=["a"])
    with pytest.raises(ValueError, match="not finite"):
        judged({**study(), "probabilities_NK": np.full((360, 3), np.nan)})


@pytest.mark.slow
@pytest.mark.parametrize("num_patients", [18, 45])
def test_intervals_hold_the_truth_as_often_as_they_say(num_patients: int) -> None:
    truth = judged(study(num_patients=9000, per_patient=3, seed=99), num_resamples=0)["slice"]["metrics"]
    covered = dict.fromkeys(("auroc", "auprc", "balanced_accuracy", "brier", "log_loss", "accuracy"), 0)
    for seed in range(200):
        data = study(num_patients=num_patients, per_patient=3, seed=seed)
        found = judged(data, num_resamples=200, seed=seed)["slice"]["metrics"]
        for name in covered:
            low, value, high = (found[name][key] for key in ("low", "value", "high"))
            assert low <= value <= high, name
            covered[name] += low <= truth[name]["value"] <= high
    assert all(0.90 <= count / 200 <= 0.995 for count in covered.values()), covered


def test_near_duplicates_count_as_one_where_patients_are_unknown() -> None:
    data = study()
    names = data["patients"]
    known, grouped = judged(data)["slice"], judged({**data, "patients": [None] * 360}, groups=names)["slice"]
    alone = judged({**data, "patients": [None] * 360})["slice"]
    assert grouped["interval"]["resampled"] == "groups of near-duplicate images (patients unknown)"
    for name in ("accuracy", "balanced_accuracy", "auroc", "log_loss"):
        widths = [one["metrics"][name]["high"] - one["metrics"][name]["low"] for one in (known, grouped, alone)]
        assert widths[1] == pytest.approx(widths[0], rel=0.2)
        assert widths[2] < widths[1]
