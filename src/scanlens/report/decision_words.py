"""Decisions in plain words and in tables: the threshold, what it finds and misses, and what that means at a prevalence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.tables import cell
from scanlens.report.words import NOT_ASSESSED, joined, number, percent, point, whole

RULES = {
    "sensitivity": "target sensitivity",
    "youden": "Youden's index",
    "cost": "expected cost",
    "argmax": "most probable class",
}
RATES = (
    ("sensitivity", "Sensitivity"),
    ("specificity", "Specificity"),
    ("ppv", "PPV"),
    ("npv", "NPV"),
    ("accuracy", "Accuracy"),
)
TABLE_PREVALENCES = (0.001, 0.01, 0.05, 0.1, 0.3, 0.5)


def decision_sentences(decisions: Mapping[str, Any]) -> list[str]:
    """What the operating point means, most important first; the reason alone where there is none.

    Args:
        decisions: as the evaluation writes them.
    """
    chosen, rates = mapping(decisions.get("chosen")), mapping(mapping(decisions.get("chosen")).get("test"))
    if not rates:
        return [str(chosen.get("reason") or f"Which threshold to use was {NOT_ASSESSED}.")]
    positive, unit = str(decisions.get("positive")), str(decisions.get("unit"))
    told = [
        _finds(rates, mapping(decisions.get("per_thousand")), positive, unit),
        threshold_origin(chosen, unit),
        _prevalence(mapping(decisions.get("per_thousand"))),
        _benefit(mapping(decisions.get("decision_curve"))),
    ]
    notes = [str(note) for note in sequence(chosen.get("notes"))]
    return [sentence for sentence in [*told, *notes] if sentence]


def threshold_origin(chosen: Mapping[str, Any], unit: str) -> str:
    """Which threshold it is and how it was chosen, as a sentence.

    Args:
        chosen: an operating point, as the evaluation writes it.
        unit: "patient" or "image".
    """
    rule = mapping(chosen.get("rule"))
    if rule.get("name") == "argmax":
        return f"No threshold was chosen: {_a(unit)} is called what is most probable, whatever a miss costs."
    gap = [finite(one) for one in sequence(chosen.get("gap"))]
    aim, how = _aim(rule)
    if len(gap) == 2:
        return (
            f"The threshold, {_threshold(chosen)}, was chosen on the validation split for {aim}: half way, by log odds, from "
            f"the last score that has to be called, {number(gap[1], 3)}, to the next lower one, {number(gap[0], 3)}. The test "
            "split had no part in it."
        )
    return f"The threshold, {_threshold(chosen)}, was chosen on the validation split as {how}; the test split had no part in it."


def _a(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def rule_table(decisions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a rule, the chosen one first: name, is_chosen, threshold, cells (those of RATES), missed, false_alarms, reason."""
    points = [mapping(decisions.get("chosen")), *(mapping(one) for one in sequence(decisions.get("compared")))]
    return [_rule_row(one, is_chosen=place == 0) for place, one in enumerate(points) if one]


