"""All that is said about the calibration of a split, before and after it was mended on validation.

Legend of axes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scanlens.evaluation.brier_parts import BrierParts, brier_parts
from scanlens.evaluation.calibration import MIN_IMAGES, NUM_BINS, chance_calibration_error
from scanlens.evaluation.calibrator import Calibrator
from scanlens.evaluation.checks import Floats, check_length, checked_predictions
from scanlens.evaluation.intervals import entry, mean_interval
from scanlens.evaluation.metrics import brier_per_image, log_loss_per_image
from scanlens.evaluation.recalibration import CalibrationSlope, calibration_slope
from scanlens.evaluation.reliability import (
    BinnedError,
    ReliabilityBin,
    binned_error,
    histogram,
    reliability_bins,
    top_label,
)
from scanlens.evaluation.resampling import PatientGroups


@dataclass(frozen=True, slots=True)
class CalibrationMeasures:
    """Measures of one set of probabilities; images weigh the same, intervals are over patients.

    Args:
        log_loss, brier: {value, low, high, reason}.
        parts: of the Brier score.
        top: errors of the probability of the predicted class; None with `reason` where images are too few for bins.
        by_chance: `ece` that a perfectly calibrated network would show: mean and 97.5 % percentile; None as `top`.
        classwise: errors of the probability of each class; empty as `top`.
        slopes: of each class against the rest.
        curve: of the probability of the predicted class.
        stated: images by stated probability of the predicted class, in 20 equal steps from 0 to 1.
        reason: why errors in bins are not there.
    """

    log_loss: dict[str, Any]
    brier: dict[str, Any]
    parts: BrierParts
    top: BinnedError | None
    by_chance: tuple[float, float] | None
    classwise: Mapping[str, BinnedError]
    slopes: Mapping[str, CalibrationSlope]
    curve: Sequence[ReliabilityBin]
    stated: Sequence[int]
    reason: str | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "log_loss": self.log_loss,
            "brier": self.brier,
            "brier_parts": self.parts.as_dict(),
            **_errors_as_dict(self.top, "ece", "ece_debiased", "rms_debiased"),
            "ece_by_chance": None if self.by_chance is None else self.by_chance[0],
            "ece_by_chance_high": None if self.by_chance is None else self.by_chance[1],
            "classwise_ece": _mean([one.ece for one in self.classwise.values()]),
            "classwise_ece_debiased": _mean([one.ece_debiased for one in self.classwise.values()]),
            "per_class": {
                name: {**slope.as_dict(), **_errors_as_dict(self.classwise.get(name), "ece", "ece_debiased")}
                for name, slope in self.slopes.items()
            },
            "curve": [one.as_dict() for one in self.curve],
            "stated": list(self.stated),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class CalibrationChange:
    """Before and after.

    Args:
        before, after: measures.
        gain: of `log_loss` and `brier`: before less after, {value, low, high, reason}, paired by image: above 0 is better.
        num_changed: images whose most probable class is another one after.
    """

    before: CalibrationMeasures
    after: CalibrationMeasures
    gain: Mapping[str, dict[str, Any]]
    num_changed: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "gain": dict(self.gain),
            "num_changed": self.num_changed,
        }


def measure_calibration(
    probabilities_NK: ArrayLike, target_N: ArrayLike, *, class_names: Sequence[str], groups: PatientGroups, seed: int
) -> CalibrationMeasures:
    """How far stated probabilities come true on a split.

    Args:
        probabilities_NK: finite, in [0, 1], rows with sum 1.
        target_N: class numbers in 0..K-1.
        class_names: in the order of the columns.
        groups: the patients of these images.
        seed: of simulated outcomes, for what chance gives.

    Raises:
        ValueError: names the first row that is at fault.
    """
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    check_length(class_names, name="class_names", num_images=probabilities_NK.shape[1])
    check_length(groups.patient_N.tolist(), name="groups", num_images=len(target_N))
    stated_N, is_right_N = top_label(probabilities_NK, target_N)
    is_enough = len(target_N) >= MIN_IMAGES
    per_class = {name: (probabilities_NK[:, k], target_N == k) for k, name in enumerate(class_names)}
    return CalibrationMeasures(
        log_loss=_mean_entry(log_loss_per_image(probabilities_NK, target_N), groups),
        brier=_mean_entry(brier_per_image(probabilities_NK, target_N), groups),
        parts=brier_parts(probabilities_NK, target_N),
        top=binned_error(stated_N, is_right_N, groups=groups) if is_enough else None,
        by_chance=chance_calibration_error(probabilities_NK, seed=seed) if is_enough else None,
        classwise={name: binned_error(*one, groups=groups) for name, one in per_class.items()} if is_enough else {},
        slopes={name: calibration_slope(*one, groups=groups, name=name) for name, one in per_class.items()},
        curve=reliability_bins(stated_N, is_right_N, groups=groups, seed=seed),
        stated=histogram(stated_N),
        reason=None if is_enough else f"fewer than {MIN_IMAGES} predictions for {NUM_BINS} bins",
    )


def compare_calibration(
    calibrator: Calibrator,
    probabilities_NK: ArrayLike,
    target_N: ArrayLike,
    *,
    class_names: Sequence[str],
    groups: PatientGroups,
    seed: int,
) -> CalibrationChange:
    """Measures of a split that the calibration was not fitted on, before and after, and what was gained.

    Args and Raises: as for `measure_calibration`.
    """
    before_NK, target_N = checked_predictions(probabilities_NK, target_N)
    after_NK = calibrator.apply(before_NK)
    before, after = (
        measure_calibration(one, target_N, class_names=class_names, groups=groups, seed=seed)
        for one in (before_NK, after_NK)
    )
    return CalibrationChange(
        before=before,
        after=after,
        gain={
            name: _gain(per_image(before_NK, target_N) - per_image(after_NK, target_N), groups)
            for name, per_image in (("log_loss", log_loss_per_image), ("brier", brier_per_image))
        },
        num_changed=int((before_NK.argmax(axis=1) != after_NK.argmax(axis=1)).sum()),
    )


def _mean_entry(loss_N: Floats, groups: PatientGroups) -> dict[str, Any]:
    return entry(float(loss_N.mean()), mean_interval(loss_N, groups, is_ratio_scale=True))


def _gain(gain_N: Floats, groups: PatientGroups) -> dict[str, Any]:
    return entry(float(gain_N.mean()), mean_interval(gain_N, groups))


def _errors_as_dict(error: BinnedError | None, *names: str) -> dict[str, float | None]:
    return {name: None if error is None else getattr(error, name) for name in names}


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
