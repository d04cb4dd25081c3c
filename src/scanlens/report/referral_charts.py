"""Charts of what is left to a person: risk against the share answered, and sets of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.palette import SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.words import number, percent, point


def risk_coverage_chart(
    curve: Mapping[str, Any], outcome: Mapping[str, Any] | None = None, *, name: str = "risk-coverage"
) -> str | None:
    """SVG text: share of errors against the share that is answered; None without a curve.

    Args:
        curve: `coverage`, `risk`, `error_rate` and `aurc`, as evaluation.json holds them.
        outcome: of the referral rule, with `num`: drawn as a diamond. None for no rule.
        name: of the chart, unique on the page.
    """
    x, y = ([finite(one) for one in sequence(curve.get(key))] for key in ("coverage", "risk"))
    rate = finite(curve.get("error_rate"))
    if len(x) != len(y) or not x or rate is None or None in x or None in y:
        return None
    with drawing():
        figure = Figure(figsize=(4.8, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.axhline(100 * rate, color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.6, label="random order")
        axes.plot(
            *([100 * (one or 0.0) for one in values] for values in (x, y)), color=SERIES[0], label="most sure first"
        )
        answered = _answered(outcome)
        if answered is not None:
            axes.plot(
                *(100 * one for one in answered), color=SERIES[1], marker="D", markersize=7, linestyle="", label="rule"
            )
        axes.set(xlim=(0, 102), xlabel="share answered by the network (%)", ylabel="errors among these (%)")
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")
        said = (
            f"Errors by share answered: {percent(rate, 1)} if all are answered; area {number(point(curve.get('aurc')))}"
        )
        if answered is not None:
            said += f"; by the rule {percent(answered[1], 1)} of {percent(answered[0])}"
        return as_svg(figure, name, said)


def conformal_chart(judged: Mapping[str, Any], *, promised: float, name: str = "conformal") -> str | None:
    """SVG text: coverage of the sets, of all and of each class, with intervals and the promise; None without coverage.

    Args:
        judged: `coverage` and `per_class`, as evaluation.json holds them.
        promised: share of sets that should hold the right class.
        name: of the chart, unique on the page.
    """
    entries = {"all images": mapping(judged.get("coverage"))}
    entries |= {label: mapping(mapping(one).get("coverage")) for label, one in mapping(judged.get("per_class")).items()}
    rows = [
        ForestRow(label, value, finite(one.get("low")), finite(one.get("high")), is_marked=label == "all images")
        for label, one in entries.items()
        if (value := finite(one.get("value"))) is not None
    ]
    return forest_plot(rows, axis="share of sets with the right class", chance=promised, name=name, limits=(0, 1.02))


def set_size_chart(judged: Mapping[str, Any], *, name: str = "set-sizes") -> str | None:
    """SVG text: how many sets have no class, one class, two classes ...; None without sets."""
    sizes = [finite(one) or 0.0 for one in sequence(judged.get("sizes"))]
    if not sum(sizes):
        return None
    with drawing():
        figure = Figure(figsize=(4.4, 2.6), layout="constrained")
        axes = figure.subplots()
        bars = axes.bar(range(len(sizes)), sizes, color=SERIES[0], width=0.7)
        axes.bar_label(bars, [f"{one:.0f}" for one in sizes], fontsize=9)
        axes.set(xlabel="classes in the set", ylabel="images", ylim=(0, 1.12 * max(sizes)))
        axes.set_xticks(range(len(sizes)))
        axes.grid(axis="x", visible=False)
        said = ", ".join(f"{size}: {count:.0f}" for size, count in enumerate(sizes) if count)
        return as_svg(figure, name, f"Images by number of classes in their set: {said}")


def _answered(outcome: Mapping[str, Any] | None) -> tuple[float, float] | None:
    """Share answered, and share of errors among these; None where nothing is answered."""
    num = mapping(mapping(outcome).get("num"))
    images, answered, errors = (finite(num.get(key)) for key in ("images", "answered", "errors_answered"))
    return (answered / images, errors / answered) if images and answered and errors is not None else None
