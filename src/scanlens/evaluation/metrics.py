"""How well probabilities fit the classes of a set of images: values, without intervals.

A metric that is not defined (no image of a class, never predicted) is None and says why; it is never 0, 0.5 or NaN.

Legend of axes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score, roc_curve

from scanlens.evaluation.calibration import MIN_IMAGES, NUM_BINS, expected_calibration_error
from scanlens.evaluation.checks import Floats, Ints, checked_predictions

MAX_ROC_POINTS = 200


@dataclass(frozen=True, slots=True)
class Metric:
    """A value, or None and the reason; a value may have a remark as its reason."""

    value: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RocCurve:
    """Points from (0, 0) to (1, 1), both coordinates rising."""

    false_positive_rate: list[float]
    true_positive_rate: list[float]

    def as_dict(self) -> dict[str, list[float]]:
        """For JSON."""
        return {"false_positive_rate": self.false_positive_rate, "true_positive_rate": self.true_positive_rate}


@dataclass(frozen=True, slots=True)
class Metrics:
    """What `classification_metrics` found.

    Args:
        overall: `auroc`, `auprc` (means over the classes), `accuracy`, `balanced_accuracy`, `log_loss` (nats),
            `brier` (0 to 2), `ece`.
        per_class: for each class `auroc`, `auprc`, `sensitivity`, `specificity`, `precision`, `f1`, against all
            other classes.
        confusion_KK: images by target (row) and prediction (column).
        roc: for each class its curve, None where there is none.
    """

    overall: dict[str, Metric]
    per_class: list[dict[str, Metric]]
    confusion_KK: Ints
    roc: list[RocCurve | None]


def classification_metrics(probabilities_NK: ArrayLike, target_N: ArrayLike, *, class_names: Sequence[str]) -> Metrics:
    """All metrics, computed once over the whole set.

    The prediction is the most probable class, the first one on a tie. AUROC and AUPRC are one class against the
    rest, and their mean over the classes that are here; AUPRC is the average precision without interpolation.

    Args:
        probabilities_NK: finite, in [0, 1], rows with sum 1.
        target_N: class numbers in 0..K-1.
        class_names: K names for the reasons.

    Raises:
        ValueError: names the first row that is at fault.
    """
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    num_classes = probabilities_NK.shape[1]
    if len(class_names) != num_classes:
        raise ValueError(f"class_names: expected {num_classes} names for {num_classes} columns, got {len(class_names)}")
    confusion_KK = confusion_matrix(target_N, probabilities_NK.argmax(axis=1), labels=np.arange(num_classes))
    per_class = [
        {**_areas(probabilities_NK[:, k], target_N == k, name), **_rates(confusion_KK, k, name)}
        for k, name in enumerate(class_names)
    ]
    overall = {
        "auroc": _mean_over_classes("auroc", per_class, class_names),
        "auprc": _mean_over_classes("auprc", per_class, class_names),
        "accuracy": Metric(float(np.trace(confusion_KK) / confusion_KK.sum())),
        "balanced_accuracy": _mean_over_classes("sensitivity", per_class, class_names),
        "log_loss": Metric(float(log_loss_per_image(probabilities_NK, target_N).mean())),
        "brier": Metric(float(brier_per_image(probabilities_NK, target_N).mean())),
        "ece": _ece(probabilities_NK, target_N),
    }
    roc = [roc_points(probabilities_NK[:, k], target_N == k) for k in range(num_classes)]
    return Metrics(overall=overall, per_class=per_class, confusion_KK=confusion_KK, roc=roc)


def areas(score_N: Floats, is_positive_N: NDArray[np.bool_]) -> tuple[float, float]:
    """Area under the ROC curve, and average precision; both kinds of images must be there."""
    return float(roc_auc_score(is_positive_N, score_N)), float(average_precision_score(is_positive_N, score_N))


def roc_points(score_N: Floats, is_positive_N: NDArray[np.bool_]) -> RocCurve | None:
    """The ROC curve in at most 200 points; None where all images, or none, are positive."""
    if _why_no_curve(is_positive_N, ""):
        return None
    false_rate, true_rate, _ = roc_curve(is_positive_N, score_N)
    if len(false_rate) > MAX_ROC_POINTS:
        inner = np.linspace(0, 2, MAX_ROC_POINTS)[
            1:-1
        ]  # even steps along the curve, on which the sum of both rates rises
        keep = np.unique(np.r_[0, np.searchsorted(false_rate + true_rate, inner), len(false_rate) - 1])
        false_rate, true_rate = false_rate[keep], true_rate[keep]
    return RocCurve(false_rate.tolist(), true_rate.tolist())


def log_loss_per_image(probabilities_NK: Floats, target_N: Ints) -> Floats:
    """Minus the logarithm of the probability of the right class (at least 2.2e-16), in nats: 0 to 36."""
    of_target_N = probabilities_NK[np.arange(len(target_N)), target_N]
    return -np.log(np.maximum(of_target_N, np.finfo(np.float64).eps))


def brier_per_image(probabilities_NK: Floats, target_N: Ints) -> Floats:
    """Squared distance to the truth, summed over classes: 0 (right and sure) to 2 (wrong and sure); Brier 1950."""
    truth_NK = np.eye(probabilities_NK.shape[1])[target_N]
    return np.square(probabilities_NK - truth_NK).sum(axis=1)


def _ece(probabilities_NK: Floats, target_N: Ints) -> Metric:
    if len(target_N) < MIN_IMAGES:
        return Metric(None, f"fewer than {MIN_IMAGES} predictions for {NUM_BINS} bins")
    return Metric(expected_calibration_error(probabilities_NK, target_N))


def _areas(score_N: Floats, is_positive_N: NDArray[np.bool_], name: str) -> dict[str, Metric]:
    reason = _why_no_curve(is_positive_N, name)
    if reason:
        return {"auroc": Metric(None, reason), "auprc": Metric(None, reason)}
    auroc, auprc = areas(score_N, is_positive_N)
    return {"auroc": Metric(auroc), "auprc": Metric(auprc)}


def _why_no_curve(is_positive_N: NDArray[np.bool_], name: str) -> str | None:
    if not is_positive_N.any():
        return f"nothing of class '{name}' here"
    return f"nothing but class '{name}' here" if is_positive_N.all() else None


def _rates(confusion_KK: Ints, k: int, name: str) -> dict[str, Metric]:
    right, with_target, predicted = (
        int(n) for n in (confusion_KK[k, k], confusion_KK[k].sum(), confusion_KK[:, k].sum())
    )
    others = int(confusion_KK.sum()) - with_target
    absent, never = f"nothing of class '{name}' here", f"class '{name}' was never predicted"
    return {
        "sensitivity": _ratio(right, with_target, absent),
        "specificity": _ratio(others - (predicted - right), others, f"nothing but class '{name}' here"),
        "precision": _ratio(right, predicted, never),
        "f1": _ratio(2 * right, with_target + predicted, f"{absent}, and it was never predicted"),
    }


def _ratio(above: int, below: int, reason: str) -> Metric:
    return Metric(above / below) if below else Metric(None, reason)


def _mean_over_classes(metric: str, per_class: Sequence[dict[str, Metric]], class_names: Sequence[str]) -> Metric:
    """Over the classes that are here; the others are named."""
    values = [one[metric].value for one in per_class]
    known = [value for value in values if value is not None]
    if not known:
        return Metric(None, "only one class here")
    complete = len(known) == len(values)
    remark = None if complete else f"mean without {_quoted(values, class_names)}, of which nothing is here"
    return Metric(float(np.mean(known)), remark)


def _quoted(values: Sequence[float | None], class_names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name, value in zip(class_names, values, strict=True) if value is None)
