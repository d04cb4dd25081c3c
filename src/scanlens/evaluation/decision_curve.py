"""Whether acting on the network does more good than acting on everybody, or on nobody.

Net benefit = sensitivity x prevalence - (1 - specificity) x (1 - prevalence) x t / (1 - t), in ill patients found per
patient seen, after subtracting false alarms at the exchange rate of the threshold t: who would act at a probability of
0.1 takes nine false alarms for one ill patient found. Probabilities are taken as they stand, so a badly calibrated
network is shown as the harm it does. Standardized net benefit is the share of the largest that can be had (the
prevalence).

The band resamples patients within classes at a fixed prevalence: acting on all then has no uncertainty, and where the band
lies above its line, the network is surely better.

Legend of axes: U units (patients, else images), T thresholds, R resamples.

References:
    Vickers & Elkin 2006, doi:10.1177/0272989X06295361; Kerr, Brown, Zhu & Janes 2016, doi:10.1200/JCO.2015.65.5654
    (standardized net benefit).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from scanlens.evaluation.binary_view import BinaryView, Bools
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import Interval, described, entry, percentile_interval
from scanlens.evaluation.likelihood import Entry
from scanlens.evaluation.ranking import divided
from scanlens.evaluation.resampling import bootstrap

THRESHOLDS_T = tuple(percent / 100 for percent in range(1, 100))
METHOD = "percentiles, expanded for small numbers, of a bootstrap within classes at a fixed prevalence"
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefits by threshold probability.

    Args:
        threshold_T: probabilities at which one would act.
        model_T, standardized_T: of acting on the network: {value, low, high, reason}.
        treat_all_T: of acting on everybody; None throughout where the prevalence is not known. Acting on nobody is 0.
        prevalence: that the curve is for; None where it is that of a split with one class only.
        is_prevalence_stated: whether it was stated, as opposed to that of the split.
        better: thresholds, first and last of each run, at which the network does more good than both.
        surely_better: the same for the lower end of the band.
        interval: how the band was made.
    """

    threshold_T: tuple[float, ...]
    model_T: tuple[Entry, ...]
    standardized_T: tuple[Entry, ...]
    treat_all_T: tuple[float | None, ...]
    prevalence: float | None
    is_prevalence_stated: bool
    better: tuple[Range, ...]
    surely_better: tuple[Range, ...]
    interval: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "threshold": list(self.threshold_T),
            "model": list(self.model_T),
            "standardized": list(self.standardized_T),
            "treat_all": list(self.treat_all_T),
            "treat_none": 0.0,
            "prevalence": self.prevalence,
            "is_prevalence_stated": self.is_prevalence_stated,
            "better": [list(one) for one in self.better],
            "surely_better": [list(one) for one in self.surely_better],
            "interval": self.interval,
        }


def decision_curve(
    view: BinaryView,
    *,
    seed: int,
    num_resamples: int = 1000,
    prevalence: float | None = None,
    threshold_T: Sequence[float] = THRESHOLDS_T,
) -> DecisionCurve:
    """The curve of one split.

    Args:
        view: its scores, read as probabilities.
        seed: of the resamples.
        num_resamples: of the band; 0 for none.
        prevalence: where the network will be used, in (0, 1); None for that of the split.
        threshold_T: rising, in (0, 1).

    Raises:
        ValueError: if a threshold or the prevalence is out of its range.
    """
    _check(threshold_T, prevalence)
    reason = _why_not(view)
    thresholds = np.asarray(threshold_T, dtype=np.float64)
    share = float(view.is_positive_U.mean()) if prevalence is None else prevalence
    how = described(view.groups, num_resamples=num_resamples, method=METHOD)
    stated = prevalence is not None
    if reason:
        nothing = (entry(None, Interval(None, None), remark=reason),) * len(thresholds)
        nobody = (None,) * len(thresholds)
        return DecisionCurve(tuple(threshold_T), nothing, nothing, nobody, prevalence, stated, (), (), how)
    of_weights = _WeightedBenefit(view, thresholds, share)
    value_T = of_weights(np.ones((len(view.score_U), 1)))["net_benefit"][:, 0]
    samples = bootstrap(of_weights, view.groups, num_resamples=num_resamples, seed=seed)
    carriers = min(view.groups.count(view.is_positive_U), view.groups.count(~view.is_positive_U))
    bands = [
        percentile_interval(samples["net_benefit"][t] if samples else None, num_patients=carriers)
        for t in range(len(thresholds))
    ]
    all_T = net_benefit(1.0, 1.0, prevalence=share, threshold=thresholds)
    low_T = np.array([-np.inf if band.low is None else band.low for band in bands])
    rival_T = np.maximum(all_T, 0)
    return DecisionCurve(
        threshold_T=tuple(threshold_T),
        model_T=tuple(entry(float(v), band) for v, band in zip(value_T, bands, strict=True)),
        standardized_T=tuple(_scaled(float(v), band, share) for v, band in zip(value_T, bands, strict=True)),
        treat_all_T=tuple(float(v) for v in all_T),
        prevalence=share,
        is_prevalence_stated=stated,
        better=_runs(thresholds, value_T > rival_T + 1e-12),
        surely_better=_runs(thresholds, low_T > rival_T + 1e-12),
        interval=how,
    )


