"""Pictures of a case in layers: the picture alone, the map above it, and lines drawn above both.

The layers are put together by the page. The outlines are what is shown; a reader can fade the filled map in. The lines are drawn
as curves, not pixels: what is outlined, one cell of the map, a scale bar, letters of the sides.

Legend: H rows, W columns of the network's input.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from scanlens.report.case_sheet.arrays import MapArrays, outlines
from scanlens.report.case_sheet.grounds import Ground
from scanlens.report.cases import data_uri
from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.pictures import heat_layer
from scanlens.report.words import significant

_NICE = (1, 2, 5)
_BAR_SHARE = 0.3  # of the width, at most


def layers(arrays: MapArrays, ground: Ground, entry: dict[str, Any], *, name: str) -> dict[str, Any]:
    """Picture, map and lines of one map.

    Args:
        arrays: of the map.
        ground: what it is drawn on.
        entry: of the record, under `maps` or `runner_up_map`, with `measured` and `scale`.
        name: unique on the page.
    """
    scale = finite(entry.get("scale")) or float(np.abs(arrays.known_HW).max(initial=0.0)) or 1.0
    heat = heat_layer(arrays.map_HW, arrays.covered_HW, scale=scale)
    return {
        "scan": ground.below,
        "heat": data_uri(Image.fromarray(np.ascontiguousarray(ground.cut(heat)))),
        "lines": Markup(_lines(arrays, ground, mapping(entry.get("measured")), entry, name)),
    }


def alone(ground: Ground, *, name: str) -> dict[str, Any]:
    """The picture without a map, with scale bar and sides."""
    bar = _scale_bar(ground) + _sides(ground)
    box = f"0 0 {ground.width:g} {ground.height:g}"
    return {
        "scan": ground.whole,
        "bar": Markup(f'<svg class="lines bar-{name}" viewBox="{box}" aria-hidden="true">{bar}</svg>'),
    }


def _lines(arrays: MapArrays, ground: Ground, measured: dict[str, Any], entry: dict[str, Any], name: str) -> str:
    against = finite(measured.get("level_against"))
    drawn = [
        _region(arrays.known_HW, finite(measured.get("level_for")), "for", ground),
        _region(-arrays.known_HW, None if against is None else -against, "against", ground),
        _peak(sequence(measured.get("peak_yx")), ground),
        _cell(sequence(mapping(entry.get("resolution")).get("cell_px")), ground),
        _scale_bar(ground),
        _sides(ground),
    ]
    label = html.escape(f"Outlines of the strongest evidence{_for_whom(entry)}, one cell of the map, scale", quote=True)
    box = f"0 0 {ground.width:g} {ground.height:g}"
    return f'<svg class="lines lines-{name}" viewBox="{box}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'


def _for_whom(entry: dict[str, Any]) -> str:
    return f" for {entry['explained']}" if entry.get("explained") else ""


def _region(map_HW: np.ndarray, level: float | None, kind: str, ground: Ground) -> str:
    """Dark under light, so that the line is seen on any ground; evidence against is dashed."""
    if level is None:
        return ""
    lines = [[ground.xy(x, y) for x, y in line] for line in outlines(map_HW, level)]
    path = " ".join("M" + " L".join(f"{x:.5g} {y:.5g}" for x, y in line) for line in lines)
    if not path:
        return ""
    unit = ground.width / 320
    dashes = f' stroke-dasharray="{5 * unit:.3g} {4 * unit:.3g}"' if kind == "against" else ""
    ink = "#ffe633" if kind == "for" else "#8fd0ff"
    common = f'fill="none" stroke-linejoin="round" d="{path}"'
    return (
        f'<path class="under" {common} stroke="#000" stroke-width="{4 * unit:.3g}"/>'
        f'<path class="{kind}" {common} stroke="{ink}" stroke-width="{2 * unit:.3g}"{dashes}/>'
    )


def _peak(place: Sequence[Any], ground: Ground) -> str:
    """A small cross where the map is largest."""
    if len(place) != 2:
        return ""
    row, column = (float(one) + 0.5 for one in place)
    unit, (x, y) = ground.width / 320, ground.xy(column, row)
    arm = 6 * unit
    path = f"M{x - arm:.4g} {y:.4g}h{2 * arm:.4g}M{x:.4g} {y - arm:.4g}v{2 * arm:.4g}"
    return (
        f'<path d="{path}" stroke="#000" stroke-width="{4 * unit:.3g}"/>'
        f'<path class="peak" d="{path}" stroke="#fff" stroke-width="{1.6 * unit:.3g}"/>'
    )


def _cell(cell: Sequence[Any], ground: Ground) -> str:
    """One cell of the map as a square at the lower right: nothing finer can be read from the map."""
    sides = [one for one in map(finite, cell) if one is not None]
    if len(sides) != 2:
        return ""
    rows, columns = ground.size(sides[0], sides[1])
    if max(rows, columns) >= min(ground.height, ground.width):
        return ""
    unit, margin = ground.width / 320, ground.width / 40
    x, y = ground.width - margin - columns, ground.height - margin - rows
    box = f'x="{x:.4g}" y="{y:.4g}" width="{columns:.4g}" height="{rows:.4g}"'
    return (
        f'<rect {box} fill="none" stroke="#000" stroke-width="{4 * unit:.3g}"/>'
        f'<rect class="cell" {box} fill="none" stroke="#fff" stroke-width="{1.6 * unit:.3g}"/>'
    )


def _scale_bar(ground: Ground) -> str:
    """A line of a round number of millimeters at the lower left; of pixels where millimeters are not known."""
    per_unit, unit_name = (ground.px_per_unit, "px") if ground.mm_per_unit is None else (ground.mm_per_unit, "mm")
    length = nice_length(_BAR_SHARE * ground.width * per_unit)
    unit, margin = ground.width / 320, ground.width / 40
    x, y, long = margin, ground.height - margin, length / per_unit
    line = f"M{x:.4g} {y:.4g}h{long:.4g}M{x:.4g} {y - 4 * unit:.4g}v{8 * unit:.4g}M{x + long:.4g} {y - 4 * unit:.4g}v{8 * unit:.4g}"
    return (
        f'<path d="{line}" stroke="#000" stroke-width="{4 * unit:.3g}"/>'
        f'<path class="scale" d="{line}" stroke="#fff" stroke-width="{1.6 * unit:.3g}"/>'
        + _label(f"{significant(length)} {unit_name}", x + long / 2, y - 8 * unit, ground, anchor="middle")
    )


def _sides(ground: Ground) -> str:
    """Letters of the sides of the patient at the edges; that they are unknown, where the file does not tell them."""
    width, height, unit, sides = ground.width, ground.height, ground.width / 320, ground.sides
    if sides is None:
        return _label("L/R unknown", width / 40, width / 20, ground, anchor="start")
    middle = height / 2 + 4 * unit
    return (
        _label(sides["left"], 4 * unit, middle, ground, anchor="start")
        + _label(sides["right"], width - 4 * unit, middle, ground, anchor="end")
        + _label(sides["top"], width / 2, 13 * unit, ground, anchor="middle")
        + _label(sides["bottom"], width / 2, height - 5 * unit, ground, anchor="middle")
    )


def _label(words: str, x: float, y: float, ground: Ground, *, anchor: str) -> str:
    """White letters with a dark rim, seen on any ground."""
    unit, said, place = ground.width / 320, html.escape(words), f'x="{x:.4g}" y="{y:.4g}"'
    return (
        f'<g text-anchor="{anchor}" font-size="{12 * unit:.3g}"><text {place} fill="none" stroke="#000" stroke-width="{3 * unit:.3g}">{said}'
        f'</text><text {place} fill="#fff">{said}</text></g>'
    )


def nice_length(most: float) -> float:
    """The largest of 1, 2, 5, 10, 20, ... (and 0.5, 0.2 ...) that is no longer than `most`.

    >>> nice_length(19.0), nice_length(20.0), nice_length(0.3)
    (10.0, 20.0, 0.2)
    """
    power = 10.0 ** math.floor(math.log10(most))
    return max(one * power for one in _NICE if one * power <= most * (1 + 1e-9))
