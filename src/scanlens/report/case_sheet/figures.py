"""Pictures of a case in layers: the scan alone, the map above it, and lines drawn above both.

The layers are put together by the page, so that a reader can fade the map; on paper and without scripts it is shown at full
strength. The lines are drawn as curves, not pixels: what is outlined, one cell of the map, a scale bar.

Legend: H rows, W columns of the network's input.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from scanlens.report.case_sheet.arrays import MapArrays, outlines, read_map
from scanlens.report.cases import data_uri
from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.pictures import heat_layer, scan_pixels
from scanlens.report.words import significant

_NICE = (1, 2, 5)
_BAR_SHARE = 0.3  # of the width, at most


def layers(
    folder: Path, entry: dict[str, Any], image: dict[str, Any], *, name: str, scan: str | None = None
) -> dict[str, Any] | None:
    """Scan, map and lines of one map; None where its arrays are not there.

    Args:
        folder: explanations of the run.
        entry: of the record, under `maps` or `runner_up_map`, with `npz`, `measured` and `scale`.
        image: of the record.
        name: unique on the page.
        scan: of another map of the same case, so that it need not be made again.
    """
    arrays = read_map(folder, entry.get("npz"))
    if arrays is None:
        return None
    scale = finite(entry.get("scale")) or float(np.abs(arrays.known_HW).max(initial=0.0)) or 1.0
    return {
        "scan": scan or data_uri(Image.fromarray(scan_pixels(arrays.scan))),
        "heat": data_uri(Image.fromarray(heat_layer(arrays.map_HW, arrays.covered_HW, scale=scale))),
        "lines": Markup(_lines(arrays, mapping(entry.get("measured")), entry, image, name)),
        "bar": Markup(_scale_only(arrays, image, name)),
    }


def _lines(arrays: MapArrays, measured: dict[str, Any], entry: dict[str, Any], image: dict[str, Any], name: str) -> str:
    height, width = arrays.map_HW.shape
    drawn = [_region(arrays.known_HW, finite(measured.get("level_for")), "for", width)]
    against = finite(measured.get("level_against"))
    drawn.append(_region(-arrays.known_HW, None if against is None else -against, "against", width))
    drawn.append(_peak(sequence(measured.get("peak_yx")), width))
    drawn.append(_cell(sequence(mapping(entry.get("resolution")).get("cell_px")), height, width))
    drawn.append(_scale_bar(image, height, width))
    drawn.append(_sides(width))
    label = html.escape(f"Outlines of the strongest evidence{_for_whom(entry)}, one cell of the map, scale", quote=True)
    return f'<svg class="lines lines-{name}" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'


def _for_whom(entry: dict[str, Any]) -> str:
    return f" for {entry['explained']}" if entry.get("explained") else ""


def _scale_only(arrays: MapArrays, image: dict[str, Any], name: str) -> str:
    height, width = arrays.map_HW.shape
    bar = _scale_bar(image, height, width) + _sides(width)
    return f'<svg class="lines bar-{name}" viewBox="0 0 {width} {height}" aria-hidden="true">{bar}</svg>'


def _region(map_HW: np.ndarray, level: float | None, kind: str, width: int) -> str:
    """Dark under light, so that the line is seen on any ground; evidence against is dashed."""
    if level is None:
        return ""
    path = " ".join("M" + " L".join(f"{x:g} {y:g}" for x, y in line) for line in outlines(map_HW, level))
    if not path:
        return ""
    unit = width / 320
    dashes = f' stroke-dasharray="{5 * unit:.3g} {4 * unit:.3g}"' if kind == "against" else ""
    ink = "#ffe633" if kind == "for" else "#8fd0ff"
    common = f'fill="none" stroke-linejoin="round" d="{path}"'
    return (
        f'<path class="under" {common} stroke="#000" stroke-width="{4 * unit:.3g}"/>'
        f'<path class="{kind}" {common} stroke="{ink}" stroke-width="{2 * unit:.3g}"{dashes}/>'
    )


def _peak(place: Sequence[Any], width: int) -> str:
    """A small cross where the map is largest."""
    if len(place) != 2:
        return ""
    unit, (y, x) = width / 320, (float(one) + 0.5 for one in place)
    arm = 6 * unit
    path = f"M{x - arm:.4g} {y:.4g}h{2 * arm:.4g}M{x:.4g} {y - arm:.4g}v{2 * arm:.4g}"
    return (
        f'<path d="{path}" stroke="#000" stroke-width="{4 * unit:.3g}"/>'
        f'<path class="peak" d="{path}" stroke="#fff" stroke-width="{1.6 * unit:.3g}"/>'
    )


def _cell(cell: Sequence[Any], height: int, width: int) -> str:
    """One cell of the map as a square at the lower right: nothing finer can be read from the map."""
    sides = [one for one in map(finite, cell) if one is not None]
    if len(sides) != 2 or max(sides) >= min(height, width):
        return ""
    rows, columns = sides
    unit, margin = width / 320, width / 40
    x, y = width - margin - columns, height - margin - rows
    box = f'x="{x:.4g}" y="{y:.4g}" width="{columns:.4g}" height="{rows:.4g}"'
    return (
        f'<rect {box} fill="none" stroke="#000" stroke-width="{4 * unit:.3g}"/>'
        f'<rect class="cell" {box} fill="none" stroke="#fff" stroke-width="{1.6 * unit:.3g}"/>'
    )


def _scale_bar(image: dict[str, Any], height: int, width: int) -> str:
    """A line of a round number of millimeters at the lower left; of pixels where millimeters are not known."""
    mm = image.get("mm_per_px")
    per_px, unit_name = (float(mm[1]), "mm") if isinstance(mm, list) else (1.0, "px")
    length = nice_length(_BAR_SHARE * width * per_px)
    unit, margin = width / 320, width / 40
    x, y, long = margin, height - margin, length / per_px
    line = f"M{x:.4g} {y:.4g}h{long:.4g}M{x:.4g} {y - 4 * unit:.4g}v{8 * unit:.4g}M{x + long:.4g} {y - 4 * unit:.4g}v{8 * unit:.4g}"
    return (
        f'<path d="{line}" stroke="#000" stroke-width="{4 * unit:.3g}"/>'
        f'<path class="scale" d="{line}" stroke="#fff" stroke-width="{1.6 * unit:.3g}"/>'
        + _label(f"{significant(length)} {unit_name}", x + long / 2, y - 8 * unit, width, anchor="middle")
    )


def _sides(width: int) -> str:
    """Which side of the patient is which is not known to the program: said in the picture."""
    return _label("L/R unknown", width / 40, width / 20, width, anchor="start")


def _label(words: str, x: float, y: float, width: int, *, anchor: str) -> str:
    """White letters with a dark rim, seen on any ground."""
    unit, said, place = width / 320, html.escape(words), f'x="{x:.4g}" y="{y:.4g}"'
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
