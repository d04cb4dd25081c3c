"""A dot chart: rows of values, a dot for each of several series, some with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scanlens.report.charts import MARKERS, shortened
from scanlens.report.palette import SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.words import number

MAX_TOLD_APART = len(MARKERS)  # series with a color and a mark of their own; of more, all look alike
BAND = 0.6  # share of a row's height that its dots take


@dataclass(frozen=True, slots=True)
class Dot:
    """A value, with the bounds of its interval where it is known; None for a value that is not."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class DotRow:
    """One row.

    Args:
        label: beside the axis.
        dots: one for each series, in their order.
    """

    label: str
    dots: Sequence[Dot]


def dot_chart(
    rows: Sequence[DotRow], series: Sequence[str], *, axis: str, chance: float | None, name: str
) -> str | None:
    """SVG text; None without a value.

    Args:
        rows: from top to bottom.
        series: what the dots of a row are called.
        axis: what is drawn, with its unit.
        chance: where the line of chance stands; None for none.
        name: of the chart, unique on the page.
    """
    if not any(dot.value is not None for row in rows for dot in row.dots):
        return None
    with drawing():
        figure = Figure(figsize=(6.2, 1.3 + 0.42 * len(rows)), layout="constrained")
        axes = figure.subplots()
        if chance is not None:
            axes.axvline(chance, color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.7)
        for place, label in enumerate(series):
            _draw(axes, rows, place, label, num=len(series))
        axes.set_yticks(range(len(rows)), [shortened(row.label, 34) for row in rows])
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=axis)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        if len(series) <= MAX_TOLD_APART:
            figure.legend(loc="outside upper center", ncols=min(len(series), 4), handlelength=1)
        return as_svg(figure, name, f"{axis}: {_said(rows)}")


def _draw(axes: Axes, rows: Sequence[DotRow], place: int, label: str, *, num: int) -> None:
    """The dots of one series, a little above or below those of the others."""
    kind = place if num <= MAX_TOLD_APART else 0
    color, shift = SERIES[kind], BAND * ((place + 0.5) / num - 0.5)
    xs, ys = [], []
    for row, dot in enumerate(one.dots[place] for one in rows):
        if dot.value is not None:
            xs.append(dot.value)
            ys.append(row + shift)
        if dot.low is not None and dot.high is not None:
            axes.plot([dot.low, dot.high], [row + shift, row + shift], color=color, linewidth=1.4)
    how: dict[str, Any] = {"color": color, "marker": MARKERS[kind], "markersize": 5.5, "linestyle": "", "label": label}
    axes.plot(xs, ys, **how)


def _said(rows: Sequence[DotRow]) -> str:
    told = [(row.label, [number(dot.value, 2) for dot in row.dots if dot.value is not None]) for row in rows]
    return "; ".join(f"{label} {', '.join(values)}" for label, values in told if values)
