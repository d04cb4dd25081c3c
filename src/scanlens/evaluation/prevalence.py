"""What a call is worth where more, or fewer, patients are ill than in the test split.

Sensitivity and specificity are taken as they were measured; the prevalence is stated. By Bayes the odds of being ill after
a call are the odds before it times the likelihood ratio, so the interval of a predictive value is that of the ratio of
two shares (`likelihood`), moved to the stated odds. It does not hold where patients are ill in another way than those
of the test split (milder, earlier: the spectrum).

Legend of axes: G prevalences of the grid.

References:
    Mercaldo, Lau & Zhou 2007, doi:10.1002/sim.2677 (intervals of predictive values at a stated prevalence, which we
    make from Wilson's in place of the logarithm's).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import expit, logit

from scanlens.evaluation.intervals import Interval, entry
from scanlens.evaluation.likelihood import Entry, complement, ratio_of_shares
from scanlens.evaluation.operating_point import Rates

ROUND_G = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # for tables
EVEN_G = np.round(expit(np.linspace(logit(0.001), logit(0.99), 61)), 6)  # for curves
GRID_G = tuple(sorted({*ROUND_G, *EVEN_G.tolist()}))
NEAR_STATED, NEAR_SPLIT = (0.5, 1.0, 2.0), (0.1, 1 / 3, 1.0)  # times the odds
Source = Literal["stated", "test split"]


@dataclass(frozen=True, slots=True)
class PredictiveValues:
    """PPV and NPV by prevalence.

    Args:
        prevalence_G: shares of ill patients.
        ppv_G, npv_G: {value, low, high, reason} at each.
    """

    prevalence_G: tuple[float, ...]
    ppv_G: tuple[Entry, ...]
    npv_G: tuple[Entry, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"prevalence": list(self.prevalence_G), "ppv": list(self.ppv_G), "npv": list(self.npv_G)}


@dataclass(frozen=True, slots=True)
class Thousand:
    """What happens to a number of patients: whole numbers, and ill + healthy, found + missed + alarms + reassured, add up.

    Args:
        total: of patients, such as 1,000.
        prevalence: share that is ill.
        source: whether the prevalence was stated, or is that of the test split.
        ill, healthy: how many are.
        found, missed: of the ill; {value, low, high, reason}.
        false_alarms, reassured: of the healthy, called ill and called healthy.
    """

    total: int
    prevalence: float
    source: Source
    ill: int
    healthy: int
    found: Entry
    missed: Entry
    false_alarms: Entry
    reassured: Entry

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def predictive_values(rates: Rates, prevalence_G: Sequence[float] = GRID_G) -> PredictiveValues:
    """PPV and NPV at each prevalence of a grid.

    Raises:
        ValueError: if a prevalence is not in [0, 1].
    """
    pairs = [predictive_values_at(rates, prevalence) for prevalence in prevalence_G]
    return PredictiveValues(tuple(prevalence_G), tuple(ppv for ppv, _ in pairs), tuple(npv for _, npv in pairs))


def predictive_values_at(rates: Rates, prevalence: float) -> tuple[Entry, Entry]:
    """PPV and NPV where this share is ill.

    Raises:
        ValueError: if the prevalence is not in [0, 1].
    """
    if not 0 <= prevalence <= 1:
        raise ValueError(f"prevalence: expected a share from 0 to 1, such as 0.1, got {prevalence}")
    ill, well = rates.sensitivity, rates.specificity
    return (
        _after(ill, complement(well), prevalence, "nobody is called ill"),
        _after(well, complement(ill), 1 - prevalence, "nobody is called healthy"),
    )


def near_prevalences(rates: Rates, prevalence: float, source: Source) -> list[dict[str, Any]]:
    """Predictive values at three prevalences, rising: {prevalence, source, ppv, npv}; `source` is None for those made from it.

    A stated prevalence is asked about with half and twice its odds, since nobody knows it exactly. That of a test split
    is usually far above practice, where patients were not chosen for being ill: a tenth and a third of its odds are asked about.
    Odds in place of shares keep it below 1, and are the same where few are ill.

    Args:
        rates: measured ones.
        prevalence: in (0, 1); of a split with one class only nothing is asked.
        source: where it is from.
    """
    if not 0 < prevalence < 1:
        return []
    found = []
    for factor in NEAR_STATED if source == "stated" else NEAR_SPLIT:
        share = prevalence if factor == 1 else _moved(factor, prevalence)
        ppv, npv = predictive_values_at(rates, share)
        found.append({"prevalence": share, "source": source if factor == 1 else None, "ppv": ppv, "npv": npv})
    return found


def per_thousand(rates: Rates, *, prevalence: float, source: Source = "stated", total: int = 1000) -> Thousand | None:
    """What the calls do to `total` patients at a prevalence; None without a sensitivity or a specificity.

    Bounds are rounded outward.

    Raises:
        ValueError: if the prevalence is not in [0, 1].
    """
    if not 0 <= prevalence <= 1:
        raise ValueError(f"prevalence: expected a share from 0 to 1, such as 0.1, got {prevalence}")
    if rates.sensitivity["value"] is None or rates.specificity["value"] is None:
        return None
    ill = _nearest(total * prevalence)
    found, reassured = _counted(rates.sensitivity, ill), _counted(rates.specificity, total - ill)
    return Thousand(
        total=total,
        prevalence=prevalence,
        source=source,
        ill=ill,
        healthy=total - ill,
        found=found,
        missed=_rest(found, ill),
        false_alarms=_rest(reassured, total - ill),
        reassured=reassured,
    )


def _after(right: Entry, wrong: Entry, prior: float, if_none: str) -> Entry:
    """Share that is right among those called so, from the shares called so where it is right and where it is wrong."""
    for share in (right, wrong):
        if share["value"] is None:
            return entry(None, Interval(None, None), remark=share["reason"])
    if prior in (0, 1):
        return entry(float(prior), Interval(None, None, "certain before any call"))
    ratio, low, high = ratio_of_shares(right, wrong)
    if math.isnan(ratio):
        return entry(None, Interval(None, None), remark=f"not defined: {if_none}")
    value = _moved(ratio, prior)
    if low is None or high is None:
        return entry(value, Interval(None, None, right["reason"] or wrong["reason"]))
    return entry(value, Interval(_moved(low, prior), _moved(high, prior)))


def _moved(ratio: float, prior: float) -> float:
    """Probability after a call with this likelihood ratio."""
    return 1.0 if math.isinf(ratio) else ratio * prior / (ratio * prior + 1 - prior)


def _counted(share: Entry, among: int) -> Entry:
    low, high = share["low"], share["high"]
    bounds = Interval(None, None, share["reason"])
    if low is not None and high is not None:
        bounds = Interval(math.floor(round(low * among, 9)), math.ceil(round(high * among, 9)), share["reason"])
    return entry(_nearest(share["value"] * among), bounds)


def _rest(part: Entry, among: int) -> Entry:
    low, high = (None if part[name] is None else among - part[name] for name in ("high", "low"))
    return {"value": among - part["value"], "low": low, "high": high, "reason": part["reason"]}


def _nearest(amount: float) -> int:
    """Half up."""
    return math.floor(round(amount, 9) + 0.5)
