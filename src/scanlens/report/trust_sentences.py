"""What calibration, sets of classes and referral mean, in plain words: each sentence built from numbers by a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.words import (
    counted,
    interval,
    joined,
    number,
    percent,
    point,
    reason,
    with_interval,
)

METHOD_WORDS = {
    "none": "Probabilities are left as the network states them",
    "temperature": "Probabilities are calibrated by one temperature",
    "bias_and_temperature": "Probabilities are calibrated by a shift for each class and one temperature",
    "isotonic": "Probabilities are calibrated by a rising curve for each class",
}
SURE, UNSURE = 1.05, 0.95


def calibration_sentences(choice: Mapping[str, Any], change: Mapping[str, Any]) -> list[str]:
    """What was done on validation, and what it gave on test.

    Args:
        choice: `calibrator` with `method`, `temperature`, `reason`.
        change: `before`, `after`, `gain` and `num_changed`.
    """
    calibrator = mapping(choice.get("calibrator"))
    method = str(calibrator.get("method"))
    before, after = mapping(change.get("before")), mapping(change.get("after"))
    sentences = [_method(calibrator), _error(before, "as stated")]
    if method != "none":
        sentences += [_error(after, "after calibration"), _gain(mapping(change.get("gain")).get("log_loss"))]
        changed = finite(change.get("num_changed"))
        if changed:
            sentences.append(f"Calibration changes the predicted class of {counted(changed, 'image')}.")
    return [one for one in sentences if one]


def conformal_sentences(rule: Mapping[str, Any], judged: Mapping[str, Any]) -> list[str]:
    """What sets promise, what they held on test, and which promise is empty.

    Args:
        rule: `coverage`, `is_by_class` and `notes`.
        judged: `coverage`, `mean_size`, `single`, `single_right`, `empty` and `per_class`.
    """
    promised, held = finite(rule.get("coverage")), judged.get("coverage")
    if promised is None or point(held) is None:
        return []
    sentences = [
        f"A set of classes should hold the right one for {percent(promised)} of images of new patients; on test it did for "
        f"{_percent_with_interval(held)}.",
        _kept(promised, mapping(held)),
        f"A set has {number(point(judged.get('mean_size')), 2)} classes on average; {percent(point(judged.get('single')))} "
        f"of images have a single class, {percent(point(judged.get('empty')))} none.",
        _class_below(promised, mapping(judged.get("per_class"))),
        *(str(note) for note in sequence(rule.get("notes"))),
    ]
    return [one for one in sentences if one]


def referral_sentences(
    rule: Mapping[str, Any], outcome: Mapping[str, Any], curve: Mapping[str, Any] | None = None
) -> list[str]:
    """What is gained when unsure images go to a person.

    Args:
        rule: `aim`, `target`, `threshold` and `reason`.
        outcome: of that rule on test.
        curve: of risk and coverage on test; None if there is none.
    """
    sentences = [_rule(rule)]
    num = mapping(outcome.get("num"))
    answered, referred = finite(num.get("answered")), finite(num.get("referred"))
    if answered and referred is not None:
        errors = (finite(num.get("errors_answered")) or 0) + (finite(num.get("errors_referred")) or 0)
        sentences.append(
            f"On test {percent(point(outcome.get('referred')))} of images are referred; of the others "
            f"{_percent_with_interval(outcome.get('accuracy_answered'))} are right, against "
            f"{percent(point(outcome.get('accuracy')), 1)} of all."
        )
        if errors:
            caught = finite(num.get("errors_referred")) or 0
            sentences.append(f"Among the referred are {caught:.0f} of the network's {counted(errors, 'error')}.")
        sentences.append(_risk_missed(rule, outcome))
    excess = point(mapping(curve).get("excess_aurc"))
    if excess is not None:
        sentences.append(
            f"Ordered by confidence, errors among the answered average {number(point(mapping(curve).get('aurc')))} over all "
            f"shares answered, {number(excess)} more than if all errors came last."
        )
    return [one for one in sentences if one]


def _method(calibrator: Mapping[str, Any]) -> str:
    method, why = str(calibrator.get("method")), reason(calibrator)
    text = METHOD_WORDS.get(method, "Probabilities are calibrated")
    temperature = finite(calibrator.get("temperature"))
    if method in ("temperature", "bias_and_temperature") and temperature is not None:
        bounds = {"low": calibrator.get("temperature_low"), "high": calibrator.get("temperature_high")}
        text += f" of {with_interval({'value': temperature, **bounds})}"
        if temperature > SURE:
            text += ": the network is too sure"
        elif temperature < UNSURE:
            text += ": the network is not sure enough"
    return text + (f" ({why})." if why else ".")


def _error(measures: Mapping[str, Any], when: str) -> str:
    error, chance = finite(measures.get("ece")), finite(measures.get("ece_by_chance_high"))
    if error is None:
        return ""
    text = f"On test, {when}, stated and observed shares differ by {number(error)} on average"
    if chance is None:
        return text + "."
    verdict = "more than" if error > chance else "no more than"
    return f"{text}, {verdict} chance explains (up to {number(chance)})."


def _gain(gain: object) -> str:
    """Whether the log loss fell, judged by its interval."""
    value, low, high = (finite(mapping(gain).get(key)) for key in ("value", "low", "high"))
    if value is None:
        return ""
    bounds = f" by {number(abs(value))} (gain {interval(gain)})" if low is not None else f" by {number(abs(value))}"
    if low is not None and high is not None and low <= 0 <= high:
        return f"Whether calibration helps cannot be told: the log loss on test changed{bounds}."
    return f"Calibration {'lowers' if value > 0 else 'raises'} the log loss on test{bounds}."


def _kept(promised: float, held: Mapping[str, Any]) -> str:
    low, high = finite(held.get("low")), finite(held.get("high"))
    if high is not None and high < promised:
        return "The promise is not kept: test images differ from those of validation, or validation taught the network."
    if low is not None and high is not None and high - low > 0.2:
        return "The interval is wide: so few patients can hardly tell whether the promise is kept."
    return ""


def _class_below(promised: float, per_class: Mapping[str, Any]) -> str:
    """Classes whose whole interval lies below the promise."""
    below = [
        f"'{name}' ({percent(point(mapping(one).get('coverage')))})"
        for name, one in per_class.items()
        if (high := finite(mapping(mapping(one).get("coverage")).get("high"))) is not None and high < promised
    ]
    return f"The right class is in the set less often than that for {joined(below)}." if below else ""


def _rule(rule: Mapping[str, Any]) -> str:
    target, threshold = finite(rule.get("target")), finite(rule.get("threshold"))
    aim = (
        f"at most {percent(target, 1)} errors among the answered"
        if rule.get("aim") == "risk"
        else f"at most {percent(target)} of images referred"
    )
    if threshold is None:
        return f"No threshold on validation gives {aim}: {reason(rule)}." if reason(rule) else ""
    return f"For {aim}, images with a stated probability below {number(threshold)} go to a person."


def _risk_missed(rule: Mapping[str, Any], outcome: Mapping[str, Any]) -> str:
    target, right = finite(rule.get("target")), point(outcome.get("accuracy_answered"))
    if rule.get("aim") != "risk" or target is None or right is None or 1 - right <= target:
        return ""
    return f"That is more errors than the {percent(target, 1)} aimed at: the threshold does not carry over to test."


def _percent_with_interval(value: object) -> str:
    one = mapping(value)
    low, high = finite(one.get("low")), finite(one.get("high"))
    bounds = "" if low is None or high is None else f" ({percent(low)} to {percent(high)})"
    return percent(one.get("value"), 1) + bounds
