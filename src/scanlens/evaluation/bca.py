"""Percentiles of a bootstrap, corrected for bias and skewness: for values such as quantiles, whose resamples lean to one side.

Legend of axes: P patients (or what stands for them), R resamples.

References:
    Efron 1987, doi:10.1080/01621459.1987.10478410 (BCa); Hesterberg 2015, arXiv:1411.5279 (expanded percentiles).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm, t

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import LEVEL, Interval, percentile_interval


def bca_interval(
    samples_R: Floats, *, value: float, left_out_P: Floats, num_patients: int, level: float = LEVEL
) -> Interval:
    """Bias-corrected and accelerated percentiles, expanded for few patients as `percentile_interval` does.

    There is none where that function gives none.

    Args:
        samples_R: values in resamples of patients, NaN where undefined.
        value: of all patients together.
        left_out_P: the value without each patient, NaN where undefined.
        num_patients: resampled units.
        level: confidence.
    """
    plain = percentile_interval(samples_R, num_patients=num_patients, level=level)
    if plain.low is None:
        return plain
    known = samples_R[~np.isnan(samples_R)]
    below = (float((known < value).sum()) + 0.5 * float((known == value).sum())) / len(known)
    bias = float(norm.ppf(np.clip(below, 0.5 / len(known), 1 - 0.5 / len(known))))
    skew = _acceleration(left_out_P[~np.isnan(left_out_P)])
    quantile = float(t.ppf((1 + level) / 2, num_patients - 1)) * math.sqrt(num_patients / (num_patients - 1))
    ends = [bias + (bias + end) / (1 - skew * (bias + end)) for end in (-quantile, quantile)]
    low, high = np.quantile(known, norm.cdf(ends))
    return Interval(float(low), float(high))


def _acceleration(left_out_P: Floats) -> float:
    """A sixth of the skewness of what each patient adds; bounded, so that the levels keep their order."""
    added_P = left_out_P.mean() - left_out_P if len(left_out_P) else left_out_P
    spread = float(np.square(added_P).sum())
    if spread <= 0:
        return 0.0
    return float(np.clip((added_P**3).sum() / (6 * spread**1.5), -0.15, 0.15))
