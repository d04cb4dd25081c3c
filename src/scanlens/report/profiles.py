"""The probability along the slices of a volume, with the explained slice marked: as a picture, and as SVG of the page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scanlens.files import write_bytes
from scanlens.report.charts import shortened
from scanlens.report.folder import finite, sequence
from scanlens.report.palette import SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.words import number

MIN_SLICES = 3
_MOST_MARKED = 60
_BELOW = -0.06  # where the slices stand of which the reference is the class


def profile_svg(profile: Mapping[str, Any], *, name: str) -> str | None:
    """SVG text of a profile, or None if it has fewer than three slices or makes no sense.

    Args:
        profile: `class`, `slice` (the explained one), and lists of equal length `slices` (rising), `probabilities` (of the
            class, in [0, 1]) and `is_class` (what the reference says of the slice).
        name: unique on the page.
    """
    if not _is_profile(profile):
        return None
    with drawing():
        return as_svg(_figure(profile), name, _in_words(profile))


def profile_png(profile: Mapping[str, Any], path: Path) -> None:
    """Write the same picture on a white ground; nothing if there is nothing to draw. Equal numbers give equal bytes."""
    if not _is_profile(profile):
        return
    with drawing():
        _write_png(_figure(profile), path)


def importance_png(profile: Mapping[str, Any], path: Path) -> None:
    """Probability along the slices of a volume and, below, how much each decides; nothing if there are fewer than three.

    Args:
        profile: `class`, and lists of equal length `slices` (rising), `probabilities` (of the class, in [0, 1]) and
            `importance` (log-odds); `decisive`: the slices that speak most for the class, the first the most.
        path: of the PNG file. Equal numbers give equal bytes.
    """
    if len(sequence(profile.get("slices"))) < MIN_SLICES:
        return
    with drawing():
        _write_png(_importance_figure(profile), path)


def _importance_figure(profile: Mapping[str, Any]) -> Figure:
    x, name = profile["slices"], shortened(str(profile["class"]))
    figure = Figure(figsize=(5.0, 4.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(x, profile["probabilities"], color=SERIES[0])
    above.axhline(0.5, color=INK, linewidth=1, linestyle=(0, (1, 3)), alpha=0.6)
    above.set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1), ylabel=f"probability of {name}")
    below.plot(x, profile["importance"], color=SERIES[1])
    below.axhline(0, color=INK, linewidth=1, alpha=0.6)
    below.set(xlabel="slice", ylabel="importance (log-odds)")
    below.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    height_of = dict(zip(x, profile["importance"], strict=True))
    for rank, place in enumerate(profile["decisive"], start=1):
        below.plot([place], [height_of[place]], color=SERIES[2], marker="o", linestyle="none")
        below.annotate(str(rank), (place, height_of[place]), xytext=(4, 4), textcoords="offset points", fontsize=8)
    return figure


def _write_png(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    write_bytes(path, buffer.getvalue())


def _figure(profile: Mapping[str, Any]) -> Figure:
    x, y, name = profile["slices"], profile["probabilities"], shortened(str(profile["class"]))
    figure = Figure(figsize=(5.0, 2.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(x, y, color=SERIES[0], marker="o" if len(x) <= _MOST_MARKED else None, label=f"probability of {name}")
    reference = [place for place, is_class in zip(x, profile["is_class"], strict=True) if is_class]
    if 0 < len(reference) < len(x):
        axes.plot(
            reference,
            [_BELOW] * len(reference),
            color=SERIES[2],
            linestyle="none",
            marker="s",
            label=f"reference: {name}",
        )
    axes.axvline(profile["slice"], color=SERIES[1], linestyle="--", label=f"explained: slice {profile['slice']:g}")
    axes.axhline(0.5, color=INK, linewidth=1, linestyle=(0, (1, 3)), alpha=0.6)
    axes.set(ylim=(-0.1, 1.05), yticks=(0, 0.5, 1), xlabel="slice", ylabel="probability")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    figure.legend(loc="outside upper left", ncols=3, handlelength=1.6, columnspacing=1.2, fontsize=8.5)
    return figure


def _is_profile(profile: Mapping[str, Any]) -> bool:
    slices, probabilities = sequence(profile.get("slices")), sequence(profile.get("probabilities"))
    numbers = [*slices, *probabilities, profile.get("slice")]
    has_lengths = len(slices) == len(probabilities) == len(sequence(profile.get("is_class"))) >= MIN_SLICES
    return has_lengths and all(not isinstance(one, str) and finite(one) is not None for one in numbers)


def _in_words(profile: Mapping[str, Any]) -> str:
    shown, slices = profile["probabilities"], profile["slices"]
    highest = max(range(len(shown)), key=shown.__getitem__)
    return (
        f"Probability of {profile['class']} along {len(slices)} slices of the volume: highest at slice {slices[highest]:g} "
        f"({number(shown[highest], 2)}); the explained one is slice {profile['slice']:g}"
    )
