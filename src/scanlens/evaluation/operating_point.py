"""The operating point: a threshold chosen on validation alone, and what it does to the patients of the test split.

Legend of axes: U units (patients at the patient level, else images).

References:
    Wilks 1941, doi:10.1214/aoms/1177731788 (what the k-th highest of n scores leaves below it among new ones:
    Beta-distributed, on average 1 - k / (n + 1)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scanlens.errors import RunError
from scanlens.evaluation.binary_view import BinaryView, Bools, Unit
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import Interval, entry, share_interval
from scanlens.evaluation.likelihood import Entry, negative_likelihood_ratio, positive_likelihood_ratio
from scanlens.evaluation.threshold_rules import (
    NOBODY,
    Argmax,
    Rule,
    TargetSensitivity,
    ThresholdRule,
    candidates,
    halfway,
    log_odds,
    next_lower,
    rule_from,
)

WIDE_GAP = 0.1  # of the scores below a threshold, within which validation says nothing


@dataclass(frozen=True, slots=True)
class Rates:
    """Right and wrong calls of one split. Every number is {value, low, high, reason}.

    Args:
        true_positives, false_negatives: positives that were called so, and that were missed.
        false_positives, true_negatives: negatives that were called positive, and that were not.
        sensitivity, specificity: shares of the positives and of the negatives that were called rightly.
        ppv, npv: shares of those called positive that are, and of those called negative that are, at the prevalence
            of this split.
        accuracy: share of right calls.
        prevalence: share of the positives.
        positive_likelihood_ratio, negative_likelihood_ratio: factors by which a call changes the odds of being positive.
    """

    true_positives: int
    false_negatives: int
    false_positives: int
    true_negatives: int
    sensitivity: Entry
    specificity: Entry
    ppv: Entry
    npv: Entry
    accuracy: Entry
    prevalence: Entry
    positive_likelihood_ratio: Entry
    negative_likelihood_ratio: Entry

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold and where it comes from.

    Args:
        rule: that placed it.
        positive: the class not to miss.
        unit: what is called positive: a patient or an image.
        threshold: called positive are scores of it or above; above 1 if nobody is; None without one (see `rule`, `reason`).
        reason: why there is no operating point, as a sentence; None if there is one.
        gap: the next lower score of validation and the lowest that is called, between which the threshold is the middle by
            log odds; None where nothing is lower, and of runs that took the called score itself.
        notes: sentences on how far it can be trusted.
        validation: what it gives on the split that it was chosen on, hence flattered; None without one.
    """

    rule: Rule
    positive: str
    unit: Unit
    threshold: float | None
    reason: str | None
    gap: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    validation: Rates | None = None

    def calls(self, view: BinaryView) -> Bools:
        """Which units (U) are called positive.

        Raises:
            ValueError: if there is no operating point, or it is one of another class or unit.
        """
        if self.reason is None and (view.positive, view.unit) != (self.positive, self.unit):
            raise ValueError(
                f"operating point of '{self.positive}' per {self.unit}: expected scores of the same, got '{view.positive}' "
                f"per {view.unit}"
            )
        return self.decide(view.score_U, view.is_named_U)

    def decide(self, score_U: Floats, is_named_U: Bools) -> Bools:
        """The same for scores (U) of which the caller knows that they are of this class and unit.

        Raises:
            ValueError: if there is no operating point.
        """
        if self.reason is not None:
            raise ValueError(f"no operating point to apply: {self.reason}")
        return is_named_U if self.threshold is None else score_U >= self.threshold

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "rule": self.rule.as_dict(),
            "positive": self.positive,
            "unit": self.unit,
            "threshold": self.threshold,
            "reason": self.reason,
            "gap": None if self.gap is None else list(self.gap),
            "notes": list(self.notes),
            "validation": None if self.validation is None else self.validation.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OperatingPoint:
        """What `as_dict` gave; further entries are passed over.

        Raises:
            RunError: if it is not of this form.
        """
        try:
            threshold, reason, rates = values["threshold"], values["reason"], values["validation"]
            gap = values.get("gap")
            found = cls(
                rule=rule_from(values["rule"]),
                positive=str(values["positive"]),
                unit=values["unit"],
                threshold=None if threshold is None else float(threshold),
                reason=None if reason is None else str(reason),
                gap=None if gap is None else (float(gap[0]), float(gap[1])),
                notes=tuple(str(note) for note in values["notes"]),
                validation=None if rates is None else Rates(**rates),
            )
            if found.unit not in ("patient", "image") or not 0 <= (found.threshold or 0.0) <= NOBODY:
                raise ValueError(f"unit {found.unit!r} and threshold {found.threshold}")
            if found.threshold is None and found.reason is None and not isinstance(found.rule, Argmax):
                raise ValueError("neither a threshold nor a reason")
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise RunError(
                f"operating point: expected what judging writes, got {error!r}. Judge the run again."
            ) from error
        return found


