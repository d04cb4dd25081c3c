"""How a metric varies over the folds of a cross-validation, over seeds of the training, and over both.

Legend of axes: S seeds, F folds.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import chi2, norm

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import LEVEL

Known = Sequence[float | None]
PARTS = ("seed", "fold", "rest")
TOO_FEW = "two seeds, and two folds with a value in every seed, are needed"
MIN_SEEDS = 3  # for an interval; of two the upper bound is 32 times the estimate
ROUNDING = 1e-12  # of the largest mean square; a variance this near to 0 is 0


def fold_spread(values_F: Known) -> dict[str, Any]:
    """Mean, standard deviation, smallest and largest value over folds, and how many folds have one.

    The standard deviation (with F - 1) is no standard error of the mean: networks of different folds share most of their
    training images, and no unbiased estimate of that error can be made of the folds alone.

    Args:
        values_F: the metric on the test of each fold; None where it is not defined.

    Returns:
        {mean, std, min, max, num_folds}; None for what too few folds leave undefined.

    References:
        Bengio & Grandvalet, "No unbiased estimator of the variance of k-fold cross-validation", JMLR 5:1089-1105, 2004.
    """
    return _spread(values_F) | {"num_folds": _num_known(values_F)}


def seed_spread(values_S: Known) -> dict[str, Any]:
    """The same over seeds of the training, with a 95 % interval of the standard deviation.

    Runs of other seeds on the same split are independent draws of the training, so their standard deviation can be
    judged: by chi-square, as if values were normal. Of three seeds the upper bound is six times the estimate; two, or
    seeds that all gave the same, have no interval.

    Args:
        values_S: the metric of each seed; None where it is not defined.

    Returns:
        {mean, std, std_low, std_high, min, max, num_seeds}; None for what too few seeds leave undefined.
    """
    found, num = _spread(values_S), _num_known(values_S)
    low, high = _bounds_of_std(found["std"], num) if num >= MIN_SEEDS and found["std"] else (None, None)
    return found | {"std_low": low, "std_high": high, "num_seeds": num}


def spread_parts(values_SF: Sequence[Known]) -> dict[str, Any]:
    """Where the spread over seeds and folds comes from: a two-way analysis of variance with random effects.

    The model is value = mean + seed + fold + rest, one run in each cell. `seed` is what a seed does to all folds alike,
    `fold` what the patients of a fold do to all seeds alike, `rest` what a seed does to one fold. Expected mean squares
    give the variances; one that comes out below 0 is told as 0 and named. Folds share training images, so `fold` is no
    unbiased estimate of what wholly other patients would do (see `fold_spread`). Folds without a value in every seed are
    left out.

    Args:
        values_SF: for each seed the metric on the test of each fold; None where it is not defined.

    Returns:
        Standard deviations: {seed, fold, rest, total (the root of the sum of the three variances), within_fold (over
        seeds, of one fold), within_seed (over folds, of one seed), below_zero (parts told as 0), num_seeds, num_folds,
        reason}; None for all of them, with the reason, where there are fewer than two seeds or folds.

    Raises:
        ValueError: if seeds have different numbers of folds.

    References:
        Searle, Casella & McCulloch, Variance Components, 1992, chapter 4 (balanced data; estimates below 0);
        Bouthillier et al., "Accounting for variance in machine learning benchmarks", MLSys 2021, arXiv:2103.03098.
    """
    if len({len(values_F) for values_F in values_SF}) > 1:
        raise ValueError(f"spread_parts: as many folds in every seed are expected, got {[len(v) for v in values_SF]}")
    whole = [fold for fold in zip(*values_SF, strict=True) if None not in fold]
    num_seeds, num_folds = len(values_SF), len(whole)
    counts = {"num_seeds": num_seeds, "num_folds": num_folds}
    if min(num_seeds, num_folds) < 2:
        absent = dict.fromkeys((*PARTS, "total", "within_fold", "within_seed"))
        return absent | {"below_zero": [], "reason": TOO_FEW, **counts}
    value_SF = np.array(whole, dtype=np.float64).T
    return _parts(value_SF) | {
        "within_fold": math.sqrt(float(np.var(value_SF, axis=0, ddof=1).mean())),
        "within_seed": math.sqrt(float(np.var(value_SF, axis=1, ddof=1).mean())),
        "reason": None,
        **counts,
    }


def error_of_intervals(entries: Sequence[Mapping[str, Any]]) -> float | None:
    """The standard error that 95 % intervals of a metric stand for, on average; None where none has bounds.

    Args:
        entries: metrics with `low` and `high`, of the same patients.
    """
    widths = [one["high"] - one["low"] for one in entries if one.get("low") is not None and one.get("high") is not None]
    return statistics.fmean(widths) / (2 * float(norm.ppf((1 + LEVEL) / 2))) if widths else None


def _parts(value_SF: Floats) -> dict[str, Any]:
    """Standard deviations of the parts and their total, from mean squares, and which of them are told as 0."""
    num_seeds, num_folds = value_SF.shape
    mean_S, mean_F = value_SF.mean(axis=1), value_SF.mean(axis=0)
    rest_SF = value_SF - mean_S[:, None] - mean_F + value_SF.mean()
    of_seeds = num_folds * float(np.var(mean_S, ddof=1))
    of_folds = num_seeds * float(np.var(mean_F, ddof=1))
    rest = float(np.square(rest_SF).sum()) / ((num_seeds - 1) * (num_folds - 1))
    estimates = ((of_seeds - rest) / num_folds, (of_folds - rest) / num_seeds, rest)
    smallest = ROUNDING * max(of_seeds, of_folds, rest)
    variances = [estimate if estimate > smallest else 0.0 for estimate in estimates]
    return {
        **{name: math.sqrt(variance) for name, variance in zip(PARTS, variances, strict=True)},
        "total": math.sqrt(sum(variances)),
        "below_zero": [name for name, estimate in zip(PARTS, estimates, strict=True) if estimate < -smallest],
    }


def _spread(values: Known) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(known) if known else None,
        "std": statistics.stdev(known) if len(known) > 1 else None,
        "min": min(known, default=None),
        "max": max(known, default=None),
    }


def _num_known(values: Known) -> int:
    return sum(value is not None for value in values)


def _bounds_of_std(std: float, num: int) -> tuple[float, float]:
    degrees, tail = num - 1, (1 - LEVEL) / 2
    return tuple(std * math.sqrt(degrees / float(chi2.ppf(at, degrees))) for at in (1 - tail, tail))  # type: ignore[return-value]
