"""Fits a calibration on the validation split, and chooses its method where none is asked for.

Legend of axes: N images, K classes, P patients (or what stands for them).

References:
    Breiman et al. 1984, section 3.4.3 (the simplest within one standard error of the best).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from scanlens.errors import did_you_mean
from scanlens.evaluation.calibrator import FITTED_METHODS, Calibrator, isotonic_curves
from scanlens.evaluation.checks import Floats, Ints, check_length, checked_predictions
from scanlens.evaluation.intervals import clustered_error
from scanlens.evaluation.metrics import log_loss_per_image
from scanlens.evaluation.resampling import PatientGroups, group_patients
from scanlens.evaluation.temperature import Scaling, fit_bias_and_temperature, fit_temperature

METHODS = (*FITTED_METHODS, "auto")
NUM_FOLDS = 5
MIN_PATIENTS = 2 * NUM_FOLDS


@dataclass(frozen=True, slots=True)
class CalibratorChoice:
    """A calibration, and how it was chosen.

    Args:
        calibrator: fitted on all of validation.
        asked: the method that was asked for.
        log_loss: of each method, in cross-validation: mean over images, in nats; empty unless asked is "auto".
        behind: how far each method is behind the best, and the standard error of that paired difference, from the
            variance between patients.
        num_folds: of the cross-validation; 0 for none.
    """

    calibrator: Calibrator
    asked: str
    log_loss: Mapping[str, float]
    behind: Mapping[str, tuple[float, float]]
    num_folds: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        compared = {
            name: {"log_loss": loss, "behind_best": self.behind[name][0], "standard_error": self.behind[name][1]}
            for name, loss in self.log_loss.items()
        }
        return {
            "asked": self.asked,
            "calibrator": self.calibrator.as_dict(),
            "cross_validation": compared,
            "num_folds": self.num_folds,
        }


def fit_calibrator(
    probabilities_NK: ArrayLike, target_N: ArrayLike, *, groups: PatientGroups, method: str = "auto", seed: int
) -> CalibratorChoice:
    """A calibration fitted on validation, every image weighing the same.

    With "auto", the patients of validation are divided into 5 folds, each method is fitted without a fold and judged
    on it, and the simplest method is taken whose log loss is within one standard error of the best: the error of the
    paired difference between patients, since the same patients judge all. The order is none, temperature, bias and
    temperature, isotonic.

    A method that validation cannot tell (a class without image, no errors) becomes a simpler one, with the reason:
    bias and isotonic become temperature, temperature becomes none.

    Args:
        probabilities_NK: of the validation split: finite, in [0, 1], rows with sum 1.
        target_N: class numbers in 0..K-1.
        groups: the patients of these images.
        method: "none", "temperature", "bias_and_temperature", "isotonic" or "auto".
        seed: of the folds.

    Raises:
        ValueError: names the first row that is at fault, or the method if there is none of that name.
    """
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    check_length(groups.patient_N.tolist(), name="groups", num_images=len(target_N))
    if method not in METHODS:
        raise ValueError(f"calibration method: there is none called '{method}'. {did_you_mean(method, METHODS)}")
    if method != "auto":
        return CalibratorChoice(_fit(method, probabilities_NK, target_N, groups), method, {}, {}, 0)
    if groups.num_patients < MIN_PATIENTS:
        reason = (
            f"validation has {groups.num_patients} {groups.unit}, too few to choose a method (at least {MIN_PATIENTS})"
        )
        unchanged = _fit("none", probabilities_NK, target_N, groups)
        return CalibratorChoice(replace(unchanged, reason=reason), method, {}, {}, 0)
    return _chosen(probabilities_NK, target_N, groups, seed=seed)


def _chosen(probabilities_NK: Floats, target_N: Ints, groups: PatientGroups, *, seed: int) -> CalibratorChoice:
    losses = _cross_validated(probabilities_NK, target_N, groups, seed=seed)
    means = {name: float(loss_N.mean()) for name, loss_N in losses.items()}
    best = min(means, key=lambda name: means[name])
    behind = {
        name: (means[name] - means[best], clustered_error(loss_N - losses[best], groups.patient_N))
        for name, loss_N in losses.items()
    }
    taken = next(name for name in FITTED_METHODS if behind[name][0] <= behind[name][1])
    calibrator = _fit(taken, probabilities_NK, target_N, groups)
    why = f"chosen by cross-validated log loss over {groups.num_patients} {groups.unit} of validation"
    if taken != best:
        why += f": within one standard error of {best.replace('_', ' ')}, and simpler"
    reason = why if calibrator.reason is None else f"{why}; {calibrator.reason}"
    return CalibratorChoice(replace(calibrator, reason=reason), "auto", means, behind, NUM_FOLDS)


def _cross_validated(
    probabilities_NK: Floats, target_N: Ints, groups: PatientGroups, *, seed: int
) -> dict[str, Floats]:
    """The log loss of each image under each method, fitted without its fold."""
    fold_N = _folds(groups, seed=seed)[groups.patient_N]
    losses: dict[str, Floats] = {name: np.zeros(len(target_N)) for name in FITTED_METHODS}
    for fold in range(NUM_FOLDS):
        held_N = fold_N == fold
        rest = group_patients([str(p) for p in groups.patient_N[~held_N]], target_N[~held_N])
        for name, loss_N in losses.items():
            fitted = _fit(name, probabilities_NK[~held_N], target_N[~held_N], rest)
            loss_N[held_N] = log_loss_per_image(fitted.apply(probabilities_NK[held_N]), target_N[held_N])
    return losses


def _folds(groups: PatientGroups, *, seed: int) -> Ints:
    """The fold of each unit: strata are shuffled and dealt out one after another, so that classes are spread evenly."""
    generator = np.random.default_rng(seed)
    order = np.concatenate([generator.permutation(members) for members in groups.strata])
    fold_P = np.zeros(groups.num_patients, dtype=np.int64)
    fold_P[order] = np.arange(len(order)) % NUM_FOLDS
    return fold_P


def _fit(method: str, probabilities_NK: Floats, target_N: Ints, groups: PatientGroups) -> Calibrator:
    num_classes = probabilities_NK.shape[1]
    unchanged = Calibrator("none", num_classes, num_patients=groups.num_patients)
    if method == "none":
        return unchanged
    if method == "isotonic":
        absent = sorted(set(range(num_classes)) - set(target_N.tolist()))
        if not absent and groups.num_patients > 1:
            return replace(unchanged, method=method, curves=isotonic_curves(probabilities_NK, target_N, groups))
        reason = "validation has no image of some class" if absent else "validation is of a single patient (or image)"
        return _simpler(method, reason, probabilities_NK, target_N, groups)
    scaling = (fit_temperature if method == "temperature" else fit_bias_and_temperature)(
        probabilities_NK, target_N, groups
    )
    if scaling.reason is not None and method == "temperature":
        return replace(unchanged, reason=f"no temperature: {scaling.reason}")
    if scaling.reason is not None:
        return _simpler(method, scaling.reason, probabilities_NK, target_N, groups)
    return replace(unchanged, method=method, **_numbers_of(scaling, with_biases=method != "temperature"))


def _simpler(method: str, reason: str, probabilities_NK: Floats, target_N: Ints, groups: PatientGroups) -> Calibrator:
    """Temperature in place of `method`, saying why."""
    fitted = _fit("temperature", probabilities_NK, target_N, groups)
    reasons = [f"not {method.replace('_', ' ')}: {reason}", fitted.reason]
    return replace(fitted, reason="; ".join(one for one in reasons if one))


def _numbers_of(scaling: Scaling, *, with_biases: bool) -> dict[str, Any]:
    return {
        "temperature": scaling.temperature,
        "biases": tuple(scaling.biases_K.tolist()) if with_biases else (),
        "temperature_low": scaling.interval.low,
        "temperature_high": scaling.interval.high,
    }
