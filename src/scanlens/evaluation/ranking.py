"""Areas under curves of many weightings of the same scores, sorted once.

A resample that draws an image twice is a weighting in which it counts twice; so a thousand resamples need one sort.

Legend of axes: N images, R weightings, G groups of tied scores (highest first).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scanlens.evaluation.checks import Floats


class Ranking:
    """Scores of one class against all others, sorted.

    Args:
        score_N: higher means more of the class.
        is_positive_N: whether the image is of the class.
    """

    def __init__(self, score_N: Floats, is_positive_N: NDArray[np.bool_]) -> None:
        self.order_N = np.argsort(-score_N, kind="stable")
        ordered_N = score_N[self.order_N]
        self.starts_G = np.flatnonzero(np.r_[True, ordered_N[1:] != ordered_N[:-1]])
        self.is_positive_N1 = is_positive_N[self.order_N].astype(np.float64)[:, None]

    def areas(self, weights_NR: Floats) -> tuple[Floats, Floats]:
        """Areas under the ROC curve and the precision-recall curve, one of each per weighting.

        The first is the share of pairs of a positive and a negative that are ranked rightly, ties counting half
        (Mann-Whitney). The second is the average precision, without interpolation, as scikit-learn has it. Both are NaN
        where positives or negatives have no weight.
        """
        ordered_NR = weights_NR[self.order_N]
        positive_GR = self._per_group(ordered_NR * self.is_positive_N1)
        all_GR = self._per_group(ordered_NR)
        found_GR, shown_GR = np.cumsum(positive_GR, axis=0), np.cumsum(all_GR, axis=0)
        num_positive_R = found_GR[-1]
        num_negative_R = shown_GR[-1] - num_positive_R
        is_defined_R = (num_positive_R > 0) & (num_negative_R > 0)
        pairs_R = np.einsum("gr,gr->r", all_GR - positive_GR, found_GR - positive_GR / 2)
        precision_GR = found_GR / np.where(shown_GR > 0, shown_GR, 1)
        hits_R = np.einsum("gr,gr->r", positive_GR, precision_GR)
        return (
            divided(pairs_R, num_positive_R * num_negative_R, where=is_defined_R),
            divided(hits_R, num_positive_R, where=is_defined_R),
        )

    def _per_group(self, values_NR: Floats) -> Floats:
        has_ties = len(self.starts_G) < len(values_NR)
        return np.add.reduceat(values_NR, self.starts_G, axis=0) if has_ties else values_NR


def divided(above: Floats, below: Floats, *, where: NDArray[np.bool_] | None = None) -> Floats:
    """above / below; NaN where `below` is 0 or `where` is false."""
    is_defined = (below != 0) if where is None else where & (below != 0)
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=is_defined)
