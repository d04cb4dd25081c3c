"""A map from the probabilities that a network states to ones that come true, as plain numbers that a file can hold.

Legend of axes: N images, K classes.

References:
    Zadrozny & Elkan 2002, doi:10.1145/775047.775151 (isotonic: one class against the rest, then sum 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.isotonic import IsotonicRegression

from scanlens.errors import RunError
from scanlens.evaluation.checks import Floats, Ints, checked_probabilities
from scanlens.evaluation.resampling import PatientGroups
from scanlens.evaluation.temperature import scaled

FITTED_METHODS = ("none", "temperature", "bias_and_temperature", "isotonic")  # from simple to flexible
MAX_POINTS = 1_000_000

Curve = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A fitted map.

    Args:
        method: of `FITTED_METHODS`: what `apply` does.
        num_classes: K.
        temperature: divides the logits; 1 where the method has none.
        biases: K numbers added to the logits after division; empty where the method has none.
        curves: for isotonic, of each class, rising: stated probabilities and what they become; else empty.
        temperature_low, temperature_high: interval of the temperature, None where there is none.
        num_patients: units of the validation split that it was fitted on.
        reason: why this method, or why not the one that was asked for; None if there is nothing to say.
    """

    method: str
    num_classes: int
    temperature: float = 1.0
    biases: tuple[float, ...] = ()
    curves: tuple[Curve, ...] = ()
    temperature_low: float | None = None
    temperature_high: float | None = None
    num_patients: int = 0
    reason: str | None = None

    def apply(self, probabilities_NK: ArrayLike) -> Floats:
        """Calibrated probabilities, rows with sum 1; those given, for the method "none".

        Temperature never changes which class is the most probable one; biases and isotonic curves can.

        Raises:
            ValueError: names the first row that is at fault, or says that the number of classes differs.
        """
        given_NK = checked_probabilities(probabilities_NK)
        if given_NK.shape[1] != self.num_classes:
            raise ValueError(
                f"probabilities_NK: this calibration is for {self.num_classes} classes, got {given_NK.shape[1]}. "
                "Use the calibration of the same run."
            )
        if self.method == "none":
            return given_NK
        if self.method == "isotonic":
            raised_NK = np.stack([np.interp(given_NK[:, k], *curve) for k, curve in enumerate(self.curves)], axis=1)
            return raised_NK / raised_NK.sum(axis=1, keepdims=True)
        biases_K = np.array(self.biases or (0.0,) * self.num_classes)
        return scaled(given_NK, temperature=self.temperature, biases_K=biases_K)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` reads it."""
        return {
            "method": self.method,
            "num_classes": self.num_classes,
            "temperature": self.temperature,
            "temperature_low": self.temperature_low,
            "temperature_high": self.temperature_high,
            "biases": list(self.biases),
            "curves": [{"stated": list(stated), "becomes": list(becomes)} for stated, becomes in self.curves],
            "num_patients": self.num_patients,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibrator:
        """What `as_dict` gave.

        Raises:
            RunError: if it is not of this form, or would not give probabilities.
        """
        try:
            found = cls(
                method=str(values["method"]),
                num_classes=int(values["num_classes"]),
                temperature=float(values["temperature"]),
                biases=_numbers(values["biases"]),
                curves=tuple((_numbers(one["stated"]), _numbers(one["becomes"])) for one in values["curves"]),
                temperature_low=_optional(values["temperature_low"]),
                temperature_high=_optional(values["temperature_high"]),
                num_patients=int(values["num_patients"]),
                reason=None if values["reason"] is None else str(values["reason"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"calibration: expected the entries that judging writes, got {error!r}. Judge the run again."
            ) from error
        mistake = _mistake(found)
        if mistake:
            raise RunError(f"calibration: {mistake}. Judge the run again.")
        return found


def isotonic_curves(probabilities_NK: Floats, target_N: Ints, groups: PatientGroups) -> tuple[Curve, ...]:
    """For each class the rising curve from stated probability to share, every image weighing the same.

    No value is below 1 / (P + 2), nor above 1 less that, with P patients: so few cannot tell a smaller probability
    (Laplace's rule of succession), and a row can always be given the sum 1.
    """
    floor = 1 / (groups.num_patients + 2)
    curves = []
    for k in range(probabilities_NK.shape[1]):
        model = IsotonicRegression(y_min=floor, y_max=1 - floor, out_of_bounds="clip")
        model.fit(probabilities_NK[:, k], (target_N == k).astype(np.float64))
        curves.append((tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist())))
    return tuple(curves)


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    if len(values) > MAX_POINTS:
        raise ValueError(f"{len(values)} numbers, at most {MAX_POINTS}")
    return tuple(float(one) for one in values)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def _mistake(found: Calibrator) -> str | None:
    """Why a calibration that was read cannot be applied."""
    if found.method not in FITTED_METHODS:
        return f"method is '{found.method}', expected one of {', '.join(FITTED_METHODS)}"
    if not (math.isfinite(found.temperature) and found.temperature > 0):
        return f"temperature is {found.temperature}, expected a number above 0"
    if found.biases and (len(found.biases) != found.num_classes or not np.isfinite(found.biases).all()):
        return f"biases: expected {found.num_classes} finite numbers"
    if found.method == "isotonic" and len(found.curves) != found.num_classes:
        return f"curves: expected one for each of {found.num_classes} classes, got {len(found.curves)}"
    return (
        None if all(_is_curve(*curve) for curve in found.curves) else "curves: expected values that rise within (0, 1]"
    )


def _is_curve(stated: Sequence[float], becomes: Sequence[float]) -> bool:
    rises = all(a <= b for one in (stated, becomes) for a, b in pairwise(one))
    return len(stated) == len(becomes) > 0 and rises and becomes[0] > 0 and becomes[-1] <= 1
