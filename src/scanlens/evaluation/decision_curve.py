"""Whether acting on the network does more good than acting on everybody, or on nobody.

Net benefit = sensitivity x prevalence - (1 - specificity) x (1 - prevalence) x t / (1 - t), in ill patients found per
patient seen, after subtracting false alarms at the exchange rate of the threshold t: who would act at a probability of
0.1 takes nine false alarms for one ill patient found. Probabilities are taken as they stand, so a badly calibrated
network is shown as the harm it does. Standardized net benefit is the share of the largest that can be had (the
prevalence).

The band puts the patient-aware Wilson intervals of sensitivity and specificity together (MOVER) at a fixed prevalence:
acting on all then has no uncertainty, and where the band lies above its line, the network is surely better. Resamples
of patients would not do: at low thresholds where no ill patient happened to be missed, none is missed in any resample,
and with 19 ill patients their band held the truth in 65 % of simulated studies in place of 95. Where images are judged and
one patient has ill and healthy ones, both shares rise together and the band is somewhat too wide.

Legend of axes: U units (patients, else images), T thresholds.

References:
    Vickers & Elkin 2006, doi:10.1177/0272989X06295361; Kerr, Brown, Zhu & Janes 2016, doi:10.1200/JCO.2015.65.5654
    (standardized net benefit); Zou & Donner 2008, doi:10.1002/sim.3095 (MOVER).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scanlens.evaluation.binary_view import BinaryView, Bools
from scanlens.evaluation.intervals import Interval, entry
from scanlens.evaluation.likelihood import Entry, complement
from scanlens.evaluation.operating_point import sensitivity_and_specificity

THRESHOLDS_T = tuple(percent / 100 for percent in range(1, 100))
ROUNDING = 1e-12
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
    """

    threshold_T: tuple[float, ...]
    model_T: tuple[Entry, ...]
    standardized_T: tuple[Entry, ...]
    treat_all_T: tuple[float | None, ...]
    prevalence: float | None
    is_prevalence_stated: bool
    better: tuple[Range, ...]
    surely_better: tuple[Range, ...]

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
        }


def decision_curve(
    view: BinaryView, *, prevalence: float | None = None, threshold_T: Sequence[float] = THRESHOLDS_T
) -> DecisionCurve:
    """The curve of one split.

    Args:
        view: its scores, read as probabilities.
        prevalence: where the network will be used, in (0, 1); None for that of the split.
        threshold_T: rising, in (0, 1).

    Raises:
        ValueError: if a threshold or the prevalence is out of its range.
    """
    _check(threshold_T, prevalence)
    model_T = tuple(
        net_benefit_of_calls(view, view.score_U >= t, threshold=t, prevalence=prevalence) for t in threshold_T
    )
    is_defined = view.num_positive > 0 and view.num_negative > 0
    share = prevalence if prevalence is not None or not is_defined else float(view.is_positive_U.mean())
    all_T = tuple(None if share is None else net_benefit(1, 1, prevalence=share, threshold=t) for t in threshold_T)
    return DecisionCurve(
        threshold_T=tuple(threshold_T),
        model_T=model_T,
        standardized_T=tuple(_scaled(one, share) for one in model_T),
        treat_all_T=all_T,
        prevalence=share,
        is_prevalence_stated=prevalence is not None,
        better=_runs(threshold_T, _beats(model_T, all_T, "value")),
        surely_better=_runs(threshold_T, _beats(model_T, all_T, "low")),
    )


def net_benefit(sensitivity: float, false_alarm_rate: float, *, prevalence: float, threshold: float) -> float:
    """Ill patients found per patient seen, less false alarms at the exchange rate t / (1 - t).

    Args:
        sensitivity, false_alarm_rate: shares of the ill and of the healthy that are called ill.
        prevalence: share of the ill.
        threshold: the probability t at which one would act, below 1.
    """
    return sensitivity * prevalence - false_alarm_rate * (1 - prevalence) * threshold / (1 - threshold)


def net_benefit_of_calls(
    view: BinaryView, is_called_U: Bools, *, threshold: float, prevalence: float | None = None
) -> Entry:
    """Net benefit of given calls, such as those of the operating point, with its interval.

    Args:
        view: of the split.
        is_called_U: who is called positive.
        threshold: the probability at which one would act; it sets the exchange rate and need not be what made the calls.
        prevalence: where the network will be used, in (0, 1); None for that of the split.

    Raises:
        ValueError: if the prevalence is out of its range.
    """
    _check((), prevalence)
    if not 0 < threshold < 1:
        remark = f"not defined at a threshold of {threshold:g}: there is no exchange rate of misses and false alarms"
        return entry(None, Interval(None, None), remark=remark)
    found, specificity = sensitivity_and_specificity(view, is_called_U)
    alarms = complement(specificity)
    for share in (found, alarms):
        if share["value"] is None:
            return entry(None, Interval(None, None), remark=share["reason"])
    ill = float(view.is_positive_U.mean()) if prevalence is None else prevalence
    value = net_benefit(found["value"], alarms["value"], prevalence=ill, threshold=threshold)
    return entry(value, _interval(value, found, alarms, ill, (1 - ill) * threshold / (1 - threshold)))


def _interval(value: float, found: Entry, alarms: Entry, ill: float, weight: float) -> Interval:
    """Of `ill` x found - `weight` x alarms, from the interval of each."""
    if found["low"] is None or alarms["low"] is None:
        return Interval(None, None, found["reason"] or alarms["reason"])
    down = math.hypot(ill * (found["value"] - found["low"]), weight * (alarms["high"] - alarms["value"]))
    up = math.hypot(ill * (found["high"] - found["value"]), weight * (alarms["value"] - alarms["low"]))
    return Interval(value - down, value + up)


def _check(threshold_T: Sequence[float], prevalence: float | None) -> None:
    if any(not 0 < t < 1 for t in threshold_T) or list(threshold_T) != sorted(set(threshold_T)):
        raise ValueError("threshold_T: expected rising probabilities above 0 and below 1, such as 0.01, 0.02 ... 0.99")
    if prevalence is not None and not 0 < prevalence < 1:
        raise ValueError(f"prevalence: expected between 0 and 1, such as 0.1, got {prevalence}")


def _scaled(benefit: Entry, prevalence: float | None) -> Entry:
    numbers = {
        name: None if benefit[name] is None or not prevalence else benefit[name] / prevalence
        for name in ("value", "low", "high")
    }
    return {**numbers, "reason": benefit["reason"]}


def _beats(model_T: Sequence[Entry], all_T: Sequence[float | None], end: str) -> Bools:
    """Where this end of the interval lies above acting on all and on nobody."""
    pairs = zip((one[end] for one in model_T), all_T, strict=True)
    return np.array([a is not None and b is not None and a > max(b, 0.0) + ROUNDING for a, b in pairs], dtype=bool)


def _runs(threshold_T: Sequence[float], is_meant_T: Bools) -> tuple[Range, ...]:
    edges = np.flatnonzero(np.diff(np.r_[False, is_meant_T, False].astype(int)))
    return tuple(
        (float(threshold_T[first]), float(threshold_T[after - 1]))
        for first, after in zip(edges[::2], edges[1::2], strict=True)
    )
