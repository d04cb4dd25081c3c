"""Small multiples of robustness: what ranking and calibration are worth at each strength, one column a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.palette import DASHES, SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.words import number, significant

UPPER = (
    ("auroc", "AUROC"),
    ("balanced_accuracy", "balanced accuracy"),
    ("sensitivity", "sensitivity at the threshold"),
)
LOWER = (("ece", "calibration error (ECE)"),)
MARKERS = ("o", "s", "^")
COLUMN_IN, MOST_COLUMNS = 2.1, 7


def robustness_chart(content: Mapping[str, Any], *, name: str = "robustness") -> str | None:
    """SVG text: shares of right answers above, error of calibration below, against strength; None without numbers.

    Args:
        content: of robustness.json.
        name: of the chart, unique on the page.
    """
    kinds = {label: mapping(one) for label, one in mapping(content.get("kinds")).items() if _points(mapping(one))}
    kinds = dict(list(kinds.items())[:MOST_COLUMNS])
    if not kinds:
        return None
    with drawing():
        figure = Figure(figsize=(0.9 + COLUMN_IN * len(kinds), 4.6), layout="constrained")
        grid = figure.subplots(2, len(kinds), sharex="col", sharey="row", squeeze=False, height_ratios=(2, 1))
        for place, kind in enumerate(kinds.values()):
            _panel(grid[0, place], kind, UPPER)
            _panel(grid[1, place], kind, LOWER)
            grid[0, place].set_title(str(kind.get("title")).removeprefix("a "), fontsize=10)
            grid[1, place].set_xlabel(f"strength ({kind.get('unit')})")
        grid[0, 0].set(ylabel="test images", ylim=(0, 1.03))
        grid[1, 0].set(ylabel="ECE")
        grid[1, 0].set_ylim(bottom=0)
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
        return as_svg(figure, name, _in_words(kinds))


def _panel(axes: Axes, kind: Mapping[str, Any], lines: Sequence[tuple[str, str]]) -> None:
    factor = finite(kind.get("shown")) or 1.0
    x = np.array([factor * (finite(one.get("strength")) or 0.0) for one in _points(kind)])
    for place, (key, label) in enumerate(lines):
        value, low, high = _column(kind, key)
        if np.isnan(value).all():
            continue
        color = SERIES[place]
        axes.plot(x, value, color=color, linestyle=DASHES[place], marker=MARKERS[place], label=label)
        axes.fill_between(x, low, high, color=color, alpha=0.14, linewidth=0)
    if lines is UPPER:
        axes.axhline(0.5, color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.5)


def _points(kind: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [mapping(one) for one in sequence(kind.get("points"))]


def _column(kind: Mapping[str, Any], key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values and ends of the intervals, NaN where there is none."""
    cells = [[finite(mapping(one.get(key)).get(part)) for part in ("value", "low", "high")] for one in _points(kind)]
    value, low, high = np.array(cells, dtype=float).T
    return value, low, high


def _in_words(kinds: Mapping[str, Mapping[str, Any]]) -> str:
    parts = []
    for kind in kinds.values():
        last = _points(kind)[-1]
        strength = significant((finite(kind.get("shown")) or 1.0) * (finite(last.get("strength")) or 0.0))
        area = number(mapping(last.get("auroc")).get("value"), 2)
        parts.append(f"{kind.get('title')} of {strength} {kind.get('unit')}: {area}")
    return f"AUROC at the largest strength, {'; '.join(parts)}"
