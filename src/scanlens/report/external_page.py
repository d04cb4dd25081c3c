"""The page of an external evaluation, written from its folder alone."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scanlens.report.drift import apart_table, drift_sentences, drift_table
from scanlens.report.external import (
    LEVELS,
    class_rows,
    external_part,
    headline,
    metric_rows,
    notes,
    rate_rows,
    trust_rows,
)
from scanlens.report.folder import RunFolder, finite, mapping
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.html import rendered
from scanlens.report.trust import trust_sections
from scanlens.report.words import counted, without_paths

_DRIFT_HEADS = ("Number of an image", "Training", "New", "Difference (SD)", "KS", "By chance", "p")


def render_external(run: RunFolder) -> str:
    """The page as text."""
    drift = mapping(run.evaluation.get("drift"))
    data, own = str(external_part(run).get("data")), str(external_part(run).get("run"))
    network = str(mapping(run.facts.get("model_summary")).get("name") or "Network")
    levels = [level for level in LEVELS if mapping(run.split("test").get(level))]
    return rendered(
        "external.html.j2",
        title=f"{network} of run {own} on {data}",
        lead=headline(run),
        judged=_judged_on(run),
        cautions=[without_paths(one) for one in notes(run)],
        drift={
            "sentences": drift_sentences(drift),
            "heads": _DRIFT_HEADS,
            "rows": drift_table(drift),
            "apart": apart_table(drift),
        },
        levels=[_level(run, level) for level in levels],
        rates=rate_rows(run),
        rates_reason=str(mapping(run.evaluation.get("decisions")).get("reason") or ""),
        trust=trust_rows(run),
        **trust_sections(run),
    )


def _judged_on(run: RunFolder) -> str:
    images = mapping(run.split("test").get("slice"))
    patients = finite(images.get("num_patients"))
    people = f" of {counted(patients, 'patient')}" if patients else ", patients unknown"
    return f"{counted(images.get('num_images'), 'image')}{people}"


def _level(run: RunFolder, level: str) -> dict[str, Any]:
    return {
        "anchor": f"level-{level}",
        "title": LEVELS[level],
        "metrics": metric_rows(run, level),
        "classes": class_rows(run, level),
        "forest": _forest(run, level),
    }


def _forest(run: RunFolder, level: str) -> Markup | None:
    """Balanced accuracy and AUROC with their intervals, new images marked."""
    own = mapping(mapping(mapping(external_part(run).get("internal")).get("levels")).get(level))
    drawn = []
    for key, label in (("auroc", "AUROC"), ("balanced_accuracy", "Balanced accuracy"), ("accuracy", "Accuracy")):
        for name, one, is_new in (
            ("own test", own, False),
            ("new images", mapping(run.split("test").get(level)), True),
        ):
            found = mapping(mapping(one.get("metrics")).get(key))
            value = finite(found.get("value"))
            if value is not None:
                bounds = finite(found.get("low")), finite(found.get("high"))
                drawn.append(ForestRow(f"{label}, {name}", value, *bounds, is_marked=is_new))
    svg = forest_plot(drawn, axis="value with 95 % interval", chance=None, name=f"both-{level}", limits=(0, 1.02))
    return Markup(svg) if svg else None
