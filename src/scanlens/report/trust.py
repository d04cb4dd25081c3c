"""Sections of the page on what was chosen on validation and judged on test: threshold, calibration, sets, referral, subgroups."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scanlens.report.decision import decision_curve_chart, predictive_value_chart
from scanlens.report.decision_words import RATES, decision_sentences, prevalence_table, rule_table
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.mistakes import mistakes
from scanlens.report.naive import naive_note
from scanlens.report.populations import missing_groups
from scanlens.report.referral_charts import conformal_chart, risk_coverage_chart, set_size_chart
from scanlens.report.reliability_chart import reliability_diagram
from scanlens.report.tables import cell
from scanlens.report.thousand import thousand_picture
from scanlens.report.trust_sentences import calibration_sentences, conformal_sentences, referral_sentences
from scanlens.report.words import joined, number, percent, point, whole

_GROUP_METRICS = (("auroc", "AUROC"), ("balanced_accuracy", "Balanced accuracy"), ("accuracy", "Accuracy"))
_CALIBRATION_ROWS = (
    ("log_loss", "Log loss", "lower is better"),
    ("brier", "Brier score", "lower is better"),
    ("ece", "Calibration error (ECE)", "of the predicted class, plug-in"),
    ("ece_debiased", "ECE, debiased", "less what chance adds"),
    ("classwise_ece", "ECE of every class", "mean over classes"),
)
_BRIER_PARTS = (
    ("reliability", "Brier part: reliability", "lower is better"),
    ("resolution", "Brier part: resolution", "higher is better"),
    ("uncertainty", "Brier part: uncertainty", "of the data, not of the network"),
)


def trust_sections(run: RunFolder) -> dict[str, Any]:
    """Everything that the template `trust.html.j2` shows; parts that were not assessed are None with their reason."""
    return {
        "decisions": _decisions(mapping(run.evaluation.get("decisions"))),
        "mistakes": mistakes(run),
        "calibration_part": _calibration(mapping(run.evaluation.get("calibration"))),
        "conformal_part": _conformal(mapping(run.evaluation.get("conformal"))),
        "referral_part": _referral(mapping(run.evaluation.get("referral"))),
        "subgroup_part": _subgroups(mapping(run.evaluation.get("subgroups"))),
        "groups_missing": joined(missing_groups(list(mapping(run.evaluation.get("subgroups"))))),
        "naive_note": naive_note(effect) if (effect := mapping(run.evaluation.get("design_effect"))) else "",
    }


def _missing(part: dict[str, Any]) -> dict[str, Any]:
    return {
        "reason": str(part.get("reason") or "The run was made by a version that did not look at this."),
        "sentences": [],
    }


def _decisions(part: dict[str, Any]) -> dict[str, Any]:
    chosen = mapping(part.get("chosen"))
    if not chosen:
        return _missing(part)
    positive, unit = str(part.get("positive")), str(part.get("unit"))
    thousand = mapping(part.get("per_thousand"))
    threshold = finite(chosen.get("threshold"))
    return {
        "reason": "",
        "positive": positive,
        "unit": unit,
        "members": [str(one) for one in sequence(part.get("members"))],
        "sentences": decision_sentences(part),
        "heads": [label for _, label in RATES],
        "rules": rule_table(part),
        "prevalences": prevalence_table(part),
        "thousand": _markup(thousand_picture(thousand, positive=positive, unit=unit)),
        "curve": _markup(decision_curve_chart(mapping(part.get("decision_curve")), threshold=threshold)),
        "predictive": _markup(
            predictive_value_chart(mapping(part.get("predictive_values")), marked=finite(thousand.get("prevalence")))
        ),
    }


def _calibration(part: dict[str, Any]) -> dict[str, Any]:
    change = mapping(part.get("change"))
    if not change:
        return _missing(part)
    before, after = mapping(change.get("before")), mapping(change.get("after"))
    rows = [
        {"label": label, "hint": hint, "cells": [_measure(one.get(key)) for one in (before, after)]}
        for key, label, hint in _CALIBRATION_ROWS
    ]
    rows += [
        {
            "label": label,
            "hint": hint,
            "cells": [_measure(mapping(one.get("brier_parts")).get(key)) for one in (before, after)],
        }
        for key, label, hint in _BRIER_PARTS
    ]
    return {
        "reason": "",
        "sentences": calibration_sentences(mapping(part.get("choice")), change),
        "rows": rows,
        "diagram": _markup(reliability_diagram(change)),
    }


def _measure(value: object) -> dict[str, str]:
    return cell(value if isinstance(value, dict) else {"value": value}, 3)


def _conformal(part: dict[str, Any]) -> dict[str, Any]:
    rule, judged = mapping(part.get("rule")), mapping(part.get("judged"))
    if not judged:
        return _missing(part)
    promised = finite(rule.get("coverage")) or 0.0
    return {
        "reason": "",
        "sentences": conformal_sentences(rule, judged),
        "chart": _markup(conformal_chart(judged, promised=promised)),
        "sizes": _markup(set_size_chart(judged)),
    }


def _referral(part: dict[str, Any]) -> dict[str, Any]:
    outcome, curve = mapping(part.get("outcome")), mapping(part.get("curve"))
    if not outcome:
        return _missing(part)
    return {
        "reason": "",
        "sentences": referral_sentences(mapping(part.get("rule")), outcome, curve),
        "chart": _markup(risk_coverage_chart(curve, outcome)),
    }


def _subgroups(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [_subgroup(name, mapping(one)) for name, one in part.items()]


def _subgroup(column: str, found: dict[str, Any]) -> dict[str, Any]:
    groups = [mapping(one) for one in sequence(found.get("groups"))]
    rows = [
        {
            "name": str(one.get("name")),
            "num": f"{whole(one.get('num_images'))} of {whole(one.get('num_patients'))}",
            "is_small": bool(one.get("is_small")),
            "cells": [cell(mapping(one.get("metrics")).get(key), 2) for key, _ in _GROUP_METRICS],
        }
        for one in groups
    ]
    drawn = []
    for one in groups:
        metric = mapping(mapping(one.get("metrics")).get("accuracy"))
        value = point(metric)
        if value is not None:
            drawn.append(ForestRow(str(one.get("name")), value, finite(metric.get("low")), finite(metric.get("high"))))
    return {
        "column": column,
        "heads": [label for _, label in _GROUP_METRICS],
        "rows": rows,
        "gap": _gap(mapping(found.get("gap")), str(found.get("reason") or "")),
        "chart": _markup(forest_plot(drawn, axis="accuracy", chance=None, name=f"group-{column}", limits=(0, 1.02))),
    }


def _gap(gap: dict[str, Any], reason: str) -> str:
    if not gap:
        return f"No largest gap: {reason}." if reason else ""
    text = f"Largest gap in AUROC: {number(gap.get('value'), 2)}, {gap.get('highest')} above {gap.get('lowest')}"
    if finite(gap.get("by_chance")) is not None:
        text += (
            f"; groups drawn by lot differ by {number(gap.get('by_chance'), 2)} on the average, and by as much as here in "
            f"{percent(gap.get('p'))} of the draws"
        )
    return f"{text}."


def _markup(svg: str | None) -> Markup | None:
    """SVG that the chart modules made and escaped."""
    return Markup(svg) if svg else None
