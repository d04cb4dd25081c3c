"""comparison.csv, comparison.tex and comparison.html of a comparison; the page is self-contained like that of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanlens.files import write_csv, write_text
from scanlens.report.comparison import (
    LEVELS,
    SHOWN,
    TITLES,
    Content,
    difference_table,
    differences,
    headline,
    judged_on,
    levels,
    notes,
    run_table,
)
from scanlens.report.folder import mapping, sequence
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.frontier import frontier
from scanlens.report.html import rendered
from scanlens.report.latex import latex_table
from scanlens.report.words import point

_COSTS = ("parameters", "seconds_per_image", "memory_mib", "training_s")
_CHANCE = {"auroc": 0.5}


def write_comparison(content: Content, folder: Path) -> Path:
    """Write table, LaTeX and page of a comparison into a folder; the page is returned.

    Args:
        content: of comparison.json.
        folder: made if absent.
    """
    write_csv(folder / "comparison.csv", *_rows(content))
    level = str(content["level"])
    heads, rows = run_table(content, level)
    caption = f"{headline(content)} {judged_on(content)[:1].upper()}{judged_on(content)[1:]}, {LEVELS[level]}."
    second_heads, second_rows = difference_table(content, level)
    tables = [
        latex_table(heads, rows, caption=caption, label="tab:comparison"),
        latex_table(second_heads, second_rows, caption=notes(content)[0], label="tab:differences"),
    ]
    write_text(folder / "comparison.tex", "\n".join(tables))
    page = folder / "comparison.html"
    write_text(page, render(content))
    return page


def render(content: Content) -> str:
    """The page as text."""
    names = [str(one["name"]) for one in sequence(content["runs"])]
    return rendered(
        "comparison.html.j2",
        title=f"Comparison of {len(names)} runs",
        lead=headline(content),
        judged=judged_on(content),
        warnings=[str(one) for one in sequence(content["warnings"])],
        levels=[_level(content, level) for level in levels(content)],
        frontier=frontier([mapping(one) for one in sequence(content["runs"])], str(content["level"])),
        notes=notes(content),
    )


def _level(content: Content, level: str) -> dict[str, Any]:
    metric = str(content["metric"])
    heads, rows = run_table(content, level)
    difference_heads, difference_rows = difference_table(content, level)
    return {
        "anchor": level,
        "title": LEVELS[level],
        "runs": {"heads": heads, "rows": rows},
        "differences": {"heads": difference_heads, "rows": difference_rows},
        "forest": _markup(_forest(content, metric, level)),
        "gaps": _markup(_gaps(content, metric, level)),
    }


def _forest(content: Content, metric: str, level: str) -> str | None:
    found = [(str(run["name"]), mapping(mapping(run["metrics"][level]).get(metric))) for run in content["runs"]]
    rows = [ForestRow(name, one["value"], one["low"], one["high"]) for name, one in found if point(one) is not None]
    return forest_plot(rows, axis=TITLES[metric], chance=_CHANCE.get(metric), name=f"runs-{level}")


def _gaps(content: Content, metric: str, level: str) -> str | None:
    rows = [
        ForestRow(
            f"{one['first']} less {one['second']}", one["value"], one["low"], one["high"], is_marked=bool(one["better"])
        )
        for one in differences(content, level)
        if one["value"] is not None
    ]
    return forest_plot(rows, axis=f"Difference in {TITLES[metric]}", chance=0.0, name=f"gaps-{level}")


def _rows(content: Content) -> tuple[list[str], list[dict[str, object]]]:
    """One row a run and level: value and bounds of every metric, and the costs."""
    bounds = [f"{key}{end}" for key in SHOWN for end in ("", "_low", "_high")]
    rows: list[dict[str, object]] = []
    for run in content["runs"]:
        for level in levels(content):
            row = {"run": run["name"], "model": run["model"], "num_folds": run["num_folds"], "level": _LEVEL[level]}
            for key in SHOWN:
                one = mapping(mapping(run["metrics"][level]).get(key))
                row |= {key: one.get("value"), f"{key}_low": one.get("low"), f"{key}_high": one.get("high")}
            rows.append(row | {key: run.get(key) for key in _COSTS})
    return ["run", "model", "num_folds", "level", *bounds, *_COSTS], rows


_LEVEL = {"slice": "image", "patient": "patient"}


def _markup(svg: str | None) -> Markup | None:
    """SVG that `forest` made and escaped."""
    return Markup(svg) if svg else None
