"""What is gained by leaving the least sure answers to a person: risk against the share that is answered.

Confidence is the probability of the predicted class, or another number that is given. Images of equal confidence are answered or referred together, so
that the order of rows means nothing; within such a group, errors come in evenly.

Legend of axes: N images, K classes, G groups of equal confidence, R weightings.

References:
    Chow 1970 (refusal); El-Yaniv & Wiener 2010 (risk and coverage); Geifman & El-Yaniv 2017, arXiv:1705.08500;
    Geifman et al. 2019, arXiv:1805.08206 (area, AURC, and its excess over the ideal order: here its continuous form, in
    which the ideal area of the error rate r is exactly r + (1 - r) ln(1 - r)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py, xlogy

from scanlens.evaluation.checks import Floats, check_length, checked_predictions, checked_values
from scanlens.evaluation.intervals import Interval, entry, percentile_interval
from scanlens.evaluation.resampling import PatientGroups, bootstrap

MAX_POINTS = 200


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """The curve, and its area.

    Args:
        coverage: share of images that are answered, rising to 1.
        risk: share of errors among these.
        aurc: area under the curve, {value, low, high, reason}: the mean risk over all shares. The error rate if the
            confidence knows nothing.
        excess: of that area over the one with all errors last, {value, low, high, reason}: 0 is ideal.
        error_rate: of all images: the area by chance.
    """

    coverage: list[float]
    risk: list[float]
    aurc: dict[str, Any]
    excess: dict[str, Any]
    error_rate: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "coverage": list(self.coverage),
            "risk": list(self.risk),
            "aurc": dict(self.aurc),
            "excess_aurc": dict(self.excess),
            "error_rate": self.error_rate,
        }


def risk_coverage(
    probabilities_NK: ArrayLike,
    target_N: ArrayLike,
    *,
    groups: PatientGroups,
    seed: int,
    num_resamples: int = 1000,
    confidence_N: ArrayLike | None = None,
) -> RiskCoverage:
    """The curve of a split, with percentile intervals of resampled patients for its areas.

    Args:
        probabilities_NK: finite, in [0, 1], rows with sum 1.
        target_N: class numbers in 0..K-1.
        groups: the patients of these images.
        seed: of the resamples.
        num_resamples: 0 leaves the intervals out.
        confidence_N: what images are ordered by, higher is surer, in any unit; None for the probability of the predicted
            class.

    Raises:
        ValueError: names the first row that is at fault.
    """
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    check_length(groups.patient_N.tolist(), name="groups", num_images=len(target_N))
    is_wrong_N = probabilities_NK.argmax(axis=1) != target_N
    given = probabilities_NK.max(axis=1) if confidence_N is None else confidence_N
    areas = _Areas(_checked_confidence(given, num_images=len(target_N)), is_wrong_N)
    ones_N1 = np.ones((len(target_N), 1))
    answered_G, errors_G = areas.cumulative(ones_N1)[0][:, 0], areas.cumulative(ones_N1)[1][:, 0]
    found = {name: float(one[0]) for name, one in areas(ones_N1).items()}
    samples = bootstrap(areas, groups, num_resamples=num_resamples, seed=seed)
    carriers = groups.count(is_wrong_N)
    keep = np.unique(np.linspace(0, len(answered_G) - 1, min(len(answered_G), MAX_POINTS)).round().astype(int))
    entries = {
        name: entry(value, percentile_interval(samples.get(name), num_patients=carriers))
        for name, value in found.items()
    }
    return RiskCoverage(
        coverage=(answered_G / len(target_N))[keep].tolist(),
        risk=(errors_G / answered_G)[keep].tolist(),
        aurc=entries["aurc"],
        excess=entries["excess"],
        error_rate=float(is_wrong_N.mean()),
    )


def compare_confidences(
    confidences: Mapping[str, ArrayLike],
    is_wrong_N: NDArray[np.bool_],
    *,
    groups: PatientGroups,
    seed: int,
    num_resamples: int = 1000,
) -> dict[str, dict[str, Any]]:
    """The area under the curve of each confidence, and how far it is from that of the first, for the same answers.

    Args:
        confidences: name to confidence_N, higher is surer, in any unit.
        is_wrong_N: which answers are errors.
        groups: the patients of these images.
        seed: of the resamples.
        num_resamples: 0 leaves the intervals out.

    Returns:
        For each name `aurc`, and `gain` over the first (its area less this one, above 0 for fewer errors among the surest),
        both {value, low, high, reason}; the gain is paired: the same resamples judge both.

    Raises:
        ValueError: names the first row that is at fault.
    """
    check_length(groups.patient_N.tolist(), name="groups", num_images=len(is_wrong_N))
    areas = {
        name: _Areas(_checked_confidence(given, num_images=len(is_wrong_N)), is_wrong_N)
        for name, given in confidences.items()
    }
    value = {name: float(one(np.ones((len(is_wrong_N), 1)))["aurc"][0]) for name, one in areas.items()}
    samples = bootstrap(
        lambda weights_NR: {name: one(weights_NR)["aurc"] for name, one in areas.items()},
        groups,
        num_resamples=num_resamples,
        seed=seed,
    )
    first, carriers = next(iter(areas)), groups.count(is_wrong_N)

    def interval(samples_R: Floats | None) -> Interval:
        return percentile_interval(samples_R, num_patients=carriers)

    return {
        name: {
            "aurc": entry(value[name], interval(samples.get(name))),
            "gain": entry(value[first] - value[name], interval(samples[first] - samples[name] if samples else None)),
        }
        for name in areas
    }


def _checked_confidence(confidence_N: ArrayLike, *, num_images: int) -> Floats:
    confidence = checked_values(confidence_N, name="confidence_N")
    check_length(confidence, name="confidence_N", num_images=num_images)
    return confidence


class _Areas:
    """Both areas under any weighting of the images; whole weights are copies of images."""

    def __init__(self, confidence_N: Floats, is_wrong_N: NDArray[np.bool_]) -> None:
        self.order_N = np.argsort(-confidence_N, kind="stable")
        ordered = confidence_N[self.order_N]
        self.starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        self.is_wrong_N = is_wrong_N[self.order_N]

    def cumulative(self, weights_NR: Floats) -> tuple[Floats, Floats]:
        """Images, and errors among them, that are answered with each group of equal confidence: (G, R)."""
        weights = weights_NR[self.order_N]
        answered = np.add.reduceat(weights, self.starts, axis=0)
        errors = np.add.reduceat(weights * self.is_wrong_N[:, None], self.starts, axis=0)
        return np.cumsum(answered, axis=0), np.cumsum(errors, axis=0)

    def __call__(self, weights_NR: Floats) -> dict[str, Floats]:
        answered_GR, errors_GR = self.cumulative(weights_NR)
        total_R = answered_GR[-1]
        before_GR = np.vstack([np.zeros_like(total_R), answered_GR[:-1]])
        step_GR, new_GR = answered_GR - before_GR, np.diff(errors_GR, axis=0, prepend=0)
        slope_GR = np.divide(new_GR, step_GR, out=np.zeros_like(new_GR), where=step_GR > 0)
        offset_GR = errors_GR - new_GR - slope_GR * before_GR  # errors at x images are offset + slope * x
        ratio_GR = np.divide(answered_GR, before_GR, out=np.ones_like(answered_GR), where=before_GR > 0)
        area_R = (xlogy(offset_GR, ratio_GR) + new_GR).sum(axis=0) / total_R
        rate_R = errors_GR[-1] / total_R
        ideal_R = rate_R + xlog1py(1 - rate_R, -rate_R)
        return {"aurc": area_R, "excess": np.maximum(area_R - ideal_R, 0.0)}
