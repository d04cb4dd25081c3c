"""`folds.html` and the table of the terminal: the folds of a cross-validation beside each other, and together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanlens.files import write_text
from scanlens.report.folder import finite, mapping, read_folds_file, sequence
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.html import rendered
from scanlens.report.tables import METRICS, RECONSTRUCTION
from scanlens.report.words import counted, duration, interval, number, point, whole

Content = dict[str, Any]
LABELS = {
    **{key: (label, 3) for key, label, _ in METRICS},
    **{key: (label, digits) for key, label, _, digits in RECONSTRUCTION},
    "anomaly_auroc": ("Anomaly AUROC", 3),
    "anomaly_auprc": ("Anomaly AUPRC", 3),
}
DRAWN = ("auroc", "balanced_accuracy", "accuracy", "ssim", "psnr", "anomaly_auroc")
CHANCE = {"auroc": 0.5, "anomaly_auroc": 0.5}
LEVEL_NAMES = {"slice": "per image", "patient": "per patient"}
LEGEND = "In the charts a dot is a fold with its interval, the diamond all test predictions together."
HEADS = ("Metric", "Mean of folds", "Standard deviation", "Smallest", "Largest", "Pooled (95 % interval)")


def build_folds_page(folder: Path) -> Path:
    """Write folds.html beside folds.json.

    Raises:
        RunError: if folds.json is missing or cannot be understood.
    """
    path = Path(folder) / "folds.html"
    write_text(path, render(read_folds_file(Path(folder))))
    return path


def render(content: Content) -> str:
    """The page as text; links lead to the pages of the folds below the same folder."""
    folds = [mapping(one) for one in sequence(content.get("folds"))]
    levels = [
        {
            "name": LEVEL_NAMES[level],
            "anchor": f"level-{level}",
            "sentence": "",
            "tables": [{"caption": "", "heads": HEADS, "rows": [[name, *cells] for name, cells in _rows(metrics)]}],
            "charts": _charts(metrics, folds, level),
        }
        for level, metrics in ordered_levels(content)
    ]
    return rendered(
        "folds.html.j2",
        kicker="cross-validation",
        title=f"{content.get('model')} on {content.get('data')}: {len(folds)} folds",
        lead=_lead(content, folds),
        contents=[*((one["anchor"], f"Results {one['name']}") for one in levels), ("runs", "Folds")],
        levels=levels,
        runs={
            "title": "Folds",
            "heads": ("Fold", "Test images", "Test patients", "Best epoch", "Training"),
            "rows": [_fold_row(one) for one in folds],
        },
        legend=LEGEND,
        notes=[str(note) for note in sequence(content.get("notes"))],
    )


def fold_table(folder: Path) -> str:
    """The metrics that are drawn, one a line: mean, standard deviation and range over folds, and pooled.

    Raises:
        RunError: if folds.json is missing or cannot be understood.
    """
    content = read_folds_file(Path(folder))
    folds = sequence(content.get("folds"))
    lines = [f"{f'{len(folds)} folds':<32}{'mean':<10}{'SD':<10}{'range':<20}pooled (95 % interval)"]
    for level, metrics in ordered_levels(content):
        for key in (name for name in DRAWN if name in metrics):
            name, (mean, deviation, low, high, pooled) = next(_rows({key: metrics[key]}))
            label = f"{name} {LEVEL_NAMES[level]}"
            lines.append(f"{label:<32}{mean:<10}{deviation:<10}{f'{low} to {high}':<20}{pooled}")
    return "\n".join([*lines, "The SD is of folds that share training images: it is no standard error."])


def ordered_levels(content: Content) -> list[tuple[str, dict[str, Any]]]:
    """Level and its metrics, images first."""
    known = mapping(content.get("levels"))
    return [(level, mapping(known[level])) for level in ("slice", "patient") if level in known]


def _lead(content: Content, folds: list[dict[str, Any]]) -> str:
    images = sum(finite(one.get("num_images")) or 0 for one in folds)
    patients = [finite(one.get("num_patients")) for one in folds]
    people = f" of {counted(sum(p for p in patients if p), 'patient')}" if None not in patients else ""
    return f"Every one of {counted(images, 'image')}{people} is tested once, by a network that has not seen it."


def _rows(metrics: dict[str, Any]) -> Any:
    """Label and cells of each metric."""
    for key, metric in metrics.items():
        label, digits = LABELS.get(key, (key, 3))
        spread, pooled = mapping(mapping(metric).get("spread")), mapping(metric).get("pooled")
        values = [number(spread.get(name), digits) for name in ("mean", "std", "min", "max")]
        bounds = interval(pooled, digits)
        yield label, [*values, number(point(pooled), digits) + (f" ({bounds})" if bounds else "")]


def _charts(metrics: dict[str, Any], folds: list[dict[str, Any]], level: str) -> list[Markup]:
    """Of each metric that is drawn, a dot with its interval for every fold, and the pooled value."""
    found = []
    for key in (name for name in DRAWN if name in metrics):
        label, _ = LABELS[key]
        each = zip(folds, sequence(mapping(metrics[key]).get("each")), strict=False)
        rows = [row for fold, one in each if (row := _dot(f"fold {fold.get('fold')}", one)) is not None]
        together = _dot("pooled", mapping(metrics[key]).get("pooled"), is_marked=True)
        rows += [together] if together is not None else []
        svg = forest_plot(rows, axis=f"{label} {LEVEL_NAMES[level]}", chance=CHANCE.get(key), name=f"{level}-{key}")
        found += [Markup(svg)] if svg else []
    return found


def _dot(label: str, metric: object, *, is_marked: bool = False) -> ForestRow | None:
    value, known = point(metric), mapping(metric)
    if value is None:
        return None
    return ForestRow(label, value, finite(known.get("low")), finite(known.get("high")), is_marked=is_marked)


def _fold_row(fold: dict[str, Any]) -> dict[str, Any]:
    best = finite(fold.get("best_epoch"))
    return {
        "name": f"fold {fold.get('fold')}",
        "page": str(fold.get("page") or ""),
        "cells": [
            whole(fold.get("num_images")),
            whole(fold.get("num_patients")),
            whole(best),
            duration(fold.get("fit_s")),
        ],
    }
