"""Slope and intercept of calibration: is the network too sure, and does it state a class too often?

Legend of axes: N images, D coefficients, P patients.

References:
    Cox 1958 (logistic recalibration); Van Calster et al. 2019, doi:10.1186/s12916-019-1466-7 (the intercept is that with
    the slope held at 1: calibration in the large); Liang & Zeger 1986 (variance between patients).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import t

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import LEVEL, Interval, entry
from scanlens.evaluation.resampling import PatientGroups
from scanlens.evaluation.temperature import MIN_PROBABILITY


@dataclass(frozen=True, slots=True)
class CalibrationSlope:
    """Both are {value, low, high, reason}.

    Args:
        slope: of the log-odds of the truth on the stated log-odds: 1 is right, below 1 too sure, above 1 not sure enough.
        intercept: to be added to the stated log-odds so that the mean is right: 0 is right, below 0 stated too often.
    """

    slope: dict[str, Any]
    intercept: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"slope": self.slope, "intercept": self.intercept}


def calibration_slope(
    stated_N: Floats, is_true_N: NDArray[np.bool_], *, groups: PatientGroups, name: str
) -> CalibrationSlope:
    """Logistic regression of the truth on the log-odds of the stated probability of one class against the rest.

    Args:
        stated_N: in [0, 1]; taken as at least 2.2e-16 and at most 1 less that.
        is_true_N: whether the image is of the class.
        groups: the patients of these images; intervals come from the variance between them.
        name: of the class, for the reasons.
    """
    odds_N = logit(np.clip(stated_N, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
    if is_true_N.all() or not is_true_N.any():
        reason = f"nothing of class '{name}' here" if not is_true_N.any() else f"nothing but class '{name}' here"
        return CalibrationSlope(_without(reason), _without(reason))
    ones_N1 = np.ones((len(odds_N), 1))
    value, error = _logistic(ones_N1, is_true_N, odds_N, groups)
    return CalibrationSlope(_slope(odds_N, is_true_N, groups), _entry(value[0], error[0], groups))


def _slope(odds_N: Floats, is_true_N: NDArray[np.bool_], groups: PatientGroups) -> dict[str, Any]:
    true, false = odds_N[is_true_N], odds_N[~is_true_N]
    if np.ptp(odds_N) < 1e-9:
        return _without("the stated probability is the same for all")
    if true.min() >= false.max() or true.max() <= false.min():
        return _without(
            "the stated probability separates the class from the others, so that any steeper slope fits better"
        )
    spread = float(odds_N.std())
    design_N2 = np.stack([np.ones_like(odds_N), odds_N / spread], axis=1)  # one scale for both, for the search
    value, error = _logistic(design_N2, is_true_N, np.zeros_like(odds_N), groups)
    return _entry(value[1] / spread, error[1] / spread, groups)


def _logistic(
    design_ND: Floats, is_true_N: NDArray[np.bool_], offset_N: Floats, groups: PatientGroups
) -> tuple[Floats, Floats]:
    """Coefficients of the largest likelihood, and their standard errors between patients (NaN for a single one)."""
    sign_N = np.where(is_true_N, 1.0, -1.0)

    def loss_and_slope(values_D: Floats) -> tuple[float, Floats]:
        margin_N = sign_N * (design_ND @ values_D + offset_N)
        return float(np.logaddexp(0, -margin_N).mean()), -design_ND.T @ (sign_N * expit(-margin_N)) / len(sign_N)

    found = minimize(loss_and_slope, np.zeros(design_ND.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-9})
    stated_N = expit(design_ND @ found.x + offset_N)
    inverse_DD = np.linalg.pinv(design_ND.T @ (design_ND * (stated_N * (1 - stated_N))[:, None]))
    pull_ND = design_ND * (is_true_N - stated_N)[:, None]
    pull_PD = np.stack([np.bincount(groups.patient_N, weights=column) for column in pull_ND.T], axis=1)
    num = len(pull_PD)
    factor = num / (num - 1) if num > 1 else math.nan
    variance_D = factor * np.diag(inverse_DD @ (pull_PD.T @ pull_PD) @ inverse_DD)
    return found.x, np.sqrt(np.maximum(variance_D, 0))


def _entry(value: float, error: float, groups: PatientGroups) -> dict[str, Any]:
    if not error > 0:
        return entry(float(value), Interval(None, None, f"no interval: needs at least two {groups.unit} that differ"))
    half = float(t.ppf((1 + LEVEL) / 2, groups.num_patients - 1)) * float(error)
    return entry(float(value), Interval(float(value) - half, float(value) + half))


def _without(reason: str) -> dict[str, Any]:
    return entry(None, Interval(None, None), remark=reason)
