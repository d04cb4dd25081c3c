"""How a metric varies over the folds of a cross-validation.

Legend of axes: F folds.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def fold_spread(values_F: Sequence[float | None]) -> dict[str, Any]:
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
    known = [value for value in values_F if value is not None]
    return {
        "mean": statistics.fmean(known) if known else None,
        "std": statistics.stdev(known) if len(known) > 1 else None,
        "min": min(known, default=None),
        "max": max(known, default=None),
        "num_folds": len(known),
    }
