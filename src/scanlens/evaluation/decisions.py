"""From the predictions of validation and test to decisions about patients: threshold, rates, prevalence, decision curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scanlens.evaluation.binary_view import BinaryView, Join, Predictions, matching_views
from scanlens.evaluation.decision_curve import decision_curve, net_benefit_of_calls
from scanlens.evaluation.intervals import LEVEL
from scanlens.evaluation.operating_point import AppliedPoint, apply_operating_point, choose_operating_point
from scanlens.evaluation.patients import patient_level
from scanlens.evaluation.prevalence import per_thousand, predictive_values
from scanlens.evaluation.threshold_rules import Argmax, ExpectedCost, Rule, TargetSensitivity, Youden

METHOD = (
    "for shares Wilson's, with the number of independent units that would be as certain; for likelihood ratios, "
    "predictive values at a stated prevalence and net benefit put together from these (MOVER)"
)


def evaluate_decisions(
    validation: Predictions | None,
    test: Predictions,
    *,
    class_names: Sequence[str],
    positive: str,
    rule: Rule | None = None,
    prevalence: float | None = None,
    join: Join = patient_level,
) -> dict[str, Any]:
    """The operating point and what follows from it, as plain dictionaries without NaN.

    Args:
        validation: what the threshold is chosen on; None if there is no such split.
        test: what it is applied to.
        class_names: in the order of the columns.
        positive: the class not to miss.
        rule: how the threshold is chosen; None for a sensitivity of 0.95.
        prevalence: share of the positive class where the network will be used, in (0, 1); None for that of the test split.
        join: makes patients of images; `patient_level` with the rule of the run.

    Returns:
        `positive`, `unit` ("patient" or "image"), `unit_reason` (why not patients, or None), `chosen` (rule, threshold,
        reason, notes, rates on validation and test, rows in the test predictions of the images of missed positives and of
        false alarms, and their scores, net benefit), `compared` (the same for the other rules, without these rows), `predictive_values` by
        prevalence and `per_thousand` (None without an operating point or a class), `decision_curve`, `interval`.

    Raises:
        ValueError: names what is at fault: a row, a class that does not exist, a number out of its range.
    """
    wanted = rule or TargetSensitivity()
    views = matching_views(validation, test, class_names=class_names, positive=positive, join=join)
    decide = _Decisions(*views[:2], prevalence=prevalence)
    chosen = decide.applied(wanted)
    others = [one for one in (TargetSensitivity(), Youden(), Argmax()) if one != wanted]
    return {
        "positive": positive,
        "unit": decide.test.unit,
        "unit_reason": views[2],
        "chosen": decide.described(chosen),
        "compared": [_without_images(decide.described(decide.applied(one))) for one in others],
        "predictive_values": None if chosen.rates is None else predictive_values(chosen.rates).as_dict(),
        "per_thousand": decide.thousand(chosen),
        "decision_curve": decision_curve(decide.test, prevalence=prevalence).as_dict(),
        "interval": {"method": METHOD, "level": LEVEL, "resampled": decide.test.groups.resampled},
    }


class _Decisions:
    """Both splits and the prevalence that all rules share."""

    def __init__(self, validation: BinaryView | None, test: BinaryView, *, prevalence: float | None) -> None:
        self.validation, self.test, self.prevalence = validation, test, prevalence

    def applied(self, rule: Rule) -> AppliedPoint:
        point = choose_operating_point(self.validation, rule, positive=self.test.positive, unit=self.test.unit)
        return apply_operating_point(point, self.test)

    def described(self, applied: AppliedPoint) -> dict[str, Any]:
        benefit, threshold = None, exchange_threshold(applied.point.rule, applied.point.threshold)
        if applied.rates is not None:
            benefit = net_benefit_of_calls(
                self.test,
                applied.point.calls(self.test),
                threshold=threshold,
                prevalence=self.prevalence,
            )
        return {**applied.as_dict(), "net_benefit": benefit, "net_benefit_threshold": threshold}

    def thousand(self, applied: AppliedPoint) -> dict[str, Any] | None:
        if applied.rates is None:
            return None
        own = float(self.test.is_positive_U.mean())
        found = per_thousand(
            applied.rates,
            prevalence=own if self.prevalence is None else self.prevalence,
            source="test split" if self.prevalence is None else "stated",
        )
        return None if found is None else found.as_dict()


def exchange_threshold(rule: Rule, threshold: float | None) -> float:
    """The probability at which one would act, as a rule implies it: what its net benefit is stated for.

    Costs imply false positive / (false positive + false negative); otherwise it is the threshold itself, and one half
    where there is none.
    """
    if isinstance(rule, ExpectedCost):
        return rule.false_positive / (rule.false_positive + rule.false_negative)
    return 0.5 if threshold is None else threshold


def _without_images(described: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in described.items() if not name.startswith(("missed_", "false_alarm_"))}
