"""Rules that place a threshold: a unit is called positive when its score is the threshold or above.

Candidates are the scores that occur, and one above them all at which nobody is called positive. Equal scores are called
together. Where a rule finds several candidates equally good it takes the lowest, which misses least. Every threshold
between the lowest score that is called and the next lower one makes the same calls; the middle is taken, on the scale of log
odds (`halfway`), since at the called score itself new positives, which scatter, would be missed more often than those that
it was chosen on.

| rule | threshold |
|---|---|
| target sensitivity | below the highest score with at least this share of the positives at or above it |
| Youden | that with the largest sensitivity + specificity - 1 |
| cost | that with the smallest expected cost at the stated prevalence |
| argmax | none: the class with the highest probability is the answer |

Legend of axes: T candidates, highest first.

References:
    Youden 1950, Cancer 3:32; Metz 1978, doi:10.1016/S0001-2998(78)80014-2 (expected cost).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scanlens.evaluation.binary_view import BinaryView
from scanlens.evaluation.checks import Floats, Ints

NOBODY = math.nextafter(1.0, 2.0)  # above every probability
ROUNDING = 1e-9
MIN_PROBABILITY = float(np.finfo(np.float64).eps)  # as in the log loss


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What each threshold gives.

    Args:
        threshold_T: the scores that occur, highest first, after one above them all.
        found_T: positives at or above it.
        alarmed_T: negatives at or above it.
    """

    threshold_T: Floats
    found_T: Ints
    alarmed_T: Ints


def candidates(view: BinaryView) -> Candidates:
    """All thresholds that make a difference."""
    threshold_T = np.r_[NOBODY, np.unique(view.score_U)[::-1]]
    positive, negative = view.score_U[view.is_positive_U], view.score_U[~view.is_positive_U]
    return Candidates(threshold_T, _at_or_above(positive, threshold_T), _at_or_above(negative, threshold_T))


def next_lower(given: Candidates, threshold: float) -> float | None:
    """The highest score below a candidate; None if there is none, or nobody is called."""
    lower = given.threshold_T[given.threshold_T < threshold]
    return float(lower[0]) if len(lower) and threshold < NOBODY else None


def log_odds(probability: float) -> float:
    """log(p / (1 - p)), finite also at 0 and 1."""
    return math.log(max(probability, MIN_PROBABILITY)) - math.log(max(1 - probability, MIN_PROBABILITY))


def halfway(low: float, high: float) -> float:
    """The middle of two probabilities by their log odds, above the lower one and at most the higher."""
    middle = 1 / (1 + math.exp(-(log_odds(low) + log_odds(high)) / 2))
    return min(max(middle, math.nextafter(low, 1.0)), high)


@dataclass(frozen=True, slots=True)
class TargetSensitivity:
    """The highest score that reaches the sensitivity.

    Args:
        target: above 0, at most 1.
    """

    target: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.target <= 1:
            raise ValueError(f"target sensitivity: expected above 0 and at most 1, such as 0.95, got {self.target}")

    @property
    def needs_negatives(self) -> bool:
        return False

    def choose(self, given: Candidates) -> float:
        """The candidate."""
        needed = max(1, math.ceil(self.target * int(given.found_T[-1]) - ROUNDING))
        return float(given.threshold_T[np.argmax(given.found_T >= needed)])

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": "sensitivity", "target": self.target}


@dataclass(frozen=True, slots=True)
class Youden:
    """The largest sum of sensitivity and specificity."""

    @property
    def needs_negatives(self) -> bool:
        return True

    def choose(self, given: Candidates) -> float:
        """The candidate."""
        gain_T = (
            given.found_T * given.alarmed_T[-1] - given.alarmed_T * given.found_T[-1]
        )  # whole numbers: ties are exact
        return _lowest(given, gain_T == gain_T.max())

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": "youden"}


@dataclass(frozen=True, slots=True)
class ExpectedCost:
    """The smallest expected cost: prevalence x misses x their cost + the rest x false alarms x theirs.

    Args:
        false_negative: cost of a miss, above 0, in the unit of `false_positive`.
        false_positive: cost of a false alarm, above 0.
        prevalence: share of the positive class where the network will be used, between 0 and 1.
    """

    false_negative: float
    false_positive: float
    prevalence: float

    def __post_init__(self) -> None:
        for name in ("false_negative", "false_positive"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"cost.{name}: expected a finite number above 0, got {getattr(self, name)}")
        if not 0 < self.prevalence < 1:
            raise ValueError(f"prevalence: expected between 0 and 1, such as 0.1, got {self.prevalence}")

    @property
    def needs_negatives(self) -> bool:
        return True

    def choose(self, given: Candidates) -> float:
        """The candidate."""
        cost_T = self.prevalence * self.false_negative * (1 - given.found_T / given.found_T[-1])
        cost_T = cost_T + (1 - self.prevalence) * self.false_positive * given.alarmed_T / given.alarmed_T[-1]
        return _lowest(given, cost_T <= cost_T.min() * (1 + ROUNDING))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        costs = {"false_negative": self.false_negative, "false_positive": self.false_positive}
        return {"name": "cost", **costs, "prevalence": self.prevalence}


@dataclass(frozen=True, slots=True)
class Argmax:
    """No threshold: the class with the highest probability, whatever a miss costs."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": "argmax"}


ThresholdRule = TargetSensitivity | Youden | ExpectedCost
Rule = ThresholdRule | Argmax
_RULES: dict[str, type[Rule]] = {
    "sensitivity": TargetSensitivity,
    "youden": Youden,
    "cost": ExpectedCost,
    "argmax": Argmax,
}


def rule_from(values: Mapping[str, Any]) -> Rule:
    """What `as_dict` of a rule gave.

    Raises:
        KeyError, TypeError, ValueError: if it is not of this form.
    """
    numbers = {name: float(value) for name, value in values.items() if name != "name"}
    return _RULES[values["name"]](**numbers)


def _at_or_above(scores: Floats, threshold_T: Floats) -> Ints:
    return len(scores) - np.searchsorted(np.sort(scores), threshold_T, side="left")


def _lowest(given: Candidates, is_best_T: np.ndarray) -> float:
    return float(given.threshold_T[np.flatnonzero(is_best_T)[-1]])
