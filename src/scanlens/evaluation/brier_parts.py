"""The Brier score in parts that add up: how true, how telling, how hard.

Legend of axes: N images, K classes, B bins.

References:
    Murphy 1973 (reliability, resolution, uncertainty); Stephenson et al. 2008, doi:10.1175/2007WAF2006116.1 (the two
    parts within bins, without which bins of unequal probabilities do not add up).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from scanlens.evaluation.calibration import equal_count_bins
from scanlens.evaluation.checks import Floats, Ints


@dataclass(frozen=True, slots=True)
class BrierParts:
    """Sums over classes, in 15 bins of equal counts of each class's probability.

    brier = reliability - resolution + uncertainty + within_bin_variance - within_bin_covariance, exactly.

    Args:
        reliability: squared gap between stated and observed: 0 if probabilities come true; what calibration can mend.
        resolution: squared distance of observed shares in bins to the share of all: higher is better.
        uncertainty: of the classes themselves, 0 to 1: the score of stating the class shares.
        within_bin_variance: of stated probabilities around the mean of their bin.
        within_bin_covariance: twice that of stated probabilities and outcomes within bins.
        brier: the score itself, 0 to 2.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bin_variance: float
    within_bin_covariance: float
    brier: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def brier_parts(probabilities_NK: Floats, target_N: Ints) -> BrierParts:
    """The parts of the multi-class score (Brier 1950), images weighing the same.

    Args:
        probabilities_NK: checked probabilities.
        target_N: checked class numbers.
    """
    parts_K6 = np.array([_of_class(probabilities_NK[:, k], target_N == k) for k in range(probabilities_NK.shape[1])])
    return BrierParts(*parts_K6.sum(axis=0).tolist())


def _of_class(stated_N: Floats, is_true_N: NDArray[np.bool_]) -> tuple[float, ...]:
    true_N = is_true_N.astype(np.float64)
    bin_N, num = equal_count_bins(stated_N), len(stated_N)
    count_B = np.maximum(np.bincount(bin_N), 1)
    stated_mean_N = (np.bincount(bin_N, weights=stated_N) / count_B)[bin_N]
    observed_N = (np.bincount(bin_N, weights=true_N) / count_B)[bin_N]
    share = float(true_N.mean())
    return (
        float(np.square(stated_mean_N - observed_N).sum() / num),
        float(np.square(observed_N - share).sum() / num),
        share * (1 - share),
        float(np.square(stated_N - stated_mean_N).sum() / num),
        float(2 * ((stated_N - stated_mean_N) * (true_N - observed_N)).sum() / num),
        float(np.square(stated_N - true_N).sum() / num),
    )
