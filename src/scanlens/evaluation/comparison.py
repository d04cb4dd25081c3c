"""Networks held against each other on the same images: the difference of a metric, its interval, and a p value.

Every resample of patients judges all networks, so what makes a resample easy or hard drops out of the difference. The
interval comes first; the p value is of the test that is known for the metric (DeLong's for the AUROC of two classes,
McNemar's for accuracy, each with the images of a patient kept together), elsewhere the one at which the interval
would just touch 0. Networks count as told apart only where the interval leaves out 0 and the p value, adjusted for all
comparisons, is below 0.05.

Legend of axes: N images, K classes, P patients, R resamples, J networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
from scipy.stats import norm, t

from scanlens.evaluation.checks import Floats, Ints, checked_predictions
from scanlens.evaluation.delong import delong_difference
from scanlens.evaluation.intervals import percentile_interval
from scanlens.evaluation.metrics import brier_per_image, log_loss_per_image
from scanlens.evaluation.paired_tests import holm, mcnemar
from scanlens.evaluation.ranking import divided
from scanlens.evaluation.resampling import PatientGroups, bootstrap
from scanlens.evaluation.weighted import WeightedMetrics

COMPARED = ("auroc", "auprc", "balanced_accuracy", "accuracy", "log_loss", "brier")
LOWER_IS_BETTER = ("log_loss", "brier")
MAX_P = 0.05
MIN_BEYOND = 10
Pairs = Literal["first", "all"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One network less another.

    Args:
        first: name of the one.
        second: name of the other.
        value: of the metric, the first less the second; None if it is not defined.
        low: end of the interval, of this one comparison alone.
        high: the other end.
        reason: why there is no value or no interval.
        p: two-sided, for no difference.
        p_adjusted: for all comparisons made (Holm).
        test: what gave the p value.
        better: name of the better one where they can be told apart, else None.
        check: {value, low, high, p, test} of another method, for binary AUROC; else None.
    """

    first: str
    second: str
    value: float | None
    low: float | None
    high: float | None
    reason: str | None
    p: float | None
    test: str
    p_adjusted: float | None = None
    better: str | None = None
    check: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare_networks(
    probabilities: Mapping[str, Floats],
    target_N: Ints,
    groups: PatientGroups,
    *,
    metric: str,
    pairs: Pairs = "all",
    seed: int,
    num_resamples: int = 2000,
) -> list[Difference]:
    """Differences of a metric between networks that judged the same images.

    Args:
        probabilities: name of a network to its probabilities_NK, rows in the order of `target_N`.
        target_N: class numbers in 0..K-1.
        groups: the patients of the images.
        metric: one of `COMPARED`.
        pairs: every other network less the first, or every pair (the later less the earlier).
        seed: of the resamples.
        num_resamples: of the bootstrap.

    Raises:
        ValueError: if fewer than two networks, an unknown metric or broken predictions are given.
    """
    if metric not in COMPARED:
        raise ValueError(f"metric: expected one of {', '.join(COMPARED)}, got {metric!r}")
    if len(probabilities) < 2:
        raise ValueError(f"probabilities: expected at least two networks, got {len(probabilities)}")
    checked = {name: checked_predictions(given, target_N)[0] for name, given in probabilities.items()}
    names = list(checked)
    statistics = {name: weighted_metric(metric, checked[name], target_N) for name in names}
    samples = bootstrap(
        lambda weights_NR: {name: statistic(weights_NR) for name, statistic in statistics.items()},
        groups,
        num_resamples=num_resamples,
        seed=seed,
    )
    once_N1 = np.ones((len(target_N), 1))
    values = {name: float(statistic(once_N1)[0]) for name, statistic in statistics.items()}
    pair = _Pair(checked, target_N, groups, metric=metric, values=values, samples=samples)
    chosen = combinations(names, 2) if pairs == "all" else ((names[0], name) for name in names[1:])
    found = [pair.difference(later, earlier) for earlier, later in chosen]
    adjusted = holm([one.p for one in found])
    return [_decided(one, p, metric) for one, p in zip(found, adjusted, strict=True)]


def weighted_metric(metric: str, probabilities_NK: Floats, target_N: Ints) -> Callable[[Floats], Floats]:
    """A function of weights_NR that gives the metric of each weighting (R,); NaN where it is not defined."""
    per_image = {"log_loss": log_loss_per_image, "brier": brier_per_image, "accuracy": _is_right}.get(metric)
    if per_image is None:
        metrics = WeightedMetrics(probabilities_NK, target_N)
        return lambda weights_NR: metrics(weights_NR)[metric]
    value_N = per_image(probabilities_NK, target_N)
    return lambda weights_NR: divided(value_N @ weights_NR, weights_NR.sum(axis=0))


