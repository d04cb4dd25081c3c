"""Likelihood ratios, and intervals of a ratio of two shares from the interval of each.

A ratio of independent shares gets its interval by MOVER-R from the patient-aware Wilson intervals of both. Against the
usual logarithmic interval (Simel 1991) it needs no half patients where a count is 0, knows that images of a patient are
alike, and in simulation holds what it says as well or better with shorter intervals (ten ill and twenty healthy
patients upwards). Where images are judged and one patient has ill and healthy ones, the two shares are not quite
independent.

References:
    Simel, Samsa & Matchar 1991, doi:10.1016/0895-4356(91)90128-V (likelihood ratios); Donner & Zou 2012, Statistical
    Methods in Medical Research 21:347, and Newcombe 2016, the same 25:1774 (MOVER-R).
"""

from __future__ import annotations

import math
from typing import Any

from scanlens.evaluation.intervals import Interval, entry

Entry = dict[str, Any]  # {value, low, high, reason}


def complement(share: Entry) -> Entry:
    """One less the share, with its interval."""
    if share["value"] is None:
        return share
    low, high = (None if share[name] is None else 1 - share[name] for name in ("high", "low"))
    return {"value": 1 - share["value"], "low": low, "high": high, "reason": share["reason"]}


def ratio_of_shares(above: Entry, below: Entry) -> tuple[float, float | None, float | None]:
    """Ratio, low and high; infinite where `below` is 0, NaN where both are; bounds None where a share has none.

    Args:
        above, below: shares with a value.
    """
    a, b = above["value"], below["value"]
    value = a / b if b > 0 else (math.inf if a > 0 else math.nan)
    if None in (above["low"], below["low"]) or math.isnan(value):
        return value, None, None
    product = a * b
    low_part, high_part = above["low"] * (2 * a - above["low"]), above["high"] * (2 * a - above["high"])
    far_part, near_part = below["high"] * (2 * b - below["high"]), below["low"] * (2 * b - below["low"])
    low = low_part / (product + math.sqrt(max(0.0, product**2 - low_part * far_part))) if low_part > 0 else 0.0
    if near_part == 0:
        return value, low, math.inf
    return value, low, (product + math.sqrt(max(0.0, product**2 - high_part * near_part))) / near_part


def positive_likelihood_ratio(sensitivity: Entry, specificity: Entry) -> Entry:
    """How much more often the ill are called ill than the healthy: sensitivity / (1 - specificity)."""
    return _ratio_entry(sensitivity, complement(specificity), "no false alarm was given")


def negative_likelihood_ratio(sensitivity: Entry, specificity: Entry) -> Entry:
    """How much more often the ill are called healthy than the healthy: (1 - sensitivity) / specificity."""
    return _ratio_entry(complement(sensitivity), specificity, "nobody healthy was called so")


def _ratio_entry(above: Entry, below: Entry, nothing_below: str) -> Entry:
    for share in (above, below):
        if share["value"] is None:
            return entry(None, Interval(None, None), remark=share["reason"])
    value, low, high = ratio_of_shares(above, below)
    if math.isnan(value):
        return entry(None, Interval(None, None), remark="not defined: all are called the same")
    if math.isinf(value):
        bound = "" if low is None else f"; with 95 % confidence it is above {low:.2g}"
        return entry(None, Interval(None, None), remark=f"without bound, as {nothing_below}{bound}")
    why_not = None if low is not None else above["reason"] or below["reason"]
    return entry(value, Interval(low, high, why_not))
