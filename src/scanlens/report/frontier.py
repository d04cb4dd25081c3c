"""Performance against explanation, run by run: what a network gives away in the one for the other, if anything.

The explanation is judged by two numbers of the score card of a run's own method: how often its peak lies near the marked lesion
(plausibility), and how much more of the answer is lost without the highlighted region than without others (fidelity).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.palette import SERIES
from scanlens.report.svg import as_svg, drawing
from scanlens.report.tables import cell
from scanlens.report.words import NOT_ASSESSED, interval, joined, number, point

Entry = Mapping[str, Any]
NEEDS = "scanlens explain parts=score_card of at least two of the runs"
SCORES = (
    ("hit_near", "Share of peaks near the lesion"),
    ("removal", "Log-odds lost without the region, more than elsewhere"),
)


def explanation_scores(card: Entry) -> dict[str, Any] | None:
    """`method`, `title`, `hit_near` with `chance_near`, and `removal` of the method that a run explains itself with.

    Args:
        card: contents of `explanations/score_card.json`; empty for none.

    Returns:
        None where neither number was measured.
    """
    methods = [mapping(one) for one in sequence(card.get("methods"))]
    own = next((one for one in methods if one.get("name") == card.get("primary") and not one.get("is_control")), {})
    near, removal = mapping(own.get("plausibility")), mapping(mapping(own.get("fidelity")).get("removal"))
    found = {"hit_near": mapping(near.get("hit_near")) or None, "removal": mapping(removal.get("advantage")) or None}
    if all(point(one) is None for one in found.values()):
        return None
    return {
        "method": own.get("name"),
        "title": own.get("title"),
        "chance_near": finite(near.get("chance_near")),
        **found,
    }


def frontier(runs: Sequence[Entry], level: str) -> dict[str, Any]:
    """What the template shows: `sentences`, `charts` (SVG or None) with their titles, and `rows` of a table.

    Args:
        runs: of comparison.json, each with `name`, `metrics` and, where it was measured, `explanations`.
        level: "patient" or "slice", of the AUROC.
    """
    points = [_Point(one, level) for one in runs]
    rows = [
        {
            "name": one.name,
            "auroc": cell(one.auroc, 2),
            "method": one.title or NOT_ASSESSED,
            "chance": number(one.chance, 2),
            "scores": [cell(one.scores.get(key), 2) for key, _ in SCORES],
        }
        for one in points
    ]
    known = any(row["method"] != NOT_ASSESSED for row in rows)
    told = [_sentence(points, key, title) for key, title in SCORES] if known else []
    charts = [_chart(points, key, title) for key, title in SCORES]
    return {
        "sentences": told or [f"Explanation against performance: {NOT_ASSESSED}, it needs {NEEDS}."],
        "charts": [Markup(chart) for chart in charts if chart],
        "heads": [title for _, title in SCORES],
        "rows": rows if known else [],
    }


class _Point:
    """One run: its AUROC and its explanation scores."""

    def __init__(self, run: Entry, level: str) -> None:
        scores = mapping(run.get("explanations"))
        self.name = str(run["name"])
        self.auroc = mapping(mapping(mapping(run.get("metrics")).get(level)).get("auroc"))
        self.title = str(scores.get("title") or "")
        self.chance = finite(scores.get("chance_near"))
        self.scores = {key: mapping(scores.get(key)) for key, _ in SCORES}


def _sentence(points: Sequence[_Point], key: str, title: str) -> str:
    """Which runs no other one beats in both numbers, and whether intervals tell the two ends apart."""
    both = [one for one in points if point(one.auroc) is not None and point(one.scores[key]) is not None]
    if len(both) < 2:
        return f"{title} against AUROC: {NOT_ASSESSED}, it needs {NEEDS}."
    pairs = {one.name: (_value(one.auroc), _value(one.scores[key])) for one in both}
    best = [name for name, (x, y) in pairs.items() if not any(_beats(other, (x, y)) for other in pairs.values())]
    if len(best) == 1:
        leader = next(one for one in both if one.name == best[0])
        rest = [one for one in both if one is not leader]
        is_sure = all(
            _is_apart(leader.auroc, one.auroc) and _is_apart(leader.scores[key], one.scores[key]) for one in rest
        )
        doubt = "" if is_sure else "; intervals overlap, so this may be chance"
        return f"{title}: {best[0]} is not behind any other run in AUROC or in this, so neither was paid for with the other here{doubt}."
    ordered = sorted((one for one in both if one.name in best), key=lambda one: -_value(one.auroc))
    first, last = ordered[0], ordered[-1]
    apart = _is_apart(first.auroc, last.auroc) and _is_apart(last.scores[key], first.scores[key])
    doubt = "" if apart else ", but their intervals overlap in at least one of the two, so this may be chance"
    return (
        f"{title}: no run is ahead of {joined(best)} in both. {first.name} has the higher AUROC ({_told(first.auroc)} against "
        f"{_told(last.auroc)}), {last.name} more of this ({_told(last.scores[key])} against {_told(first.scores[key])}){doubt}."
    )


def _value(one: Entry) -> float:
    return float(point(one) or 0.0)


def _beats(other: tuple[float, float], own: tuple[float, float]) -> bool:
    return other[0] >= own[0] and other[1] >= own[1] and other != own


def _is_apart(high: Entry, low: Entry) -> bool:
    bottom, top = finite(high.get("low")), finite(low.get("high"))
    return bottom is not None and top is not None and bottom > top


def _told(one: Entry) -> str:
    bounds = interval(one, 2)
    return number(point(one), 2) + (f", {bounds}" if bounds else ", no interval")


def _chart(points: Sequence[_Point], key: str, title: str) -> str | None:
    """A point with both intervals for each run that has both numbers; None for fewer than two."""
    both = [one for one in points if point(one.auroc) is not None and point(one.scores[key]) is not None]
    if len(both) < 2:
        return None
    with drawing():
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.subplots()
        for place, one in enumerate(both):
            x, y, color = _value(one.auroc), _value(one.scores[key]), SERIES[place % len(SERIES)]
            axes.errorbar(
                [x],
                [y],
                xerr=_bars(one.auroc),
                yerr=_bars(one.scores[key]),
                color=color,
                marker="os^Dv"[place % 5],
                markersize=7,
            )
            axes.annotate(one.name[:24], (x, y), textcoords="offset points", xytext=(7, 6))
        axes.set(xlabel="AUROC", ylabel=title.replace(", ", ",\n"))
        said = "; ".join(
            f"{one.name} {number(point(one.auroc), 2)}, {number(point(one.scores[key]), 2)}" for one in both
        )
        return as_svg(figure, f"frontier-{key.replace('_', '-')}", f"AUROC and {title}: {said}")


def _bars(one: Entry) -> list[list[float]] | None:
    low, high, value = finite(one.get("low")), finite(one.get("high")), _value(one)
    return None if low is None or high is None else [[max(0.0, value - low)], [max(0.0, high - value)]]
