"""Curves of the score card: maps while weights are randomized, and log-odds while what the map marks is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.palette import DASHES, SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.words import number, point

MARKERS = ("o", "s", "^", "D")
GREY = "#8a8a8a"


def randomization_chart(content: Mapping[str, Any], *, name: str = "card-randomization") -> str | None:
    """SVG text: rank correlation of maps with those of more and more random networks, above maps of different images."""
    lines = [(one, _ranks(one)) for one in _methods(content) if not one.get("is_control")]
    lines = [(one, column) for one, column in lines if len(column[0])]
    if not lines:
        return None
    steps = [finite(step) or 0.0 for step in sequence(mapping(content.get("randomization")).get("steps"))]
    with drawing():
        figure = Figure(figsize=(6.0, 4.8), layout="constrained")
        axes = figure.subplots()
        for place, (one, (value, low, high)) in enumerate(lines):
            x = np.array([0.0, *steps[: len(value)]])
            _line(axes, x, np.r_[1.0, value], np.r_[1.0, low], np.r_[1.0, high], place, str(one.get("title")))
            floor = point(_part(one, "fidelity", "randomization").get("floor"))
            if floor is not None:
                axes.axhline(floor, color=SERIES[place % len(SERIES)], linewidth=1, linestyle=(0, (1, 3)))
        axes.set(
            xlabel="layers with random weights, from the output down", ylabel="rank correlation", ylim=(-0.03, 1.05)
        )
        axes.set_xticks([0, *steps])
        figure.legend(loc="outside upper center", ncols=2)
        said = "; ".join(f"{one.get('title')} {number(column[0][-1], 2)}" for one, column in lines)
        return as_svg(figure, name, f"Rank correlation of maps with those of a network of random weights: {said}")


def deletion_chart(content: Mapping[str, Any], *, name: str = "card-deletion") -> str | None:
    """SVG text: log-odds lost while the pixels that each map marks are taken away; controls in grey."""
    lines = [(one, _column(sequence(_part(one, "fidelity", "removal").get("curve")))) for one in _methods(content)]
    lines = [(one, column) for one, column in lines if len(column[0])]
    if not lines:
        return None
    with drawing():
        figure = Figure(figsize=(6.0, 4.8), layout="constrained")
        axes = figure.subplots()
        num_controls = num_methods = 0
        for one, (value, low, high) in lines:
            shares = [finite(share) or 0.0 for share in sequence(_part(one, "fidelity", "removal").get("share"))]
            x = 100 * np.array([0.0, *shares])
            if one.get("is_control"):
                dash = DASHES[num_controls % len(DASHES)]
                axes.plot(x, np.r_[0.0, value], color=GREY, linestyle=dash, linewidth=1.4, label=str(one.get("title")))
                num_controls += 1
            else:
                title = str(one.get("title"))
                _line(axes, x, np.r_[0.0, value], np.r_[0.0, low], np.r_[0.0, high], num_methods, title)
                num_methods += 1
        axes.axhline(0, color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.6)
        axes.set(xlabel="share of the image taken away (%)", ylabel="log-odds lost")
        figure.legend(loc="outside upper center", ncols=2)
        said = "; ".join(f"{one.get('title')} {number(column[0][-1], 2)}" for one, column in lines)
        return as_svg(figure, name, f"Log-odds lost at the largest share: {said}")


def _methods(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [mapping(one) for one in sequence(content.get("methods"))]


def _part(method: Mapping[str, Any], heading: str, name: str) -> dict[str, Any]:
    return mapping(mapping(method.get(heading)).get(name))


def _ranks(method: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return _column(sequence(_part(method, "fidelity", "randomization").get("rank_correlation")))


def _column(numbers: list[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values and bounds, NaN where there is none; empty if no value is known."""
    cells = [[finite(mapping(one).get(key)) for key in ("value", "low", "high")] for one in numbers]
    if all(row[0] is None for row in cells):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    value, low, high = np.array(cells, dtype=float).T
    return value, low, high


def _line(
    axes: Axes, x: np.ndarray, value: np.ndarray, low: np.ndarray, high: np.ndarray, place: int, label: str
) -> None:
    color = SERIES[place % len(SERIES)]
    axes.plot(x, value, color=color, linestyle=DASHES[place % len(DASHES)], marker=MARKERS[place % 4], label=label)
    axes.fill_between(x, low, high, color=color, alpha=0.13, linewidth=0)
