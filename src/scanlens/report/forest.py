"""A forest plot: values with their intervals on one axis, one a row, and the line of chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from scanlens.report.charts import shortened
from scanlens.report.palette import SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.words import number

MARKED = "#d55e00"


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One row.

    Args:
        label: beside the axis.
        value, low, high: of the same unit; None for an interval that is not known.
        is_marked: drawn as a filled diamond in another color.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    is_marked: bool = False


def forest_plot(
    rows: Sequence[ForestRow], *, axis: str, chance: float | None, name: str, limits: tuple[float, float] | None = None
) -> str | None:
    """SVG text; None without rows.

    Args:
        rows: from top to bottom.
        axis: what is drawn, with its unit.
        chance: where the line of chance stands; None for none.
        name: of the chart, unique on the page.
        limits: of the axis; None to fit.
    """
    if not rows:
        return None
    with drawing():
        figure = Figure(figsize=(6.2, 0.9 + 0.32 * len(rows)), layout="constrained")
        axes = figure.subplots()
        if chance is not None:
            axes.axvline(chance, color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.7)
        for place, row in enumerate(rows):
            color = MARKED if row.is_marked else SERIES[0]
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], color=color, linewidth=2)
            axes.plot([row.value], [place], color=color, marker="D" if row.is_marked else "o", markersize=6)
        axes.set_yticks(range(len(rows)), [shortened(row.label, 34) for row in rows])
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=axis)
        if limits is not None:
            axes.set_xlim(*limits)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        said = ", ".join(f"{row.label} {number(row.value, 2)}" for row in rows)
        return as_svg(figure, name, f"{axis}: {said}")
