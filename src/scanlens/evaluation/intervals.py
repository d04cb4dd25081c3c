"""What a number is worth: intervals that know that images of one patient are alike.

Three methods. Shares of images (accuracy, sensitivity, hits) get Wilson's interval with the number of independent
images that would be as certain; it does not shrink to nothing at 0 or 1, and with few patients it holds what it says,
where percentiles do not. Means of shares (balanced accuracy) are put together from these. Means (log loss, errors) get
Student's interval of the variance between patients. Everything else is resampled: patients are drawn with all their
images, within their class.

Legend of axes: N images, P patients, K classes, R resamples.

References:
    Wilson 1927; Korn & Graubard 1998 and Dean & Pagano 2015 (effective sample size in Wilson's interval);
    Carter, Schnepel & Steigerwald 2017, doi:10.1162/REST_a_00639 (patients of unequal size);
    Zou & Donner 2008, doi:10.1002/sim.3095 (sums of shares, MOVER); Efron & Tibshirani 1993, chapter 13 (percentiles);
    Hesterberg 2015, arXiv:1411.5279 (expanded percentiles).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.resampling import PatientGroups

LEVEL = 0.95
MAX_UNDEFINED_SHARE = 0.2
MIN_RESAMPLES = 40  # below, the 2.5 % percentile lies beyond the second smallest value


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds, or None for both and the reason."""

    low: float | None
    high: float | None
    reason: str | None = None