@dataclass(frozen=True, slots=True)
class WrongCall:
    """A unit that is called wrongly.

    Args:
        rows: of its images in the predictions.
        score: probability of the positive class, which was compared with the threshold.
    """

    rows: tuple[int, ...]
    score: float


@dataclass(frozen=True, slots=True)
class AppliedPoint:
    """An operating point on a split that had no part in choosing it.

    Args:
        point: the operating point.
        rates: None if there is no operating point.
        missed: every missed positive; lowest score first.
        false_alarms: everyone called positive who is not; highest score first.
    """

    point: OperatingPoint
    rates: Rates | None
    missed: tuple[WrongCall, ...] = ()
    false_alarms: tuple[WrongCall, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.point.as_dict(),
            "test": None if self.rates is None else self.rates.as_dict(),
            "missed_images": [list(one.rows) for one in self.missed],
            "missed_scores": [one.score for one in self.missed],
            "false_alarm_images": [list(one.rows) for one in self.false_alarms],
            "false_alarm_scores": [one.score for one in self.false_alarms],
        }


def choose_operating_point(validation: BinaryView | None, rule: Rule, *, positive: str, unit: Unit) -> OperatingPoint:
    """The operating point that the rule finds on validation; without one, the reason.

    Args:
        validation: None if there is no validation split.
        rule: how to choose.
        positive: the class not to miss.
        unit: of the split that it is meant for.
    """
    if isinstance(rule, Argmax):
        rates = None if validation is None else rates_of(validation, validation.is_named_U)
        return OperatingPoint(rule, positive, unit, threshold=None, reason=None, validation=rates)
    if validation is None:
        reason = "There is no validation split to choose a threshold on; give one, or take the class with the highest probability."
        return OperatingPoint(rule, positive, unit, threshold=None, reason=reason)
    why_not = _why_not(validation, rule)
    if why_not:
        return OperatingPoint(rule, positive, unit, threshold=None, reason=why_not)
    given = candidates(validation)
    called = rule.choose(given)
    lower = next_lower(given, called)
    point = OperatingPoint(
        rule,
        positive,
        unit,
        threshold=called if lower is None else halfway(lower, called),
        reason=None,
        gap=None if lower is None else (lower, called),
        validation=rates_of(validation, validation.score_U >= called),
    )
    return replace(point, notes=tuple(_notes(validation, point)))


def apply_operating_point(point: OperatingPoint, view: BinaryView) -> AppliedPoint:
    """What the operating point does on another split; nothing of that split changes the point."""
    if point.reason is not None:
        return AppliedPoint(point, None)
    is_called_U = point.calls(view)
    missed = _wrong(view, view.is_positive_U & ~is_called_U, view.score_U)
    false_alarms = _wrong(view, ~view.is_positive_U & is_called_U, -view.score_U)
    return AppliedPoint(point, rates_of(view, is_called_U), missed, false_alarms)


def _wrong(view: BinaryView, is_wrong_U: Bools, order_U: Floats) -> tuple[WrongCall, ...]:
    units = np.flatnonzero(is_wrong_U)
    ordered = units[np.argsort(order_U[units], kind="stable")]
    return tuple(WrongCall(view.images_U[unit], float(view.score_U[unit])) for unit in ordered)


def rates_of(view: BinaryView, is_called_U: Bools) -> Rates:
    """Counts and shares of the calls, with intervals that know of patients."""
    is_right_U, ill_U = is_called_U == view.is_positive_U, view.is_positive_U
    sensitivity, specificity = sensitivity_and_specificity(view, is_called_U)
    everyone_U = np.ones(len(ill_U), dtype=bool)
    return Rates(
        true_positives=int((is_called_U & ill_U).sum()),
        false_negatives=int((~is_called_U & ill_U).sum()),
        false_positives=int((is_called_U & ~ill_U).sum()),
        true_negatives=int((~is_called_U & ~ill_U).sum()),
        sensitivity=sensitivity,
        specificity=specificity,
        ppv=_share(view, is_right_U, is_called_U, f"no {view.unit} is called '{view.positive}'"),
        npv=_share(view, is_right_U, ~is_called_U, f"every {view.unit} is called '{view.positive}'"),
        accuracy=_share(view, is_right_U, everyone_U, ""),
        prevalence=_share(view, ill_U, everyone_U, ""),
        positive_likelihood_ratio=positive_likelihood_ratio(sensitivity, specificity),
        negative_likelihood_ratio=negative_likelihood_ratio(sensitivity, specificity),
    )


