"""Two curves over the size of inserted lesions: the share that is called, and the share of these that the map points at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.palette import DASHES, SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.words import number

_CURVES = (
    ("detection", "called", "called", "o"),
    ("localization", "hit", "peak on it, of those called", "s"),
    ("localization_near", "near", "peak near it, of those called", "^"),
)


def limits_chart(content: Mapping[str, Any], *, name: str = "limits") -> str | None:
    """SVG text: shares at every size with their intervals, the fitted curves, and the limits; None without numbers."""
    rows = [mapping(one) for one in sequence(content.get("sizes"))]
    if not rows:
        return None
    sizes = np.array([float(one["size"]) for one in rows])
    with drawing():
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        for place, (key, column, label, marker) in enumerate(_CURVES):
            _curve(axes, mapping(content.get(key)), sizes, place, label)
            _points(axes, sizes * (1 + 0.02 * (place - 1)), rows, column, place, marker)
        by_chance = [finite(one.get("chance")) or 0.0 for one in rows]
        axes.plot(sizes, by_chance, color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.7, label="on it by chance")
        axes.set(ylim=(-0.02, 1.03), xlabel="diameter of the inserted lesion (px)", ylabel="share")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(sizes, [number(one, 0 if one >= 10 else 1) for one in sizes])
        figure.legend(loc="outside upper left", ncols=2, handlelength=2.4, columnspacing=1.4)
        return as_svg(figure, name, _in_words(content))


def _curve(axes: Axes, limit: Mapping[str, Any], sizes: np.ndarray, place: int, label: str) -> None:
    location, width, lapse, floor = (finite(limit.get(one)) for one in ("location", "width", "lapse", "floor"))
    if location is None or width is None or lapse is None or floor is None:
        return
    x = np.geomspace(sizes[0], sizes[-1], 80)
    share = floor + (1 - floor - lapse) / (1 + np.exp(-(np.log(x) - np.log(location)) / width))
    axes.plot(x, share, color=SERIES[place], linestyle=DASHES[place], label=label)
    if (value := finite(limit.get("value"))) is not None:
        target = finite(limit.get("target")) or 0.0
        axes.plot([value, value], [-0.02, target], color=SERIES[place], linewidth=1, alpha=0.8)
        axes.plot([value], [target], color=SERIES[place], marker="D", markersize=7)


def _points(axes: Axes, x: np.ndarray, rows: list[dict[str, Any]], column: str, place: int, marker: str) -> None:
    for at, row in zip(x, rows, strict=True):
        value, low, high = (finite(mapping(row.get(column)).get(one)) for one in ("value", "low", "high"))
        if value is None:
            continue
        if low is not None and high is not None:
            axes.plot([at, at], [low, high], color=SERIES[place], linewidth=1.1, alpha=0.55)
        axes.plot([at], [value], color=SERIES[place], marker=marker, markersize=5)


def _in_words(content: Mapping[str, Any]) -> str:
    said = []
    for key, label in (("detection", "90 % called"), ("localization", "half pointed at")):
        limit = mapping(content.get(key))
        value = finite(limit.get("value"))
        said.append(f"{label} from {number(value, 1)} px" if value is not None else f"{label}: {limit.get('state')}")
    return f"Shares of inserted lesions by diameter; {', '.join(said)}"
