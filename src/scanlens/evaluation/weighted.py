"""Metrics of `metrics.py` for many weightings of the same images at once: what a bootstrap needs.

With every weight 1 the values are those of `metrics.py`, and with whole weights those of the images repeated so
often. Left out are shares and means of images, which have intervals of their own, and the calibration error: its
resamples exceed it by as much as it exceeds the truth.

Legend of axes: N images, K classes, R weightings.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.ranking import Ranking, divided


class WeightedMetrics:
    """Metrics of fixed predictions under varying weights of the images.

    Args:
        probabilities_NK: checked probabilities.
        target_N: checked class numbers.
    """

    def __init__(self, probabilities_NK: Floats, target_N: Ints) -> None:
        num_classes = probabilities_NK.shape[1]
        predicted_N = probabilities_NK.argmax(axis=1)
        self.num_classes = num_classes
        self.is_present_K = np.bincount(target_N, minlength=num_classes) > 0
        self.rankings = [Ranking(probabilities_NK[:, k], target_N == k) for k in range(num_classes)]
        cell_N = target_N * num_classes + predicted_N
        every_N = np.arange(len(target_N))
        self.cells = csr_array((np.ones(len(target_N)), (cell_N, every_N)), shape=(num_classes**2, len(target_N)))

    def __call__(self, weights_NR: Floats) -> dict[str, Floats]:
        """Values per weighting; NaN where a metric is not defined.

        Args:
            weights_NR: how often each image counts.

        Returns:
            (R,) for `auroc`, `auprc`, `balanced_accuracy`, and (K, R) for `class_auroc`,
            `class_auprc`, `class_f1`. A mean over classes is not defined where a class that is among the
            images has no weight: the resample measures something else.
        """
        areas_2KR = np.stack([ranking.areas(weights_NR) for ranking in self.rankings], axis=1)
        confusion_KKR = np.asarray(self.cells @ weights_NR).reshape(self.num_classes, self.num_classes, -1)
        return {
            "class_auroc": areas_2KR[0],
            "class_auprc": areas_2KR[1],
            "auroc": areas_2KR[0][self.is_present_K].mean(axis=0),
            "auprc": areas_2KR[1][self.is_present_K].mean(axis=0),
            **self._from_confusion(confusion_KKR),
        }

    def _from_confusion(self, confusion_KKR: Floats) -> dict[str, Floats]:
        right_KR = np.einsum("kkr->kr", confusion_KKR)
        with_target_KR, predicted_KR = confusion_KKR.sum(axis=1), confusion_KKR.sum(axis=0)
        recall_KR = divided(right_KR, with_target_KR)
        return {
            "balanced_accuracy": recall_KR[self.is_present_K].mean(axis=0),
            "class_f1": divided(2 * right_KR, with_target_KR + predicted_KR),
        }
