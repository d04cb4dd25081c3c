"""From the predictions of validation and test to decisions about patients: threshold, rates, prevalence, decision curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scanlens.errors import RunError
from scanlens.evaluation.binary_view import BinaryView, Join, Predictions, matching_views
from scanlens.evaluation.decision_curve import decision_curve, net_benefit_of_calls
from scanlens.evaluation.intervals import LEVEL
from scanlens.evaluation.operating_point import (
    AppliedPoint,
    OperatingPoint,
    Rates,
    apply_operating_point,
    choose_operating_point,
)
from scanlens.evaluation.patients import patient_level
from scanlens.evaluation.prevalence import Source, near_prevalences, per_thousand, predictive_values
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
        prevalence, `at_prevalences` (three, see `near_prevalences`) and `per_thousand` (None without an operating point or a class), `decision_curve`, `interval`.

    Raises:
        ValueError: names what is at fault: a row, a class that does not exist, a number out of its range.
    """
    wanted = rule or TargetSensitivity()
    known, judged, why_not = matching_views(validation, test, class_names=class_names, positive=positive, join=join)
    rules = [wanted, *(one for one in (TargetSensitivity(), Youden(), Argmax()) if one != wanted)]
    points = [choose_operating_point(known, one, positive=positive, unit=judged.unit) for one in rules]
    return _judged(points, judged, prevalence=prevalence, unit_reason=why_not)


def apply_decisions(
    stored: Mapping[str, Any],
    test: Predictions,
    *,
    class_names: Sequence[str],
    prevalence: float | None = None,
    join: Join = patient_level,
) -> dict[str, Any]:
    """What operating points that were chosen before do on other images; nothing is chosen anew.

    Args:
        stored: what `evaluate_decisions` gave.
        test: the other images.
        class_names: in the order of the columns, as they were there.
        prevalence: as in `evaluate_decisions`.
        join: makes patients of images.

    Returns:
        The same as `evaluate_decisions`; `reason` alone where the threshold is one of patients, and here are none.

    Raises:
        RunError: if `stored` is not of this form.
        ValueError: names the row that is at fault, or a class that does not exist.
    """
    points = stored_points(stored)
    unit, positive = points[0].unit, points[0].positive
    as_chosen: Join = join if unit == "patient" else _images_alone
    _, judged, why_not = matching_views(None, test, class_names=class_names, positive=positive, join=as_chosen)
    if judged.unit != unit:
        return {"reason": f"the threshold was chosen for patients, and here {why_not}"}
    return _judged(points, judged, prevalence=prevalence, unit_reason=why_not)


def stored_points(stored: Mapping[str, Any]) -> list[OperatingPoint]:
    """The chosen operating point and those it was compared with, from what `evaluate_decisions` gave.

    Raises:
        RunError: if it is not of this form, or the points are not of one class and one unit.
    """
    try:
        points = [OperatingPoint.from_dict(one) for one in (stored["chosen"], *stored["compared"])]
    except (KeyError, TypeError) as error:
        raise RunError(f"decisions: expected what judging writes, got {error!r}. Judge the run again.") from error
    if len({(one.unit, one.positive) for one in points}) > 1:
        raise RunError("decisions: expected operating points of one class and one unit. Judge the run again.")
    return points


def _images_alone(*_: Any) -> tuple[None, str]:
    return None, "the threshold was chosen for images"


def _judged(
    points: Sequence[OperatingPoint], view: BinaryView, *, prevalence: float | None, unit_reason: str | None
) -> dict[str, Any]:
    """The first point with all that follows from it, the others beside it."""
    chosen, *others = [apply_operating_point(point, view) for point in points]
    rates = chosen.rates
    return {
        "positive": view.positive,
        "unit": view.unit,
        "unit_reason": unit_reason,
        "chosen": _described(chosen, view, prevalence),
        "compared": [_without_images(_described(one, view, prevalence)) for one in others],
        "predictive_values": None if rates is None else predictive_values(rates).as_dict(),
        "at_prevalences": [] if rates is None else near_prevalences(rates, *_prevalence(view, prevalence)),
        "per_thousand": None if rates is None else _thousand(rates, view, prevalence),
        "decision_curve": decision_curve(view, prevalence=prevalence).as_dict(),
        "interval": {"method": METHOD, "level": LEVEL, "resampled": view.groups.resampled},
    }


def _described(applied: AppliedPoint, view: BinaryView, prevalence: float | None) -> dict[str, Any]:
    benefit, threshold = None, exchange_threshold(applied.point.rule, applied.point.threshold)
    if applied.rates is not None:
        calls_U = applied.point.calls(view)
        benefit = net_benefit_of_calls(view, calls_U, threshold=threshold, prevalence=prevalence)
    return {**applied.as_dict(), "net_benefit": benefit, "net_benefit_threshold": threshold}


def _thousand(rates: Rates, view: BinaryView, prevalence: float | None) -> dict[str, Any] | None:
    share, source = _prevalence(view, prevalence)
    found = per_thousand(rates, prevalence=share, source=source)
    return None if found is None else found.as_dict()


def _prevalence(view: BinaryView, stated: float | None) -> tuple[float, Source]:
    return (float(view.is_positive_U.mean()), "test split") if stated is None else (stated, "stated")


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
