"""`folds.html` and the table of the terminal of a study of several seeds: what training, folds and patients each change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanlens.files import write_text
from scanlens.report.dots import Dot, DotRow, dot_chart
from scanlens.report.folder import finite, mapping, read_folds_file, sequence
from scanlens.report.folds import CHANCE, DRAWN, LABELS, LEVEL_NAMES, Content, ordered_levels
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.html import rendered
from scanlens.report.seed_sentences import lead, num_folds, over_seeds, sentence, size, std_with_bounds
from scanlens.report.words import NOT_ASSESSED, counted, duration, interval, number, point, with_interval

PARTS = {"seed": "Seed", "fold": "Fold", "rest": "Rest", "total": "Together"}
PARTS_CAPTION = "Where the spread of one network on one fold comes from, as standard deviations ({size})."
CAPTION = (
    "SD: standard deviation, of seeds of the value of a whole seed, of folds within a seed. Over patients: mean of the seeds' "
    "intervals."
)
LEGEND = "In the charts a dot is one network on one fold; the last row holds all test predictions of a seed together."
LEGEND_OF_RUNS = "In the charts a dot is the test of one run, with its interval over patients."


def build_seeds_page(folder: Path) -> Path:
    """Write folds.html beside folds.json.

    Raises:
        RunError: if folds.json is missing or cannot be understood.
    """
    path = Path(folder) / "folds.html"
    write_text(path, render(read_folds_file(Path(folder))))
    return path


def render(content: Content) -> str:
    """The page as text; links lead to the pages of the seeds below the same folder."""
    levels = [
        {
            "name": LEVEL_NAMES[level],
            "anchor": f"level-{level}",
            "sentence": sentence(content, level),
            "tables": _tables(content, metrics),
            "charts": _charts(content, metrics, level),
        }
        for level, metrics in ordered_levels(content)
    ]
    return rendered(
        "folds.html.j2",
        kicker="seeds and folds" if num_folds(content) else "seeds",
        title=f"{content.get('model')} on {content.get('data')}: {size(content)}",
        lead=lead(content),
        contents=[*((one["anchor"], f"Results {one['name']}") for one in levels), ("runs", "Seeds")],
        levels=levels,
        runs=_seed_table(content),
        legend=LEGEND if num_folds(content) else LEGEND_OF_RUNS,
        notes=[str(note) for note in sequence(content.get("notes"))],
    )


def seed_table(folder: Path) -> str:
    """The metrics that are drawn, one a line, and what they mean in a sentence.

    Raises:
        RunError: if folds.json is missing or cannot be understood.
    """
    content = read_folds_file(Path(folder))
    rows = [[size(content), *_heads(content)]]
    for level, metrics in ordered_levels(content):
        drawn = {name: metrics[name] for name in DRAWN if name in metrics}
        rows += [[f"{name} {LEVEL_NAMES[level]}", *cells] for name, *cells in _rows(content, drawn)]
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    lines = ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    level = ordered_levels(content)[-1][0]
    return "\n".join([*lines, lead(content), sentence(content, level)])


def _heads(content: Content) -> list[str]:
    """What `_rows` gives of each metric."""
    folds = ["SD of folds"] if num_folds(content) else []
    return ["mean" if not folds else "mean, pooled", "SD of seeds (95 %)", *folds, "over patients (95 %)"]


def _rows(content: Content, metrics: dict[str, Any]) -> list[list[str]]:
    """Label and cells of each metric: mean over seeds, spread over seeds and folds, and the mean of intervals over patients."""
    rows = []
    for key, metric in metrics.items():
        label, digits = LABELS.get(key, (key, 3))
        over, parts = over_seeds(metrics, key), mapping(mapping(metric).get("parts"))
        seeds = std_with_bounds(over, digits) + _fewer(over.get("num_seeds"), len(content["seeds"]), "seed")
        folds = number(parts.get("within_seed"), digits) + _fewer(parts.get("num_folds"), num_folds(content), "fold")
        cells = [number(over.get("mean"), digits), seeds, *([folds] if num_folds(content) else [])]
        label += " (mean of folds)" if metric.get("of") == "mean of folds" else ""
        rows.append([label, *cells, interval(_mean_bounds(metric), digits) or NOT_ASSESSED])
    return rows


def _fewer(num: object, of: int, noun: str) -> str:
    """How many have a value, where not all do."""
    known = finite(num)
    return "" if not known or known == of else f" [{counted(known, noun)}]"


def _mean_bounds(metric: object) -> dict[str, float | None]:
    """Of the intervals of all seeds."""
    found = [mapping(one) for one in sequence(mapping(metric).get("pooled"))]
    bounds = [[finite(one.get(side)) for one in found] for side in ("low", "high")]
    low, high = ([value for value in side if value is not None] for side in bounds)
    return {"low": sum(low) / len(low) if low else None, "high": sum(high) / len(high) if high else None}


def _tables(content: Content, metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """One table of all metrics and, of seeds and folds, one of the parts of their spread."""
    results = {"caption": CAPTION, "heads": ["Metric", *_heads(content)], "rows": _rows(content, metrics)}
    if not num_folds(content):
        return [results]
    caption = PARTS_CAPTION.format(size=size(content))
    return [results, {"caption": caption, "heads": ["Metric", *PARTS.values()], "rows": _part_rows(metrics)}]


def _part_rows(metrics: dict[str, Any]) -> list[list[str]]:
    rows = []
    for key, metric in metrics.items():
        label, digits = LABELS.get(key, (key, 3))
        parts = mapping(mapping(metric).get("parts"))
        zero = sequence(parts.get("below_zero"))
        cells = [number(parts.get(name), digits) + (" (estimate below 0)" if name in zero else "") for name in PARTS]
        rows.append([label, *cells])
    return rows


def _charts(content: Content, metrics: dict[str, Any], level: str) -> list[Markup]:
    """Of each metric that is drawn, a dot for every seed in every fold, and for each seed its pooled value."""
    names = [f"seed {mapping(one).get('seed')}" for one in sequence(content.get("seeds"))]
    found = []
    for key in (name for name in DRAWN if name in metrics):
        metric, (label, _) = mapping(metrics[key]), LABELS[key]
        how: dict[str, Any] = {
            "axis": f"{label} {LEVEL_NAMES[level]}",
            "chance": CHANCE.get(key),
            "name": f"{level}-{key}",
        }
        pooled = [mapping(one) for one in sequence(metric.get("pooled"))]
        if num_folds(content):
            svg = dot_chart(_dot_rows(content, metric, pooled), names, **how)
        else:
            known = [
                (name, one, value) for name, one in zip(names, pooled, strict=True) if (value := point(one)) is not None
            ]
            svg = forest_plot(
                [ForestRow(name, value, finite(one.get("low")), finite(one.get("high"))) for name, one, value in known],
                **how,
            )
        found += [Markup(svg)] if svg else []
    return found


def _dot_rows(content: Content, metric: dict[str, Any], pooled: list[dict[str, Any]]) -> list[DotRow]:
    table = sequence(metric.get("values_SF"))
    rows = [
        DotRow(f"fold {mapping(fold).get('fold')}", [Dot(finite(values[place])) for values in table])
        for place, fold in enumerate(sequence(content.get("folds")))
    ]
    dots = [Dot(point(one), finite(one.get("low")), finite(one.get("high"))) for one in pooled]
    return [*rows, DotRow("pooled", dots)] if any(dot.value is not None for dot in dots) else rows


def _seed_table(content: Content) -> dict[str, Any]:
    """Seeds with the metrics that are drawn, of patients where they are known."""
    level, metrics = ordered_levels(content)[-1]
    keys = [name for name in DRAWN if name in metrics]
    rows = [
        {
            "name": f"seed {mapping(seed).get('seed')}",
            "page": str(mapping(seed).get("page") or ""),
            "cells": [
                *(with_interval(sequence(mapping(metrics[key]).get("pooled"))[place], LABELS[key][1]) for key in keys),
                duration(mapping(seed).get("fit_s")),
            ],
        }
        for place, seed in enumerate(sequence(content.get("seeds")))
    ]
    heads = ["Seed", *(f"{LABELS[key][0]} {LEVEL_NAMES[level]}" for key in keys), "Training"]
    return {"title": "Seeds", "heads": heads, "rows": rows}