def wilson(successes: float, trials: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Bounds of a share, from `successes` among independent `trials` (Wilson 1927, without continuity correction).

    Args:
        successes: 0..trials; need not be whole, so that an effective number can be used.
        trials: more than 0.
        level: confidence, in (0, 1).

    Raises:
        ValueError: if the numbers do not fit.
    """
    if not (0 <= successes <= trials and trials > 0):
        raise ValueError(f"wilson: expected 0 <= successes <= trials and trials > 0, got {successes} of {trials}")
    z = _normal_quantile(level)
    share, widening = successes / trials, z**2 / trials
    center = (share + widening / 2) / (1 + widening)
    half = z / (1 + widening) * math.sqrt(share * (1 - share) / trials + widening / (4 * trials))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == trials else min(1.0, center + half)
    return low, high


def share_interval(
    success_N: NDArray[np.generic], among_N: NDArray[np.bool_], groups: PatientGroups, *, level: float = LEVEL
) -> Interval:
    """Interval of the share of successes among the meant images, aware of patients.

    The variance of the share between patients (linearized ratio) says how many independent images would be as
    certain; that number, never above the real one and lowered further for few patients (Student's t), goes into
    Wilson's interval. Where all images agree that variance is unknown, and the number of patients is used.

    Args:
        success_N: true or false, or a value in [0, 1].
        among_N: the images that count.
        groups: their patients.
        level: confidence.
    """
    success = success_N[among_N].astype(np.float64)
    num_images, num_patients = len(success), groups.count(among_N)
    if num_images == 0:
        return Interval(None, None, "no interval: nothing to count")
    share = float(success.mean())
    if num_patients == num_images:
        return Interval(*wilson(share * num_images, num_images, level=level))
    if num_patients == 1:
        return Interval(None, None, "no interval: all images are of one patient")
    effective = _effective_number(success, groups.patient_N[among_N], num_patients=num_patients, level=level)
    return Interval(*wilson(share * effective, effective, level=level))


def mean_of_shares_interval(shares: Sequence[float], intervals: Sequence[Interval]) -> Interval:
    """Interval of the mean of shares that are independent of each other, from the interval of each (MOVER)."""
    lows = [interval.low for interval in intervals]
    highs = [interval.high for interval in intervals]
    if None in lows or None in highs:
        return Interval(None, None, next(interval.reason for interval in intervals if interval.low is None))
    share_K = np.array(shares, dtype=np.float64)
    down, up = share_K - np.array(lows, dtype=np.float64), np.array(highs, dtype=np.float64) - share_K
    mean, num = float(share_K.mean()), len(share_K)
    return Interval(
        max(0.0, mean - float(np.linalg.norm(down)) / num), min(1.0, mean + float(np.linalg.norm(up)) / num)
    )


def mean_interval(
    value_N: Floats,
    groups: PatientGroups,
    *,
    among_N: NDArray[np.bool_] | None = None,
    is_ratio_scale: bool = False,
    level: float = LEVEL,
) -> Interval:
    """Interval of the mean over images, from the variance between patients (linearized ratio) and Student's t.

    Args:
        value_N: a number for each image.
        groups: their patients.
        among_N: the images that count; None for all.
        is_ratio_scale: for numbers above 0 that are often small and sometimes large, such as losses: the interval is
            made for the logarithm of the mean, which holds the truth more often and never goes below 0.
        level: confidence.
    """
    among = slice(None) if among_N is None else among_N
    values, patient = value_N[among], groups.patient_N[among]
    if len(np.unique(patient)) < 2:
        return Interval(None, None, f"no interval: needs at least two {groups.unit}")
    mean = float(values.mean())
    variance, degrees = _variance_of_mean(values, patient)
    error = math.sqrt(variance)
    if error <= 1e-12 * max(1.0, abs(mean)):
        return Interval(None, None, f"no interval: all {groups.unit} give the same value")
    half = float(t.ppf((1 + level) / 2, degrees)) * error
    if is_ratio_scale and mean > 0:
        return Interval(mean * math.exp(-half / mean), mean * math.exp(half / mean))
    return Interval(mean - half, mean + half)


def clustered_error(value_N: Floats, unit_N: Ints) -> float:
    """Standard error of the mean over images, from the variance between at least two units (see `_variance_of_mean`)."""
    return math.sqrt(_variance_of_mean(value_N, unit_N)[0])


def percentile_interval(
    samples_R: Floats | None, *, num_patients: int, center: float | None = None, level: float = LEVEL
) -> Interval:
    """The middle `level` of resampled values, expanded for few patients (Hesterberg 2015).

    Percentiles run narrow in small samples, as a normal interval does in place of Student's; so the tails that are
    cut off are those of Student's t with the number of patients less one. With 60 patients that is 2.2 % in place
    of 2.5 % on each side.

    There is none if the metric was undefined (NaN) in more than 20 % of the resamples, or if all resamples agree:
    then the bootstrap cannot tell how sure the value is, and an interval of no width would claim that it is certain.

    Args:
        samples_R: values of a metric in resamples, NaN where undefined; None if there were no resamples.
        num_patients: resampled units that carry the metric: of its rarest class, if it is about classes.
        center: the value itself, for a metric in [0, 1] that resamples overstate (average precision: copies of an image
            are ties): their median is moved to it.
        level: confidence.
    """
    if samples_R is None:
        return Interval(None, None, "no interval: no resamples were asked for")
    if num_patients < 2:
        return Interval(None, None, "no interval: needs at least two patients (or images, where patients are unknown)")
    if len(samples_R) < MIN_RESAMPLES:
        return Interval(None, None, f"no interval: {len(samples_R)} resamples, at least {MIN_RESAMPLES} are needed")
    known = samples_R[~np.isnan(samples_R)]
    undefined = 1 - len(known) / len(samples_R)
    if undefined > MAX_UNDEFINED_SHARE:
        return Interval(None, None, f"no interval: not defined in {100 * undefined:.0f} % of the resamples")
    if np.ptp(known) <= 1e-12 * max(1.0, float(np.abs(known).max())):
        return Interval(None, None, "no interval: all resamples give the same value")
    quantile = float(t.ppf((1 + level) / 2, num_patients - 1)) * math.sqrt(num_patients / (num_patients - 1))
    if center is not None:
        known = np.clip(known + (center - float(np.median(known))), 0, 1)
    low, high = np.quantile(known, [norm.cdf(-quantile), norm.cdf(quantile)])
    return Interval(float(low), float(high))


def described(groups: PatientGroups, *, num_resamples: int, method: str, note: str | None = None) -> dict[str, Any]:
    """How intervals were made, for JSON."""
    return {
        "method": method,
        "level": LEVEL,
        "num_resamples": num_resamples,
        "resampled": groups.resampled,
        "note": note,
    }


def entry(value: float | None, interval: Interval, *, remark: str | None = None) -> dict[str, Any]:
    """{value, low, high, reason} for JSON; without a value only the remark remains, as the reason."""
    if value is None:
        return {"value": None, "low": None, "high": None, "reason": remark}
    reasons = [text for text in (remark, interval.reason) if text]
    return {"value": value, "low": interval.low, "high": interval.high, "reason": "; ".join(reasons) or None}


def share_entry(
    success_N: NDArray[np.generic], among_N: NDArray[np.bool_], groups: PatientGroups, *, absent: str
) -> dict[str, Any]:
    """The share of successes among the meant images with its interval, as `entry`; `absent` says why if there are none."""
    if not among_N.any():
        return entry(None, Interval(None, None), remark=absent)
    return entry(float(success_N[among_N].mean()), share_interval(success_N, among_N, groups))


def _normal_quantile(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level: expected a confidence between 0 and 1, such as 0.95, got {level}")
    return float(norm.ppf((1 + level) / 2))


def _effective_number(success: Floats, patient: Ints, *, num_patients: int, level: float) -> float:
    num_images, share = len(success), float(success.mean())
    if share in (0.0, 1.0):
        return num_patients
    variance, degrees = _variance_of_mean(success, patient)
    independent = min(num_images, share * (1 - share) / variance) if variance > 0 else num_images
    return independent * (_normal_quantile(level) / float(t.ppf((1 + level) / 2, degrees))) ** 2


def _variance_of_mean(value_N: Floats, patient_N: Ints) -> tuple[float, float]:
    """Variance of a mean over images, by leaving out a patient at a time (CR3), and its degrees of freedom.

    Where patients have equally many images these are the plain ones; where they have not, one with many images weighs
    more than it can tell, and as many equal patients would be as certain as `1 / sum of squared shares` (Kish).
    """
    _, number_N, size_P = np.unique(patient_N, return_inverse=True, return_counts=True)
    share_P, num_patients = size_P / len(value_N), len(size_P)
    residual_P = np.bincount(number_N, weights=value_N - value_N.mean()) / (1 - share_P)
    variance = (num_patients - 1) / num_patients * float(np.square(residual_P).sum()) / len(value_N) ** 2
    return variance, max(1.0, 1 / float(np.square(share_P).sum()) - 1)
