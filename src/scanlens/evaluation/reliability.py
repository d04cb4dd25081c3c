"""Stated probability against observed share, bin by bin, and errors of calibration with the part of chance taken off.

Legend of axes: N images, K classes, B bins, R simulated outcomes.

References:
    Broecker & Smith 2007 (consistency bars); Kumar et al. 2019, arXiv:1909.10155, and Broecker 2012,
    doi:10.1175/MWR-D-11-00136.1 (bias of binned errors: the variance of a share in its bin, here between patients).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from scanlens.evaluation.calibration import NUM_BINS, equal_count_bins, simulated_gaps
from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.intervals import clustered_error, share_interval
from scanlens.evaluation.resampling import PatientGroups

MAX_CURVE_BINS, IMAGES_PER_BIN = 10, 10
HISTOGRAM_BINS = 20


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin.

    Args:
        stated: mean stated probability.
        observed: share that came true.
        low, high: interval of that share, over patients; None where there is none.
        chance_low, chance_high: where 95 of 100 shares would lie if outcomes came as stated, independent of each other.
        num_images, num_patients: in the bin.
    """

    stated: float
    observed: float
    low: float | None
    high: float | None
    chance_low: float
    chance_high: float
    num_images: int
    num_patients: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class BinnedError:
    """Errors of calibration in 15 bins of equal counts, all from 0 to 1.

    Args:
        ece: mean absolute gap between stated and observed, above 0 by chance.
        ece_debiased: less what chance adds to it, at least 0; of a perfect calibration about half of the excess stays.
        rms_debiased: root of the mean squared gap, less what chance adds, at least 0.
    """

    ece: float
    ece_debiased: float
    rms_debiased: float


def reliability_bins(
    stated_N: Floats, is_true_N: NDArray[np.bool_], *, groups: PatientGroups, seed: int
) -> list[ReliabilityBin]:
    """The reliability curve in at most 10 bins of equal counts, at least 10 images each where there are as many.

    Args:
        stated_N: stated probabilities, in [0, 1].
        is_true_N: whether what was stated came true.
        groups: the patients of these images.
        seed: of the simulated outcomes.
    """
    num_bins = max(1, min(MAX_CURVE_BINS, len(stated_N) // IMAGES_PER_BIN))
    bin_N = equal_count_bins(stated_N, num_bins=num_bins)
    gap_BR = simulated_gaps(stated_N, bin_N, num_bins=num_bins, seed=seed)
    found = []
    for b in np.unique(bin_N):
        inside_N = bin_N == b
        num, stated = int(inside_N.sum()), float(stated_N[inside_N].mean())
        interval = share_interval(is_true_N, inside_N, groups)
        low, high = np.clip(np.quantile(stated - gap_BR[b] / num, [0.025, 0.975]), 0, 1)
        observed = float(is_true_N[inside_N].mean())
        found.append(
            ReliabilityBin(
                stated, observed, interval.low, interval.high, float(low), float(high), num, groups.count(inside_N)
            )
        )
    return found


def binned_error(stated_N: Floats, is_true_N: NDArray[np.bool_], *, groups: PatientGroups) -> BinnedError:
    """Plug-in and debiased errors of one stated probability per image.

    Chance moves the gap of each bin by a normal error, whose size is the standard error between the patients in it.
    What that adds on average to the absolute or squared gap is taken off. A bin of one patient has no such error and
    keeps its gap; where all agree chance is taken for 0, so that some of it stays in.

    Args: as for `reliability_bins`.
    """
    bin_N, gap_N = equal_count_bins(stated_N, num_bins=NUM_BINS), stated_N - is_true_N
    absolute = extra = squared = 0.0
    for b in np.unique(bin_N):
        inside_N = bin_N == b
        share, gap = float(inside_N.mean()), float(gap_N[inside_N].mean())
        error = _error_in(gap_N, inside_N, groups)
        absolute += share * abs(gap)
        extra += share * (_folded_mean(gap, error) - abs(gap))
        squared += share * (gap**2 - error**2)
    return BinnedError(absolute, max(0.0, absolute - extra), float(np.sqrt(max(0.0, squared))))


def histogram(stated_N: Floats) -> list[int]:
    """Images by stated probability, in 20 equal steps from 0 to 1."""
    return np.histogram(stated_N, bins=HISTOGRAM_BINS, range=(0, 1))[0].tolist()


def _error_in(gap_N: Floats, inside_N: NDArray[np.bool_], groups: PatientGroups) -> float:
    units, unit_N = np.unique(groups.patient_N[inside_N], return_inverse=True)
    return clustered_error(gap_N[inside_N], unit_N.astype(np.int64)) if len(units) > 1 else 0.0


def _folded_mean(gap: float, error: float) -> float:
    """Mean absolute value of a normal number with mean `gap` and deviation `error`."""
    if error == 0:
        return abs(gap)
    ratio = gap / error
    return float(2 * error * norm.pdf(ratio) + gap * (1 - 2 * norm.cdf(-ratio)))


def top_label(probabilities_NK: Floats, target_N: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """The stated probability of the predicted class, and whether it is the right one."""
    return probabilities_NK.max(axis=1), probabilities_NK.argmax(axis=1) == target_N
