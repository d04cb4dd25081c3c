"""The section of the page on images that were made worse."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scanlens.report.cases import picture
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.robustness_chart import robustness_chart
from scanlens.report.robustness_sentences import robustness_sentences
from scanlens.report.tables import cell
from scanlens.report.words import counted, percent, point, significant, whole

_LOSSES = (("auroc", "AUROC lost"), ("balanced_accuracy", "Balanced accuracy lost"), ("log_loss", "Log loss gained"))


def robustness_section(run: RunFolder) -> dict[str, Any] | None:
    """What the template `robustness.html.j2` shows; None if the run was not judged on worse images."""
    content = run.robustness
    if not content:
        return None
    chart = robustness_chart(content)
    kinds = mapping(content.get("kinds"))
    return {
        "sentences": robustness_sentences(content),
        "chart": Markup(chart) if chart else None,
        "heads": ["AUROC", *(label for _, label in _LOSSES), "ECE", "Answers changed", "Sensitivity"],
        "kinds": [_kind(run, str(name), mapping(one)) for name, one in kinds.items()],
        "note": _note(content),
    }


def _kind(run: RunFolder, name: str, kind: dict[str, Any]) -> dict[str, Any]:
    title, about = str(kind.get("title")).removeprefix("a "), str(kind.get("about"))
    return {
        "title": f"{title[:1].upper()}{title[1:]}",
        "about": f"{about[:1].upper()}{about[1:]}.",
        "picture": picture(run.path / "robustness", f"{name}.png"),
        "rows": [_row(kind, mapping(one)) for one in sequence(kind.get("points"))],
    }


def _row(kind: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    strength = (finite(kind.get("shown")) or 1.0) * (finite(one.get("strength")) or 0.0)
    loss = mapping(one.get("loss"))
    return {
        "name": f"{significant(strength)}\u00a0{kind.get('unit')}" if strength else "as it is",
        "cells": [
            cell(one.get("auroc"), 2),
            *(cell(loss.get(key), 2) if strength else _dash() for key, _ in _LOSSES),
            cell({"value": point(one.get("ece"))}, 2),
            cell({"value": point(one.get("changed"))}, 2) | {"value": percent(point(one.get("changed")))},
            cell(one.get("sensitivity"), 2),
        ],
    }


def _dash() -> dict[str, str]:
    return {"value": "–", "interval": "", "reason": "", "remark": ""}


def _note(content: dict[str, Any]) -> str:
    patients = finite(content.get("num_patients"))
    of = f" of {counted(patients, 'patient')}" if patients else ""
    return (
        f"{whole(content.get('num_images'))} test images{of}, prepared as in training and then made worse; nothing was trained or "
        "chosen anew. AUROC and balanced accuracy are of the probabilities as stated, log loss, ECE and sensitivity of the "
        f"calibrated ones. What is lost is a paired difference with the interval of resampled {content.get('resampled')}, for "
        "each strength alone: of many, one in forty shows a loss by chance."
    )