def prevalence_table(decisions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Predictive values at some round prevalences: prevalence, ppv, npv."""
    values = mapping(decisions.get("predictive_values"))
    columns = [sequence(values.get(key)) for key in ("prevalence", "ppv", "npv")]
    return [
        {"prevalence": percent(share, 1 if share < 0.01 else 0), "ppv": cell(ppv), "npv": cell(npv)}
        for share, ppv, npv in zip(*columns, strict=False)
        if share in TABLE_PREVALENCES
    ]


def _rule_row(one: Mapping[str, Any], *, is_chosen: bool) -> dict[str, Any]:
    rates, rule = mapping(one.get("test")), mapping(one.get("rule"))
    name = RULES.get(str(rule.get("name")), str(rule.get("name")))
    if finite(rule.get("target")) is not None:
        name += f" {_as_asked(rule['target'])}"
    return {
        "name": name,
        "is_chosen": is_chosen,
        "threshold": _threshold(one),
        "cells": [cell(rates.get(key), 2) for key, _ in RATES],
        "missed": _of(rates, "false_negatives", "true_positives"),
        "false_alarms": _of(rates, "false_positives", "true_negatives"),
        "reason": str(one.get("reason") or ""),
    }


def _as_asked(value: object) -> str:
    """A share as it was asked for: "0.95", "0.999"."""
    return f"{finite(value):g}"


def _threshold(one: Mapping[str, Any]) -> str:
    threshold = finite(one.get("threshold"))
    if threshold is None:
        return "–" if mapping(one.get("rule")).get("name") == "argmax" else NOT_ASSESSED
    return "above 1 (nobody)" if threshold > 1 else number(threshold, 3)


def _of(rates: Mapping[str, Any], wrong: str, right: str) -> str:
    counts = [finite(rates.get(key)) for key in (wrong, right)]
    return NOT_ASSESSED if None in counts else f"{whole(counts[0])} of {whole(sum(one or 0 for one in counts))}"


def _finds(rates: Mapping[str, Any], thousand: Mapping[str, Any], positive: str, unit: str) -> str:
    found, well = rates.get("sensitivity"), rates.get("specificity")
    if point(found) is None or point(well) is None:
        lacking = "sensitivity" if point(found) is None else "specificity"
        return f"What the threshold finds and misses was {NOT_ASSESSED}: {lacking} is {mapping(rates.get(lacking)).get('reason')}."
    text = (
        f"At this threshold the network finds {_hundred(found)} '{positive}' {unit}s{_hundred_bounds(found)} and raises a "
        f"false alarm in {_hundred(_rest(well))} others{_hundred_bounds(_rest(well))}"
    )
    if not thousand:
        return f"{text}."
    missed, alarms = whole(point(thousand.get("missed"))), whole(point(thousand.get("false_alarms")))
    among = f"{whole(thousand.get('total'))} {unit}s of {'whom' if unit == 'patient' else 'which'}"
    return (
        f"{text}; of {among} {whole(thousand.get('ill'))} are '{positive}', {missed} would be missed and {alarms} would "
        "be false alarms."
    )


def _rest(share: object) -> dict[str, Any]:
    found = mapping(share)
    return {
        name: None if finite(found.get(other)) is None else 1 - float(found[other])
        for name, other in (("value", "value"), ("low", "high"), ("high", "low"))
    }


def _hundred(share: object) -> str:
    said = percent(point(share)).replace("\u00a0%", "")
    return f"{said.replace('> ', 'more than ').replace('< ', 'fewer than ')} of 100"


def _hundred_bounds(share: object) -> str:
    bounds = [finite(mapping(share).get(name)) for name in ("low", "high")]
    if None in bounds:
        return ""
    low, high = (percent(bound).replace("\u00a0%", "") for bound in bounds)
    return f" ({low} to {high})"


def _aim(rule: Mapping[str, Any]) -> tuple[str, str]:
    """What a rule is for, and which score it takes."""
    target = _as_asked(rule.get("target", 0))
    counting = f"a miss counting {_relative_cost(rule)} false alarms"
    return {
        "sensitivity": (f"a sensitivity of at least {target}", f"the highest with a sensitivity of at least {target}"),
        "youden": (
            "the largest sum of sensitivity and specificity",
            "that with the largest sum of sensitivity and specificity",
        ),
        "cost": (f"the smallest expected cost, {counting}", f"that with the smallest expected cost, {counting}"),
    }[str(rule.get("name"))]


def _relative_cost(rule: Mapping[str, Any]) -> str:
    miss, alarm = finite(rule.get("false_negative")), finite(rule.get("false_positive"))
    return f"{miss / alarm:g}" if miss and alarm else NOT_ASSESSED


def _prevalence(thousand: Mapping[str, Any]) -> str:
    if not thousand:
        return ""
    share = percent(thousand.get("prevalence"), 1)
    if thousand.get("source") == "stated":
        return f"The prevalence of {share} was stated, not measured."
    return (
        f"The prevalence of {share} is that of the test split, seldom that of practice: where it is lower, more of the alarms "
        "are false."
    )


def _benefit(curve: Mapping[str, Any]) -> str:
    if not any(point(one) is not None for one in sequence(curve.get("model"))):
        return ""
    sure, likely = sequence(curve.get("surely_better")), sequence(curve.get("better"))
    ranges = joined([_range(number(first, 2), number(last, 2)) for first, last in sure or likely], most=4)
    if not ranges:
        return "At no threshold does acting on the network do more good than acting on everybody or on nobody."
    doubt = "" if sure else ", but not beyond what chance explains"
    return (
        f"For those who would act at a probability of {ranges}, acting on the network does more good than acting on "
        f"everybody or on nobody{doubt}."
    )


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"
