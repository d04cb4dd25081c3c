"""What the calls do to 1,000 patients, drawn one by one: found, missed, false alarms, rightly left alone.

The four differ in shape first and in color second: disc, cross, hollow triangle, small dot.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from scanlens.report.folder import finite
from scanlens.report.palette import SERIES
from scanlens.report.words import interval, point, whole

COLUMNS = 40
CELL = 12  # units of the view box
LINE = 22  # of the legend
MOST = 10_000  # icons on a page
_SHAPES = {
    "missed": "m-3.8 -3.8l7.6 7.6m0 -7.6l-7.6 7.6",
    "found": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "false_alarms": "m0 -4l4 7.2h-8z",
    "reassured": "m-1.3 0a1.3 1.3 0 1 0 2.6 0a1.3 1.3 0 1 0 -2.6 0",
}
_INK = {
    "missed": f'fill="none" stroke="{SERIES[1]}" stroke-width="2.6"',
    "found": f'fill="{SERIES[0]}"',
    "false_alarms": f'fill="none" stroke="{SERIES[3]}" stroke-width="1.5"',
    "reassured": 'fill="currentColor" fill-opacity="0.6"',
}


def thousand_picture(thousand: Mapping[str, Any], *, positive: str, unit: str, name: str = "thousand") -> str | None:
    """One icon a patient, the ill first, with the counts below; None if the counts do not add up.

    Args:
        thousand: `per_thousand`.
        positive: name of the class not to miss.
        unit: "patient" or "image".
        name: of the chart, unique on the page.
    """
    counts = {key: finite(point(thousand.get(key))) for key in _SHAPES}
    total = finite(thousand.get("total"))
    if total is None or not 0 < total <= MOST or sum(count or 0 for count in counts.values()) != total:
        return None
    numbers = {key: round(count or 0) for key, count in counts.items()}
    rows = -(-round(total) // COLUMNS)
    labels = _labels(thousand, positive=positive, unit=unit)
    width, height = COLUMNS * CELL, rows * CELL + 12 + LINE * len(labels)
    said = html.escape(f"Of {whole(total)} {unit}s: " + "; ".join(labels.values()), quote=True)
    return (
        f'<svg class="chart chart-{name}" viewBox="0 0 {width} {height}" role="img" aria-label="{said}" '
        f'font-size="14" fill="currentColor">{_icons(numbers)}{_legend(labels, top=rows * CELL + 12)}</svg>'
    )


def _labels(thousand: Mapping[str, Any], *, positive: str, unit: str) -> dict[str, str]:
    meaning = {
        "missed": f"missed: '{positive}' and not called so",
        "found": f"found: '{positive}' and called so",
        "false_alarms": f"false alarms: called '{positive}' and not so",
        "reassured": "rightly left alone",
    }
    return {
        key: f"{whole(point(thousand.get(key)))}{_bounds(thousand.get(key))} {text}" for key, text in meaning.items()
    }


def _bounds(count: object) -> str:
    return f" ({interval(count, 0)})" if interval(count, 0) else ""


def _icons(numbers: Mapping[str, int]) -> str:
    drawn, place = [], 0
    for key, num in numbers.items():
        spots = range(place, place + num)
        place += num
        path = "".join(f"M{_center(spot % COLUMNS)} {_center(spot // COLUMNS)}{_SHAPES[key]}" for spot in spots)
        drawn.append(f'<path class="{key}" d="{path}" {_INK[key]}/>' if num else "")
    return "".join(drawn)


def _center(cell: int) -> int:
    return cell * CELL + CELL // 2


def _legend(labels: Mapping[str, str], *, top: int) -> str:
    return "".join(
        f'<path d="M8 {top + LINE * i + 10}{_SHAPES[key]}" {_INK[key]}/><text x="22" y="{top + LINE * i + 15}">{html.escape(text)}</text>'
        for i, (key, text) in enumerate(labels.items())
    )
