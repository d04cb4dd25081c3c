"""Charts of decisions: what acting on the network is worth by threshold, and what a call is worth by prevalence.

Each takes a part of `decisions` as the evaluation writes it and returns SVG text, or None where there is nothing to draw.
Lines differ in dash as well as in color.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from scanlens.report.folder import finite, sequence
from scanlens.report.palette import DASHES, SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.words import number, percent, point

TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)


def decision_curve_chart(
    curve: Mapping[str, Any], *, threshold: float | None = None, name: str = "decision-curve"
) -> str | None:
    """Net benefit of the network with its band, of acting on all and on nobody; None without numbers.

    Args:
        curve: `decision_curve`.
        threshold: of the operating point, marked if it lies on the axis.
        name: of the chart, unique on the page.
    """
    thresholds, (value, low, high) = _numbers(curve.get("threshold")), _entries(curve.get("model"))
    everybody = _numbers(curve.get("treat_all"))
    if not len(thresholds) == len(value) == len(everybody) or not np.isfinite(value).any():
        return None
    most = max(float(np.nanmax(value)), finite(curve.get("prevalence")) or 0.0)
    with drawing():
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.fill_between(thresholds, low, high, color=SERIES[0], alpha=0.18, linewidth=0)
        axes.plot(thresholds, value, color=SERIES[0], linestyle=DASHES[0], label="network")
        axes.plot(thresholds, everybody, color=SERIES[1], linestyle=DASHES[1], label="act on all")
        axes.axhline(0, color=INK, linestyle=DASHES[3], label="act on nobody")
        if threshold is not None and 0 < threshold < 1:
            axes.axvline(threshold, color=INK, linewidth=1, linestyle=DASHES[2], alpha=0.7, label="operating point")
        axes.set(xlim=(0, 1), ylim=(_floor(value, most), 1.08 * most), xlabel="probability from which one acts")
        axes.set_ylabel("net benefit")
        axes.legend(loc="best", handlelength=2.6)
        return as_svg(
            figure, name, f"Decision curve of the test split, net benefit: {_said(thresholds, value, everybody)}"
        )


def predictive_value_chart(
    values: Mapping[str, Any], *, marked: float | None = None, name: str = "predictive-values"
) -> str | None:
    """PPV and NPV against the prevalence, with bands; None without numbers.

    Args:
        values: `predictive_values`.
        marked: a prevalence to mark, such as the stated one.
        name: of the chart, unique on the page.
    """
    prevalences = _numbers(values.get("prevalence"))
    lines = {"PPV": _entries(values.get("ppv")), "NPV": _entries(values.get("npv"))}
    if any(line.shape[1] != len(prevalences) for line in lines.values()):
        return None
    if not any(np.isfinite(line[0]).any() for line in lines.values()):
        return None
    with drawing():
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.subplots()
        for i, (label, (value, low, high)) in enumerate(lines.items()):
            axes.fill_between(prevalences, low, high, color=SERIES[i], alpha=0.18, linewidth=0)
            axes.plot(prevalences, value, color=SERIES[i], linestyle=DASHES[i], label=label)
        if marked is not None and 0 < marked < 1:
            axes.axvline(marked, color=INK, linewidth=1, linestyle=DASHES[2], alpha=0.7, label="prevalence in use")
        _share_axis(axes, prevalences)
        axes.set(ylim=(-0.02, 1.02), xlabel="prevalence", ylabel="share of the calls that are right")
        axes.legend(loc="best", handlelength=2.6)
        shown = [i for i, p in enumerate(prevalences) if p in (0.01, 0.1, 0.5)]
        said = "; ".join(
            f"at {percent(float(prevalences[i]))} "
            + ", ".join(f"{label} {number(finite(line[0][i]), 2)}" for label, line in lines.items())
            for i in shown
        )
        return as_svg(figure, name, f"Predictive values by prevalence: {said}")


def _share_axis(axes: Axes, shares: NDArray[np.float64]) -> None:
    """An axis on which rare and frequent both have room."""
    axes.set_xscale("logit")
    axes.set_xlim(float(shares.min()), float(shares.max()))
    ticks = [tick for tick in TICKS if shares.min() <= tick <= shares.max()]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticklabels([percent(tick, 1 if tick < 0.01 else 0) for tick in ticks])


def _floor(value: NDArray[np.float64], most: float) -> float:
    """Where the axis ends below: harm is shown, but no deeper than the good that can be done."""
    return float(np.clip(1.1 * np.nanmin(value), -most, -0.15 * most)) if most > 0 else float(np.nanmin(value)) - 0.01


def _said(thresholds: NDArray[np.float64], value: NDArray[np.float64], everybody: NDArray[np.float64]) -> str:
    places = sorted({int(np.abs(thresholds - t).argmin()) for t in (0.1, 0.3, 0.5)})
    return "; ".join(
        f"at {number(float(thresholds[i]), 2)} network {number(finite(value[i]), 3)}, all {number(finite(everybody[i]), 3)}"
        for i in places
    )


def _numbers(values: object) -> NDArray[np.float64]:
    return np.array([np.nan if finite(one) is None else finite(one) for one in sequence(values)], dtype=np.float64)


def _entries(values: object) -> NDArray[np.float64]:
    """Values, lows and highs: (3, points), NaN where there is none."""
    rows: Sequence[Any] = sequence(values)
    parts = [[one.get(key) if isinstance(one, Mapping) else None for one in rows] for key in ("low", "high")]
    return np.stack([_numbers([point(one) for one in rows]), *(_numbers(part) for part in parts)])
