"""A run on its own test split and on images of elsewhere, side by side: sentences and tables, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scanlens.report.drift import drift_sentences
from scanlens.report.folder import RunFolder, finite, mapping, read_run
from scanlens.report.sentences import primary_level
from scanlens.report.tables import METRICS, cell
from scanlens.report.words import counted, interval, number, point, whole, with_interval

LEVELS = {"patient": "per patient", "slice": "per image"}
_RATES = (
    ("sensitivity", "Sensitivity"),
    ("specificity", "Specificity"),
    ("ppv", "PPV"),
    ("npv", "NPV"),
    ("accuracy", "Accuracy"),
)


def external_part(run: RunFolder) -> dict[str, Any]:
    """`external` of evaluation.json; empty if the folder is of a training."""
    return mapping(run.evaluation.get("external"))


def headline(run: RunFolder) -> str:
    """The AUROC there and here, and whether the difference can be told from chance."""
    level, new = primary_level(run.split("test"))
    own = mapping(_levels(run).get(level))
    if not own:
        level, new = "slice", mapping(run.split("test").get("slice"))
        own = mapping(_levels(run).get("slice"))
    values = [mapping(mapping(one).get("metrics")).get("auroc") for one in (new, own)]
    if point(values[0]) is None:
        why = mapping(values[0]).get("reason") or "it is not defined"
        return f"On the new images the AUROC cannot be told: {why}."
    text = f"On the new images the AUROC {LEVELS[level]} is {with_interval(values[0])}"
    if point(values[1]) is None:
        return f"{text}."
    return f"{text}, against {with_interval(values[1])} on the run's own test split: {_verdict(run, level)}."


def notes(run: RunFolder) -> list[str]:
    """What was taken for what, left out, seen before; each a sentence."""
    part = external_part(run)
    told = [str(one) for one in [*_list(part, "seen", "told"), *_list(part, "classes", "told")]]
    if copies := finite(part.get("num_copies")):
        told.append(
            f"{counted(copies, 'image')} repeat another of the new images pixel by pixel; where patients are unknown, copies are kept together in intervals."
        )
    if bad := finite(part.get("num_quarantined")):
        told.append(f"{counted(bad, 'image')} cannot be read and are left out (quarantine.csv).")
    if mapping(part.get("classes")).get("absent"):
        told.append(
            "Metrics of several classes are means over the classes there are, so they are not of the same classes here."
        )
    return told


def metric_rows(run: RunFolder, level: str) -> list[dict[str, Any]]:
    """One row a metric: label, hint, cells of the own test split, the new images, and the difference."""
    own, new = mapping(_levels(run).get(level)), mapping(run.split("test").get(level))
    differences = mapping(mapping(external_part(run).get("differences")).get(level))
    return [
        {
            "label": label,
            "hint": hint,
            "cells": [
                cell(mapping(own.get("metrics")).get(key)),
                cell(mapping(new.get("metrics")).get(key)),
                _difference(differences.get(key)),
            ],
        }
        for key, label, hint in METRICS
    ]


def class_rows(run: RunFolder, level: str) -> list[dict[str, Any]]:
    """One row a class: images or patients in both sets, sensitivity in both."""
    own, new = mapping(_levels(run).get(level)), mapping(run.split("test").get(level))
    rows = []
    for name in run.class_names:
        both = [mapping(mapping(one.get("per_class")).get(name)) for one in (own, new)]
        rows.append(
            {
                "label": name,
                "hint": f"n = {whole(both[0].get('num'))} and {whole(both[1].get('num'))}",
                "cells": [cell(one.get(key), 2) for key in ("sensitivity", "auroc") for one in both],
            }
        )
    return rows


def rate_rows(run: RunFolder) -> list[dict[str, Any]]:
    """One row a rate at the stored threshold; empty where there is none."""
    own = mapping(mapping(external_part(run).get("internal")).get("rates"))
    new = mapping(mapping(mapping(run.evaluation.get("decisions")).get("chosen")).get("test"))
    differences = mapping(mapping(external_part(run).get("differences")).get("rates"))
    if not new:
        return []
    return [
        {
            "label": label,
            "hint": "",
            "cells": [cell(own.get(key), 2), cell(new.get(key), 2), _difference(differences.get(key))],
        }
        for key, label in _RATES
    ]


def trust_rows(run: RunFolder) -> list[dict[str, Any]]:
    """Calibration, sets of classes and referral in both sets."""
    internal = mapping(external_part(run).get("internal"))
    own = [mapping(mapping(internal.get("calibration")).get(when)) for when in ("before", "after")]
    change = mapping(mapping(run.evaluation.get("calibration")).get("change"))
    new = [mapping(change.get(when)) for when in ("before", "after")]
    rows = [
        _pair(f"{label}, {when}", hint, _measure(one.get(key)), _measure(two.get(key)))
        for key, label, hint in (
            ("ece", "Calibration error", "ECE, lower is better"),
            ("log_loss", "Log loss", "lower is better"),
        )
        for when, one, two in zip(("as stated", "calibrated"), own, new, strict=True)
    ]
    judged, outcome = (
        mapping(mapping(run.evaluation.get(key)).get(sub))
        for key, sub in (("conformal", "judged"), ("referral", "outcome"))
    )
    promise = mapping(mapping(run.evaluation.get("conformal")).get("rule")).get("coverage")
    sets, referral = mapping(internal.get("sets")), mapping(internal.get("referral"))
    return [
        *rows,
        _pair(
            "Sets with the right class", f"promised: {number(promise, 2)}", sets.get("coverage"), judged.get("coverage")
        ),
        _pair("Classes in a set", "mean", sets.get("mean_size"), judged.get("mean_size")),
        _pair("Referred to a person", "share of images", referral.get("referred"), outcome.get("referred")),
        _pair("Right among the others", "", referral.get("accuracy_answered"), outcome.get("accuracy_answered")),
    ]


def console_lines(folder: Path) -> list[str]:
    """What the terminal shows of a written folder.

    Raises:
        RunError: if it cannot be understood.
    """
    run = read_run(folder)
    lines = [headline(run), *notes(run), *drift_sentences(mapping(run.evaluation.get("drift")))]
    level, _ = primary_level(run.split("test"))
    lines.append(f"{LEVELS[level]:<32}{'own test split':<26}{'new images':<26}difference")
    for row in metric_rows(run, level):
        lines.append(
            f"{row['label']:<32}{_said(row['cells'][0]):<26}{_said(row['cells'][1]):<26}{_said(row['cells'][2])}"
        )
    return lines


def _said(one: Mapping[str, str]) -> str:
    return one["value"] + (f" ({one['interval']})" if one["interval"] else "")


def _levels(run: RunFolder) -> dict[str, Any]:
    return mapping(mapping(external_part(run).get("internal")).get("levels"))


def _list(part: Mapping[str, Any], name: str, key: str) -> list[Any]:
    found = mapping(part.get(name)).get(key)
    return found if isinstance(found, list) else []


def _verdict(run: RunFolder, level: str) -> str:
    found = mapping(mapping(mapping(external_part(run).get("differences")).get(level)).get("auroc"))
    low, high = finite(found.get("low")), finite(found.get("high"))
    if low is None or high is None:
        return "whether they differ by more than chance cannot be told"
    if low <= 0 <= high:
        return f"the difference ({interval(found, 2)}) may be chance"
    return f"{'better' if low > 0 else 'worse'} by {number(abs(point(found) or 0), 2)} ({interval(found, 2)})"


def _difference(found: object) -> dict[str, str]:
    shown = cell(found)
    return shown | {
        "value": f"+{shown['value']}" if (point(found) or 0) > 0 and shown["value"][0].isdigit() else shown["value"]
    }


def _measure(value: object) -> object:
    return value if isinstance(value, dict) else {"value": value}


def _pair(label: str, hint: str, own: object, new: object) -> dict[str, Any]:
    return {"label": label, "hint": hint, "cells": [cell(own), cell(new)]}
