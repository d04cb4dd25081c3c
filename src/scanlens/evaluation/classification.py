"""The judgement of a classifier on one split, ready for JSON: values, intervals, and what chance gives.

Legend of axes: N images (or patients, at the patient level), K classes, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlens.evaluation.auroc import auroc_interval, mean_auroc_interval
from scanlens.evaluation.calibration import chance_calibration_error
from scanlens.evaluation.checks import Floats, Ints, check_length, checked_predictions
from scanlens.evaluation.intervals import (
    Interval,
    described,
    entry,
    mean_interval,
    mean_of_shares_interval,
    percentile_interval,
    share_interval,
)
from scanlens.evaluation.metrics import Metrics, brier_per_image, classification_metrics, log_loss_per_image
from scanlens.evaluation.patient_rules import MEAN, PatientRule
from scanlens.evaluation.patients import PatientLevel, patient_level
from scanlens.evaluation.resampling import PatientGroups, bootstrap, group_patients
from scanlens.evaluation.weighted import WeightedMetrics

FEW_PATIENTS = 10
METHOD = (
    "for accuracy, sensitivity, specificity and precision Wilson's, with the number of independent images that would "
    "be as certain; for balanced accuracy put together from these; for AUROC the variance between patients (DeLong, "
    "Obuchowski), with Student's t on the logit scale; for log loss and Brier score Student's, of their logarithm; for the "
    "others percentiles, expanded for small numbers, of a bootstrap within classes"
)


def evaluate_classification(
    probabilities_NK: ArrayLike,
    target_N: ArrayLike,
    *,
    class_names: Sequence[str],
    patients: Sequence[str | None],
    groups: Sequence[str | None] | None = None,
    seed: int,
    num_resamples: int = 1000,
    patient_rule: PatientRule = MEAN,
    positive: int | None = None,
) -> dict[str, Any]:
    """Metrics with intervals for images ("slice") and patients ("patient"), as plain dictionaries without NaN.

    Args:
        probabilities_NK: finite, in [0, 1], rows with sum 1; each image once.
        target_N: class numbers in 0..K-1.
        class_names: in the order of the columns.
        patients: name of the patient of each image; None or "" if unknown. Names do not appear in the result.
        groups: name of the group of near-duplicates of each image: where patients are unknown, these are what is
            resampled. None or "" for none.
        seed: of the resamples.
        num_resamples: of the bootstrap; 0 leaves its intervals out.
        patient_rule: how probabilities of images become those of their patient.
        positive: the class of two that makes a patient positive if one image is of it; None: patients with images of
            several classes are left out.

    Returns:
        `slice` and `patient` (None where `patient_reason` says why), each with `num_images`, `num_patients`, `unit`,
        `counts`, `metrics`, `per_class`, `confusion` (rows: target), `roc`, `interval` (how intervals were made),
        `baseline` (what can be had without looking at the images) and, for patients, `excluded`; beside them the
        `baseline` of the images once more. Every metric is {value, low, high, reason}: None where not defined, and then
        `reason` says why. At the patient level, counts and confusion are of patients, `num_images` are their images.

    Raises:
        ValueError: names the first row that is at fault.
    """
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    check_length(patients, name="patients", num_images=len(target_N))
    if len(set(class_names)) != len(class_names):
        raise ValueError(f"class_names: every name must be there once, got {list(class_names)}")
    if num_resamples < 0:
        raise ValueError(f"num_resamples: expected 0 or more, got {num_resamples}")
    judge = _Judge(class_names=list(class_names), seed=seed, num_resamples=num_resamples)
    joined, reason = patient_level(probabilities_NK, target_N, patients, rule=patient_rule, positive=positive)
    images = judge.images(probabilities_NK, target_N, group_patients(patients, target_N, groups=groups))
    return {
        "slice": images,
        "patient": None if joined is None else judge.patients(joined),
        "patient_reason": reason,
        "baseline": images["baseline"],
    }


class _Judge:
    """Settings that both levels share."""

    def __init__(self, *, class_names: list[str], seed: int, num_resamples: int) -> None:
        self.class_names, self.seed, self.num_resamples = class_names, seed, num_resamples

    def images(self, probabilities_NK: Floats, target_N: Ints, groups: PatientGroups) -> dict[str, Any]:
        return {
            "num_images": len(target_N),
            "num_patients": groups.num_known or None,
            "unit": "image",
            **self._level(probabilities_NK, target_N, groups),
        }

    def patients(self, joined: PatientLevel) -> dict[str, Any]:
        groups = group_patients(joined.patients, joined.target_P)
        return {
            "num_images": joined.num_images,
            "num_patients": len(joined.target_P),
            "unit": "patient",
            "excluded": {"mixed_patients": joined.num_mixed, "images_without_patient": joined.num_images_alone},
            **self._level(joined.probabilities_PK, joined.target_P, groups),
        }

    def _level(self, probabilities_NK: Floats, target_N: Ints, groups: PatientGroups) -> dict[str, Any]:
        found = classification_metrics(probabilities_NK, target_N, class_names=self.class_names)
        samples = bootstrap(
            WeightedMetrics(probabilities_NK, target_N), groups, num_resamples=self.num_resamples, seed=self.seed
        )
        intervals = _Intervals(samples, groups, probabilities_NK, target_N, found)
        counts_K = np.bincount(target_N, minlength=len(self.class_names))
        baseline = _baseline(counts_K, self.class_names)
        calibrated = None
        if found.overall["ece"].value is not None:
            calibrated = chance_calibration_error(probabilities_NK, seed=self.seed)
            baseline["ece_by_chance"] = calibrated[0]
        return {
            "counts": dict(zip(self.class_names, counts_K.tolist(), strict=True)),
            "metrics": {
                name: entry(one.value, intervals.overall(name, calibrated), remark=one.reason)
                for name, one in found.overall.items()
            },
            "per_class": self._per_class(found, intervals, counts_K),
            "confusion": found.confusion_KK.tolist(),
            "roc": {
                name: curve.as_dict()
                for name, curve in zip(self.class_names, found.roc, strict=True)
                if curve is not None
            },
            "interval": described(
                groups, num_resamples=self.num_resamples, method=METHOD, note=self._note(intervals.patients_K, groups)
            ),
            "baseline": baseline,
        }

    def _note(self, patients_K: Sequence[int], groups: PatientGroups) -> str | None:
        """A warning where classes have so few patients that an interval says little."""
        few = [f"'{name}' ({n})" for name, n in zip(self.class_names, patients_K, strict=True) if 0 < n < FEW_PATIENTS]
        return (
            f"Fewer than {FEW_PATIENTS} {groups.unit} of {', '.join(few)}: read these intervals with care."
            if few
            else None
        )

    def _per_class(self, found: Metrics, intervals: _Intervals, counts_K: Ints) -> dict[str, Any]:
        return {
            name: {
                "num": int(counts_K[k]),
                **{
                    metric: entry(one.value, intervals.of_class(metric, k), remark=one.reason)
                    for metric, one in found.per_class[k].items()
                },
            }
            for k, name in enumerate(self.class_names)
        }


class _Intervals:
    """The interval of each metric, by the method that fits it."""

    def __init__(
        self,
        samples: dict[str, Floats],
        groups: PatientGroups,
        probabilities_NK: Floats,
        target_N: Ints,
        found: Metrics,
    ) -> None:
        self.samples, self.groups, self.target_N, self.found = samples, groups, target_N, found
        self.probabilities_NK = probabilities_NK
        self.predicted_N = probabilities_NK.argmax(axis=1)
        self.losses_N = {
            "log_loss": log_loss_per_image(probabilities_NK, target_N),
            "brier": brier_per_image(probabilities_NK, target_N),
        }
        self.patients_K = [groups.count(target_N == k) for k in range(probabilities_NK.shape[1])]

    def overall(self, metric: str, calibrated: tuple[float, float] | None) -> Interval:
        if metric == "accuracy":
            return share_interval(
                self.predicted_N == self.target_N, np.ones(len(self.target_N), dtype=bool), self.groups
            )
        if metric == "ece":
            return Interval(None, None, _calibration_remark(calibrated))
        if metric in self.losses_N:
            return mean_interval(self.losses_N[metric], self.groups, is_ratio_scale=True)
        if metric == "balanced_accuracy" and sum(self.patients_K) == self.groups.num_patients:
            return self._of_balanced_accuracy()
        if metric == "auroc":
            return mean_auroc_interval(self.probabilities_NK, self.target_N, self.groups)
        carriers = min(n for n in self.patients_K if n)
        center = self.found.overall[metric].value if metric == "auprc" else None
        return percentile_interval(self.samples.get(metric), num_patients=carriers, center=center)

    def _of_balanced_accuracy(self) -> Interval:
        """Put together from the sensitivities, which are independent where nobody has images of two classes."""
        present = [k for k, num in enumerate(self.patients_K) if num]
        sensitivities = [self.found.per_class[k]["sensitivity"].value or 0.0 for k in present]
        return mean_of_shares_interval(sensitivities, [self.of_class("sensitivity", k) for k in present])

    def of_class(self, metric: str, k: int) -> Interval:
        among_N = self._among(metric, k)
        if among_N is not None:
            success_N = (self.predicted_N == k) == (self.target_N == k)
            return share_interval(success_N, among_N, self.groups)
        if metric == "auroc":
            return auroc_interval(self.probabilities_NK[:, k], self.target_N == k, self.groups)
        carriers = self.patients_K[k]
        if metric != "f1":
            carriers = min(carriers, self.groups.count(self.target_N != k))
        samples_KR = self.samples.get(f"class_{metric}")
        center = self.found.per_class[k][metric].value if metric == "auprc" else None
        samples_R = None if samples_KR is None else samples_KR[k]
        return percentile_interval(samples_R, num_patients=carriers, center=center)

    def _among(self, metric: str, k: int) -> NDArray[np.bool_] | None:
        """The images of which a metric is a share; None if it is not a share of images."""
        if metric == "sensitivity":
            return self.target_N == k
        if metric == "specificity":
            return self.target_N != k
        return self.predicted_N == k if metric == "precision" else None


def _baseline(counts_K: Ints, class_names: Sequence[str]) -> dict[str, Any]:
    """What can be had without looking at an image; for accuracy with the class shares of these very images."""
    share_K = counts_K / counts_K.sum()
    seen = share_K[share_K > 0]
    return {
        "method": (
            "most frequent class (accuracy), class shares as probabilities (log loss, Brier), random order "
            "(AUROC, AUPRC), the same probabilities coming true as stated (ECE)"
        ),
        "majority_class": class_names[int(counts_K.argmax())],
        "accuracy": float(share_K.max()),
        "balanced_accuracy": 1 / len(seen),
        "auroc": 0.5 if len(seen) > 1 else None,
        "auprc": float(seen.mean()) if len(seen) > 1 else None,
        "auprc_per_class": dict(zip(class_names, share_K.tolist(), strict=True)),
        "log_loss": float(-(seen * np.log(seen)).sum()),
        "brier": float(1 - np.square(share_K).sum()),
        "ece_by_chance": None,
    }


def _calibration_remark(calibrated: tuple[float, float] | None) -> str | None:
    if calibrated is None:
        return None
    return (
        "no interval, since resamples overstate this error; a perfectly calibrated network would show "
        f"{calibrated[0]:.3f} by chance, above {calibrated[1]:.3f} in one of 40 test sets"
    )