def net_benefit(sensitivity: Any, false_alarm_rate: Any, *, prevalence: float, threshold: Any) -> Any:
    """Ill patients found per patient seen, less false alarms at the exchange rate t / (1 - t).

    Args:
        sensitivity, false_alarm_rate: shares of the ill and of the healthy that are called ill; numbers or arrays.
        prevalence: share of the ill.
        threshold: the probability t at which one would act, below 1.
    """
    return sensitivity * prevalence - false_alarm_rate * (1 - prevalence) * threshold / (1 - threshold)


def net_benefit_of_calls(
    view: BinaryView,
    is_called_U: Bools,
    *,
    threshold: float,
    seed: int,
    num_resamples: int = 1000,
    prevalence: float | None = None,
) -> Entry:
    """Net benefit of given calls, such as those of the operating point, with its interval.

    Args:
        view: of the split.
        is_called_U: who is called positive.
        threshold: the probability at which one would act; it sets the exchange rate and need not be what made the calls.
        seed, num_resamples, prevalence: as in `decision_curve`.

    Raises:
        ValueError: if the prevalence is out of its range.
    """
    _check((), prevalence)
    if not 0 < threshold < 1:
        remark = f"not defined at a threshold of {threshold:g}: there is no exchange rate of misses and false alarms"
        return entry(None, Interval(None, None), remark=remark)
    reason = _why_not(view)
    if reason:
        return entry(None, Interval(None, None), remark=reason)
    share = float(view.is_positive_U.mean()) if prevalence is None else prevalence
    called = replace(view, score_U=is_called_U.astype(np.float64))
    of_weights = _WeightedBenefit(called, np.array([threshold]), share)
    samples = bootstrap(of_weights, view.groups, num_resamples=num_resamples, seed=seed)
    carriers = min(view.groups.count(view.is_positive_U), view.groups.count(~view.is_positive_U))
    band = percentile_interval(samples["net_benefit"][0] if samples else None, num_patients=carriers)
    return entry(float(of_weights(np.ones((len(is_called_U), 1)))["net_benefit"][0, 0]), band)


class _WeightedBenefit:
    """Net benefits of fixed scores under varying weights; each score is put between its thresholds once."""

    def __init__(self, view: BinaryView, threshold_T: Floats, prevalence: float) -> None:
        self.threshold_T1, self.prevalence = threshold_T[:, None], prevalence
        num_units, num_bins = len(view.score_U), len(threshold_T) + 1
        num_passed_U = np.searchsorted(threshold_T, view.score_U, side="right")
        self.by_class = [
            csr_array(
                (is_meant_U.astype(np.float64), (num_passed_U, np.arange(num_units))), shape=(num_bins, num_units)
            )
            for is_meant_U in (view.is_positive_U, ~view.is_positive_U)
        ]

    def __call__(self, weights_UR: Floats) -> dict[str, Floats]:
        """`net_benefit` (T, R); NaN where a class has no weight."""
        called = [np.cumsum((bins @ weights_UR)[::-1], axis=0)[::-1] for bins in self.by_class]
        sensitivity_TR, alarms_TR = (divided(num[1:], np.broadcast_to(num[:1], num[1:].shape)) for num in called)
        benefit_TR = net_benefit(sensitivity_TR, alarms_TR, prevalence=self.prevalence, threshold=self.threshold_T1)
        return {"net_benefit": benefit_TR}


def _check(threshold_T: Sequence[float], prevalence: float | None) -> None:
    if any(not 0 < t < 1 for t in threshold_T) or list(threshold_T) != sorted(set(threshold_T)):
        raise ValueError("threshold_T: expected rising probabilities above 0 and below 1, such as 0.01, 0.02 ... 0.99")
    if prevalence is not None and not 0 < prevalence < 1:
        raise ValueError(f"prevalence: expected between 0 and 1, such as 0.1, got {prevalence}")


def _why_not(view: BinaryView) -> str | None:
    if view.num_positive == 0:
        return f"not defined: no {view.unit} is '{view.positive}'"
    return f"not defined: every {view.unit} is '{view.positive}'" if view.num_negative == 0 else None


def _scaled(value: float, band: Interval, prevalence: float) -> Entry:
    low, high = (None if bound is None else bound / prevalence for bound in (band.low, band.high))
    return entry(value / prevalence, Interval(low, high, band.reason))


def _runs(threshold_T: Floats, is_meant_T: Bools) -> tuple[Range, ...]:
    edges = np.flatnonzero(np.diff(np.r_[False, is_meant_T, False].astype(int)))
    return tuple(
        (float(threshold_T[first]), float(threshold_T[after - 1]))
        for first, after in zip(edges[::2], edges[1::2], strict=True)
    )
