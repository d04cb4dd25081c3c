"""The reliability diagram: what was stated against what came true, before and after calibration, over a histogram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.palette import DASHES, SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.words import number

MARKERS = ("o", "s")
LABELS = {"before": "as stated", "after": "calibrated"}


def reliability_diagram(change: Mapping[str, Any], *, name: str = "reliability") -> str | None:
    """SVG text; None without a curve.

    The band is where 95 of 100 shares would lie if outcomes came as the network stated. Bars are 95 % intervals over
    patients. Below the diagonal the network is too sure.

    Args:
        change: `before` and, if there is one that differs, `after`, each with `curve` and `stated`, as evaluation.json holds them.
        name: of the chart, unique on the page.
    """
    curves = {which: _curve(mapping(change.get(which))) for which in LABELS}
    curves = {which: curve for which, curve in curves.items() if len(curve["stated"])}
    if not curves:
        return None
    if len(curves) == 2 and mapping(change.get("before")).get("curve") == mapping(change.get("after")).get("curve"):
        del curves["after"]
    values = np.concatenate([curve[key] for curve in curves.values() for key in ("stated", "observed", "low")])
    low = max(0.0, float(np.nanmin(values)) - 0.06)
    with drawing():
        figure = Figure(figsize=(4.6, 5.2), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        _band(upper, next(iter(curves.values())))
        upper.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.6)
        for place, (which, curve) in enumerate(curves.items()):
            _points(upper, curve, place, LABELS[which])
            _histogram(lower, sequence(mapping(change.get(which)).get("stated")), place)
        upper.set(xlim=(low, 1.02), ylim=(low, 1.02), ylabel="share of right answers")
        upper.legend(loc="upper left")
        lower.set(xlabel="stated probability of the predicted class", ylabel="images")
        return as_svg(figure, name, _in_words(curves))


def _curve(measures: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Columns of the bins, NaN for an interval that is not known; bins without numbers are left out."""
    keys = ("stated", "observed", "low", "high", "chance_low", "chance_high")
    rows = [[finite(mapping(one).get(key)) for key in keys] for one in sequence(measures.get("curve"))]
    table = np.array([row for row in rows if row[0] is not None and row[1] is not None], dtype=float).reshape(-1, 6)
    return dict(zip(keys, table.T, strict=True))


def _band(axes: Axes, curve: Mapping[str, np.ndarray]) -> None:
    bounds = (curve["chance_low"], curve["chance_high"])
    if np.isfinite(bounds).all():
        axes.fill_between(curve["stated"], *bounds, color=INK, alpha=0.12, linewidth=0, label="if stated were true")


def _points(axes: Axes, curve: Mapping[str, np.ndarray], place: int, label: str) -> None:
    color, observed = SERIES[place], curve["observed"]
    bars = np.stack([observed - curve["low"], curve["high"] - observed])
    known = np.isfinite(bars).all(axis=0)
    bars = np.maximum(bars[:, known], 0)
    axes.errorbar(curve["stated"][known], observed[known], yerr=bars, fmt="none", ecolor=color, elinewidth=1, alpha=0.7)
    axes.plot(
        curve["stated"],
        observed,
        color=color,
        linestyle=DASHES[place],
        marker=MARKERS[place],
        markersize=6,
        label=label,
    )


def _histogram(axes: Axes, counts: list[Any], place: int) -> None:
    known = [finite(one) or 0.0 for one in counts]
    if known:
        edges = np.linspace(0, 1, len(known) + 1)
        axes.stairs(known, edges, color=SERIES[place], linestyle=DASHES[place], linewidth=1.6)


def _in_words(curves: Mapping[str, Mapping[str, np.ndarray]]) -> str:
    told = [
        f"{LABELS[which]}: "
        + ", ".join(
            f"stated {number(a, 2)} right {number(b, 2)}"
            for a, b in zip(curve["stated"], curve["observed"], strict=True)
        )
        for which, curve in curves.items()
    ]
    return "Reliability of the probability of the predicted class; " + "; ".join(told)