def sensitivity_and_specificity(view: BinaryView, is_called_U: Bools) -> tuple[Entry, Entry]:
    """Shares of the positives and of the negatives that are called rightly."""
    is_right_U, ill_U = is_called_U == view.is_positive_U, view.is_positive_U
    return (
        _share(view, is_right_U, ill_U, f"no {view.unit} is '{view.positive}'"),
        _share(view, is_right_U, ~ill_U, f"every {view.unit} is '{view.positive}'"),
    )


def _share(view: BinaryView, success_U: Bools, among_U: Bools, if_none: str) -> Entry:
    if not among_U.any():
        return entry(None, Interval(None, None), remark=f"not defined: {if_none}")
    return entry(float(success_U[among_U].mean()), share_interval(success_U, among_U, view.groups))


def _why_not(view: BinaryView, rule: ThresholdRule) -> str | None:
    if view.num_positive == 0:
        return (
            f"No {view.unit} of the validation split is '{view.positive}', so that no threshold can be chosen; "
            "give the validation split some of that class."
        )
    if view.num_negative == 0 and rule.needs_negatives:
        return (
            f"Every {view.unit} of the validation split is '{view.positive}', so that false alarms cannot be counted; "
            "give the validation split some of the other classes."
        )
    return None


def _notes(view: BinaryView, point: OperatingPoint) -> list[str]:
    positives = f"{view.num_positive} '{view.positive}' validation {view.unit}{'' if view.num_positive == 1 else 's'}"
    notes, rates = [], point.validation
    if np.ptp(view.score_U) == 0:
        notes.append(
            f"The network gives every validation {view.unit} the same score: the threshold tells nobody apart."
        )
    if point.threshold == NOBODY:
        notes.append(f"At these costs it is cheapest to call nobody '{view.positive}'.")
    if rates is not None and rates.sensitivity["low"] is not None:
        found = rates.sensitivity
        notes.append(
            f"With {positives} the sensitivity there, {rates.true_positives} of {view.num_positive}, is known only to "
            f"within {found['low']:.2f} to {found['high']:.2f}."
        )
    if point.gap is not None and point.gap[1] - point.gap[0] > WIDE_GAP:
        notes.append(
            f"Every threshold from above {point.gap[0]:.2f} to {point.gap[1]:.2f} makes the same calls on validation, which "
            "cannot tell which is best; a lower one misses fewer new ones and raises more false alarms."
        )
    if isinstance(point.rule, TargetSensitivity):
        notes += _notes_on_target(view, point, point.rule.target, positives)
    return notes


def _notes_on_target(view: BinaryView, point: OperatingPoint, target: float, positives: str) -> list[str]:
    notes = []
    if view.num_positive * (1 - target) < 1 and target < 1:
        notes.append(f"With {positives} a single miss would be too many for a sensitivity of {target:g}.")
    expected = expected_sensitivity(view, point)
    if view.has_independent_units and expected < target:
        notes.append(
            f"On new {view.unit}s of the same kind a sensitivity of about {expected:.2f} is to be expected, below the target "
            f"of {target:g}: the threshold was fitted to few."
        )
    if view.num_negative == 0:
        notes.append(f"Every validation {view.unit} is '{view.positive}': how many false alarms to expect is unknown.")
    return notes


def expected_sensitivity(view: BinaryView, point: OperatingPoint) -> float:
    """Among new positives of the same kind, independent of each other.

    The k-th highest of n scores has k / (n + 1) of new ones above it on average (Wilks); between two scores the share is
    taken as rising evenly with the log odds. Below the lowest one it is not known how far the scores reach, so that nothing
    is added.
    """
    threshold = 1.0 if point.threshold is None else point.threshold
    scores = np.sort(view.score_U[view.is_positive_U])[::-1]
    above, below = scores[scores >= threshold], scores[scores < threshold]
    part = 0.0
    if len(above) and len(below):
        high, here, low = (log_odds(float(p)) for p in (above[-1], threshold, below[0]))
        part = (high - here) / (high - low) if high > low else 0.0
    return (len(above) + part) / (len(scores) + 1)