def bootstrap_p(difference_R: Floats, *, num_patients: int) -> float:
    """Two-sided p value at which the expanded percentile interval (`percentile_interval`) would just touch 0.

    Where fewer than 10 resamples lie beyond 0 their share says little; then the distance of 0 in standard deviations of
    the resamples is taken, so that p values corrected for many comparisons do not end at the number of resamples.

    Args:
        difference_R: of every resample, NaN where undefined.
        num_patients: as for the interval, at least 2.
    """
    known = difference_R[~np.isnan(difference_R)]
    beyond = float((known < 0).sum() + (known == 0).sum() / 2)
    beyond = min(beyond, len(known) - beyond)
    quantile = -float(norm.ppf(max(beyond, 1.0) / len(known)))
    if beyond < MIN_BEYOND:
        quantile = max(quantile, abs(float(known.mean())) / float(known.std()))
    return 2 * float(t.sf(quantile / math.sqrt(num_patients / (num_patients - 1)), num_patients - 1))


class _Pair:
    """What all comparisons share."""

    def __init__(
        self,
        probabilities: Mapping[str, Floats],
        target_N: Ints,
        groups: PatientGroups,
        *,
        metric: str,
        values: Mapping[str, float],
        samples: Mapping[str, Floats],
    ) -> None:
        self.probabilities, self.target_N, self.groups = probabilities, target_N, groups
        self.metric, self.values, self.samples = metric, values, samples
        self.num_patients = _carriers(metric, target_N, groups)

    def difference(self, first: str, second: str) -> Difference:
        value = self.values[first] - self.values[second]
        if math.isnan(value):
            return Difference(first, second, None, None, None, "only one class here", None, "none")
        samples_R = self.samples[first] - self.samples[second] if self.samples else None
        interval = percentile_interval(samples_R, num_patients=self.num_patients)
        p_value, test, check = self._test(first, second, samples_R if interval.low is not None else None)
        return Difference(
            first, second, value, interval.low, interval.high, interval.reason, p_value, test, check=check
        )

    def _test(
        self, first: str, second: str, samples_R: Floats | None
    ) -> tuple[float | None, str, dict[str, Any] | None]:
        one_NK, other_NK = self.probabilities[first], self.probabilities[second]
        if self.metric == "accuracy":
            right = [_is_right(given_NK, self.target_N) > 0 for given_NK in (one_NK, other_NK)]
            return mcnemar(right[0], right[1], self.groups), "McNemar, patients exchanged whole", None
        by_interval = None if samples_R is None else bootstrap_p(samples_R, num_patients=self.num_patients)
        if self.metric == "auroc" and one_NK.shape[1] == 2:
            found = delong_difference(one_NK[:, 1], other_NK[:, 1], self.target_N == 1, groups=self.groups)
            check = {key: found[key] for key in ("value", "low", "high", "p", "reason")}
            return found["p"], "DeLong, patients kept together", check | {"p_of_bootstrap": by_interval}
        return by_interval, "bootstrap of patients", None


def _is_right(probabilities_NK: Floats, target_N: Ints) -> Floats:
    return (probabilities_NK.argmax(axis=1) == target_N).astype(np.float64)


def _carriers(metric: str, target_N: Ints, groups: PatientGroups) -> int:
    """Patients that carry the metric: of its rarest class, where classes count alike."""
    if metric in ("accuracy", *LOWER_IS_BETTER):
        return groups.num_patients
    return min(groups.count(target_N == k) for k in np.unique(target_N))


def _decided(one: Difference, p_adjusted: float | None, metric: str) -> Difference:
    better = None
    if one.value is not None and one.low is not None and one.high is not None and p_adjusted is not None:
        is_apart = (one.low > 0 or one.high < 0) and p_adjusted < MAX_P
        is_first = (one.value > 0) != (metric in LOWER_IS_BETTER)
        better = (one.first if is_first else one.second) if is_apart else None
    return replace(one, p_adjusted=p_adjusted, better=better)


def best_of(values: Sequence[float | None], metric: str) -> int | None:
    """Place of the best value; None if there is none."""
    known = [(value, place) for place, value in enumerate(values) if value is not None]
    choose = min if metric in LOWER_IS_BETTER else max
    return choose(known)[1] if known else None
