"""Metrics for every validation epoch: milliseconds for ten thousand images, nothing heavier than NumPy to import."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scanlens.evaluation.checks import checked_predictions
from scanlens.evaluation.ranking import Ranking


def quick_metrics(probabilities_NK: ArrayLike, target_N: ArrayLike) -> dict[str, float | None]:
    """`auroc`, `auprc`, `balanced_accuracy`, `accuracy` of a whole split; None where not defined.

    All but the accuracy are means over the classes that have images here. Where every class has some, the values
    are those of `classification_metrics`; where one has none, the others still tell epochs apart. With a single
    class there is no curve.

    Args:
        probabilities_NK: finite, in [0, 1], rows with sum 1.
        target_N: class numbers in 0..K-1.

    Raises:
        ValueError: names the first row that is at fault.
    """
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    is_right_N = probabilities_NK.argmax(axis=1) == target_N
    present = np.unique(target_N)
    weights_N1 = np.ones((len(target_N), 1))
    areas = (
        [Ranking(probabilities_NK[:, k], target_N == k).areas(weights_N1) for k in present] if len(present) > 1 else []
    )
    return {
        "auroc": float(np.mean([auroc for auroc, _ in areas])) if areas else None,
        "auprc": float(np.mean([auprc for _, auprc in areas])) if areas else None,
        "balanced_accuracy": float(np.mean([is_right_N[target_N == k].mean() for k in present])),
        "accuracy": float(is_right_N.mean()),
    }
