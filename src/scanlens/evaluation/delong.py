"""The difference of two areas under the ROC curve, in closed form: a test of two scores on the same images.

The variance is that of DeLong, from how each image is placed among those of the other kind; where patients have several
images, that of Obuchowski, which adds up the placements of a patient first. Placements come from ranks, so that no pair
of images is ever looked at: O(N log N).

Legend of axes: N images, P patients.

References:
    DeLong, DeLong & Clarke-Pearson, Biometrics 44:837-845, 1988; Obuchowski, Biometrics 53:567-578, 1997 (patients with
    several images); Sun & Xu, IEEE Signal Processing Letters 21:1389-1393, 2014 (ranks).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, t

from scanlens.evaluation.checks import Floats, Ints, check_length, checked_values
from scanlens.evaluation.intervals import LEVEL
from scanlens.evaluation.resampling import PatientGroups

SAME = "no interval: both rank the images alike"


def delong_difference(
    first_N: Floats,
    second_N: Floats,
    is_positive_N: NDArray[np.bool_],
    *,
    groups: PatientGroups | None = None,
    level: float = LEVEL,
) -> dict[str, Any]:
    """AUROC of the first score less that of the second, on the same images.

    Student's t takes the place of the normal distribution, with the number of patients of the rarer kind less one: with
    few patients, the normal one finds differences that are none.

    Args:
        first_N: scores of one network, finite.
        second_N: scores of the other.
        is_positive_N: whether the image is of the class.
        groups: the patients of the images; None for independent images.
        level: confidence, in (0, 1).

    Returns:
        {value, low, high, standard_error, p, reason}: `p` two-sided, for no difference.

    Raises:
        ValueError: if lengths differ or a score is not finite.
    """
    first, second = placements(first_N, is_positive_N), placements(second_N, is_positive_N)
    if first is None or second is None:
        return _none("only one kind of image here") | {"p": None}
    difference_N, unit_N = first - second, _units(is_positive_N, groups)
    value = float(difference_N[is_positive_N].mean())
    found = {"value": value, "low": None, "high": None, "standard_error": None, "p": None, "reason": None}
    variance = _variance(difference_N, is_positive_N, unit_N)
    if variance is None:
        return found | {"reason": "no interval: needs at least two patients of either kind"}
    if variance <= 1e-24:
        return found | {"p": 1.0 if value == 0 else None, "reason": SAME if value == 0 else "no interval: no variance"}
    error, degrees = math.sqrt(variance), min(_carriers(is_positive_N, unit_N)) - 1
    half = float(t.ppf((1 + level) / 2, degrees)) * error
    p_value = 2 * float(t.sf(abs(value) / error, degrees))
    return found | {"low": value - half, "high": value + half, "standard_error": error, "p": p_value}


def placements(score_N: Floats, is_positive_N: NDArray[np.bool_]) -> Floats | None:
    """The share of images of the other kind that each image is on the right side of (ties half); None without both kinds.

    The mean over the images of either kind is the area.

    Raises:
        ValueError: if lengths differ or a score is not finite.
    """
    score_N = checked_values(score_N, name="score_N")
    check_length(score_N, name="score_N", num_images=len(is_positive_N))
    num_positive = int(is_positive_N.sum())
    num_negative = len(is_positive_N) - num_positive
    if not (num_positive and num_negative):
        return None
    rank_N = rankdata(score_N)
    placement_N = np.empty(len(score_N))
    placement_N[is_positive_N] = (rank_N[is_positive_N] - rankdata(score_N[is_positive_N])) / num_negative
    placement_N[~is_positive_N] = 1 - (rank_N[~is_positive_N] - rankdata(score_N[~is_positive_N])) / num_positive
    return placement_N


def _units(is_positive_N: NDArray[np.bool_], groups: PatientGroups | None) -> Ints:
    return np.arange(len(is_positive_N)) if groups is None else groups.patient_N


def _carriers(is_positive_N: NDArray[np.bool_], unit_N: Ints) -> tuple[int, int]:
    """Patients with a positive image, and with a negative one."""
    return len(np.unique(unit_N[is_positive_N])), len(np.unique(unit_N[~is_positive_N]))


def _variance(placement_N: Floats, is_positive_N: NDArray[np.bool_], unit_N: Ints) -> float | None:
    """Of the mean placement; None with fewer than two patients of a kind."""
    with_positive, with_negative = _carriers(is_positive_N, unit_N)
    if min(with_positive, with_negative) < 2:
        return None
    num_positive = int(is_positive_N.sum())
    num_negative = len(is_positive_N) - num_positive
    residual_N = placement_N - placement_N[is_positive_N].mean()
    positive_P = np.bincount(unit_N, weights=residual_N * is_positive_N) / num_positive
    negative_P = np.bincount(unit_N, weights=residual_N * ~is_positive_N) / num_negative
    num_units = len(np.unique(unit_N))
    return float(
        _unbiased(with_positive) * np.square(positive_P).sum()
        + _unbiased(with_negative) * np.square(negative_P).sum()
        + 2 * _unbiased(num_units) * (positive_P * negative_P).sum()
    )


def _unbiased(num: int) -> float:
    return num / (num - 1)


def _none(reason: str) -> dict[str, Any]:
    return {"value": None, "low": None, "high": None, "standard_error": None, "reason": reason}
