"""Charts of inserted lesions: shares that are called and pointed at over their size, and the limits over their contrast."""

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
_LIMITS = (("detection", "90 % called"), ("localization", "half of the called pointed at"))


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


def contrasts_chart(content: Mapping[str, Any], *, name: str = "limits-by-contrast") -> str | None:
    """SVG text: both limits over the contrast, with their intervals; None unless several contrasts were tried.

    A limit that was not found stands as an open triangle at the end of the sizes beyond which it lies.
    """
    found = [mapping(one) for one in sequence(content.get("by_contrast"))]
    if len(found) < 2:
        return None
    sizes = [float(mapping(one)["size"]) for one in sequence(found[0].get("sizes"))]
    with drawing():
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.set_yscale("log")
        places = np.arange(len(found), dtype=float)
        for place, (key, label) in enumerate(_LIMITS):
            at = places + 0.12 * (place - 0.5)
            _limits(axes, at, [mapping(one.get(key)) for one in found], (sizes[0], sizes[-1]), place, label)
        axes.set(xlabel="contrast of the inserted lesion", ylabel="limit (px)", xlim=(-0.5, len(found) - 0.5))
        axes.set_xticks(places, [contrast_words(one) for one in found])
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticks(sizes, [number(one, 0 if one >= 10 else 1) for one in sizes])
        figure.legend(loc="outside upper left", ncols=2, handlelength=2.4, columnspacing=1.4)
        return as_svg(figure, name, _all_in_words(found))


def contrast_words(one: Mapping[str, Any]) -> str:
    """A contrast: one number, or one for each channel where they differ."""
    values = [number(value, 2) for value in sequence(one.get("contrast"))]
    return values[0] if len(set(values)) == 1 else " / ".join(values)


def _limits(
    axes: Axes, at: np.ndarray, limits: list[dict[str, Any]], ends: tuple[float, float], place: int, label: str
) -> None:
    color, style = SERIES[place], DASHES[place]
    value = np.array([np.nan if (v := finite(one.get("value"))) is None else v for one in limits])
    axes.plot(at, value, color=color, linestyle=style, marker="os"[place], markersize=5, label=label)
    for x, one, known in zip(at, limits, np.isfinite(value), strict=True):
        low, high = finite(one.get("low")), finite(one.get("high"))
        if known and (low is not None or high is not None):
            axes.plot([x, x], [low or ends[0], high or ends[1]], color=color, linewidth=1.1, alpha=0.55)
        outside = {"not reached": (ends[1], "^"), "below the smallest": (ends[0], "v")}.get(str(one.get("state")))
        if outside is not None:
            axes.plot([x], [outside[0]], color=color, marker=outside[1], markersize=7, fillstyle="none")


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


def _all_in_words(found: list[dict[str, Any]]) -> str:
    told = "; ".join(f"contrast {contrast_words(one)}: {_limits_in_words(one)}" for one in found)
    return f"Limits of inserted lesions by contrast; {told}"


def _in_words(content: Mapping[str, Any]) -> str:
    return f"Shares of inserted lesions by diameter; {_limits_in_words(content)}"


def _limits_in_words(content: Mapping[str, Any]) -> str:
    said = []
    for key, label in (("detection", "90 % called"), ("localization", "half pointed at")):
        limit = mapping(content.get(key))
        value = finite(limit.get("value"))
        said.append(f"{label} from {number(value, 1)} px" if value is not None else f"{label}: {limit.get('state')}")
    return ", ".join(said)
