"""Whether stated probabilities come true.

Legend of axes: N images, K classes, B bins, R simulated outcomes.

References:
    Nguyen & O'Connor 2015 (bins of equal counts); Guo et al. 2017 (expected calibration error);
    Broecker & Smith 2007 (what a calibrated forecast would show by chance).
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from scanlens.evaluation.checks import Floats, Ints

NUM_BINS = 15
MIN_IMAGES = 2 * NUM_BINS
NUM_SIMULATED = 500
MAX_ENTRIES = 4_000_000


def expected_calibration_error(probabilities_NK: Floats, target_N: Ints) -> float:
    """Mean over images of the gap, in their bin, between the stated probability and the share of right answers: 0 to 1.

    It is above 0 by chance, the more so the fewer the images: compare it with `chance_calibration_error`.
    """
    bin_N, gap_N = calibration_bins(probabilities_NK, target_N)
    return float(np.abs(np.bincount(bin_N, weights=gap_N)).sum() / len(target_N))


def chance_calibration_error(probabilities_NK: Floats, *, seed: int) -> tuple[float, float]:
    """The error that a perfectly calibrated network with these probabilities would show: mean, and 97.5 % percentile.

    Outcomes are drawn as the probabilities state, independent between images.
    """
    stated_N = probabilities_NK.max(axis=1)
    gap_BR = simulated_gaps(stated_N, equal_count_bins(stated_N), num_bins=NUM_BINS, seed=seed)
    errors_R = np.abs(gap_BR).sum(axis=0) / len(stated_N)
    return float(errors_R.mean()), float(np.quantile(errors_R, 0.975))


def simulated_gaps(stated_N: Floats, bin_N: Ints, *, num_bins: int, seed: int) -> Floats:
    """Sums, in each bin, of stated probability less outcome, if outcomes come as stated: (bins, simulated outcomes).

    Outcomes are independent between images.
    """
    sums = csr_array((np.ones(len(bin_N)), (bin_N, np.arange(len(bin_N)))), shape=(num_bins, len(bin_N)))
    generator = np.random.default_rng(seed)
    parts: list[Floats] = []
    step = max(1, MAX_ENTRIES // len(stated_N))
    for start in range(0, NUM_SIMULATED, step):
        drawn_NR = generator.random((len(stated_N), min(step, NUM_SIMULATED - start)))
        parts.append(sums @ (stated_N[:, None] - (drawn_NR < stated_N[:, None])))
    return np.concatenate(parts, axis=1)


def calibration_bins(probabilities_NK: Floats, target_N: Ints) -> tuple[Ints, Floats]:
    """The bin of each image, and its stated probability less the truth (1 if the prediction is right, else 0).

    Bins have equal counts in order of the stated probability of the predicted class. Images of the same stated
    probability share a bin, so that the order of the rows means nothing.
    """
    stated_N = probabilities_NK.max(axis=1)
    is_right_N = probabilities_NK.argmax(axis=1) == target_N
    return equal_count_bins(stated_N), stated_N - is_right_N


def equal_count_bins(stated_N: Floats, *, num_bins: int = NUM_BINS) -> Ints:
    """The bin (0..num_bins-1) of each image, in order of its stated probability; equal ones share a bin."""
    _, group_N, count_G = np.unique(stated_N, return_inverse=True, return_counts=True)
    middle_G = np.cumsum(count_G) - count_G / 2
    return np.floor(num_bins * middle_G / len(stated_N)).astype(np.int64)[group_N]
