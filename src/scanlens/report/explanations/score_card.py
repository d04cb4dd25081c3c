"""The score card on the page: methods above, controls below, under four headings, each with its verdict and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from scanlens.report.explanations.score_card_charts import deletion_chart, randomization_chart
from scanlens.report.explanations.score_card_words import card_note, card_sentences
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.html import part
from scanlens.report.tables import cell
from scanlens.report.words import NOT_ASSESSED, counted, number, percent, point, whole

TITLE = "Score card of the explanations"
HEADINGS = ("consistency", "plausibility", "fidelity", "usefulness")
WORDS = {"PASS": ("PASS", "status-clear"), "FAIL": ("FAIL", "status-warning")}
Path = tuple[str, ...]
Column = tuple[str, Path, int]


def section(run: RunFolder, content: Mapping[str, Any]) -> Markup:
    """The card, its curves, and the rules of its verdicts."""
    methods = [mapping(one) for one in sequence(content.get("methods"))]
    charts = (randomization_chart(content), deletion_chart(content))
    return part(
        "explanations_score_card.html.j2",
        sentences=card_sentences(content),
        groups=_groups(content),
        methods=[_row(one, content) for one in methods if not one.get("is_control")],
        controls=[_row(one, content) for one in methods if one.get("is_control")],
        charts=[Markup(chart) if chart else None for chart in charts],
        reasons=[_reasons(one) for one in methods],
        details=_details(content, methods),
        sizes=_sizes(methods),
        rules=[(heading, str(mapping(content.get("rules")).get(heading))) for heading in HEADINGS],
        left_out=[mapping(one) for one in sequence(content.get("left_out"))],
        note=card_note(content),
    )


def _columns(content: Mapping[str, Any], *, of_all: bool) -> dict[str, list[Column]]:
    """Of each heading: title of the column, where its number lies, decimals; the telling ones, or the others."""
    near = f"{number(mapping(content.get('tolerance')).get('px'), 0)}\u00a0px"
    if not of_all:
        return {
            "consistency": [("Same map after small changes", ("rank_correlation",), 2)],
            "plausibility": [
                (f"Peak within {near} of the lesion", ("hit_near",), 2),
                ("Evidence in it, times chance", ("mass_lift",), 1),
            ],
            "fidelity": [
                ("Same map with random weights", ("randomization", "likeness"), 2),
                ("Log-odds lost without it, more than elsewhere", ("removal", "advantage"), 2),
            ],
            "usefulness": [
                ("Verdict for a right answer, AUROC", ("correctness",), 2),
                ("Verdict for a peak on the lesion, AUROC", ("lesion",), 2),
            ],
        }
    return {
        "plausibility": [
            ("Peak in the lesion", ("hit",), 2),
            ("Peak within one cell", ("hit_cell",), 2),
            (f"Peak within {number(mapping(content.get('tolerance')).get('mm'), 0)}\u00a0mm", ("hit_mm",), 2),
            ("Distance (px)", ("distance_px",), 1),
            ("Distance (mm)", ("distance_mm",), 1),
            ("Overlap, as large as the lesion", ("iou_at_area",), 2),
            ("Overlap, threshold of validation", ("iou_at_threshold",), 2),
        ],
        "fidelity": [
            ("Structure with random weights", ("randomization", "structure"), 2),
            ("Same map with random labels", ("labels", "likeness"), 2),
            ("Log-odds lost, ROAD", ("road", "advantage"), 2),
            ("Log-odds held by it alone", ("removal", "held"), 2),
            ("Missing from the sum", ("completeness", "gap"), 3),
        ],
    }


def _groups(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"title": heading.capitalize(), "heads": [title for title, _, _ in columns]}
        for heading, columns in _columns(content, of_all=False).items()
    ]


def _row(method: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    blank = finite(method.get("num_blank")) or 0
    return {
        "title": str(method.get("title")),
        "hint": f"{whole(blank)} of {whole(method.get('num_maps'))} maps blank" if blank else "",
        "groups": [
            {"badge": _badge(mapping(method.get(heading))), "cells": [_cell(method, heading, *one) for one in columns]}
            for heading, columns in _columns(content, of_all=False).items()
        ],
    }


def _details(content: Mapping[str, Any], methods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables of the other numbers, one a heading; columns that no method has a value for are left out."""
    tables = []
    for heading, columns in _columns(content, of_all=True).items():
        cells = [[_cell(method, heading, *column) for method in methods] for column in columns]
        known = [
            place
            for place, column in enumerate(cells)
            if any(one["interval"] or one["reason"][:2] == "n " for one in column)
        ]
        if not known:
            continue
        rows = [
            {
                "title": str(method.get("title")),
                "is_control": bool(method.get("is_control")),
                "cells": [cells[k][m] for k in known],
            }
            for m, method in enumerate(methods)
        ]
        tables.append({"title": heading.capitalize(), "heads": [columns[k][0] for k in known], "rows": rows})
    return tables


def _badge(part_of_card: Mapping[str, Any]) -> dict[str, str]:
    word, style = WORDS.get(str(part_of_card.get("status")), (NOT_ASSESSED, ""))
    return {"word": word, "style": style}


def _cell(method: Mapping[str, Any], heading: str, title: str, path: Path, digits: int) -> dict[str, str]:
    """A number with its interval and its n; a dash where the method makes no such promise."""
    found: Any = mapping(method.get(heading))
    for key in path:
        found = mapping(mapping(found).get(key))
    if not found:
        return {"value": "–", "interval": "", "reason": "", "remark": ""}
    shown = cell(found, digits)
    if point(found) is None:
        return shown
    beside = _beside(mapping(method.get(heading)), path)
    return shown | {"remark": "", "reason": f"n {whole(found.get('num_images'))}{beside}"}


def _beside(part_of_card: Mapping[str, Any], path: Path) -> str:
    """What a number has to be compared with."""
    if path == ("randomization", "likeness"):
        return f", other images {number(point(mapping(part_of_card.get('randomization')).get('floor')), 2)}"
    chance = part_of_card.get({"hit": "chance", "hit_near": "chance_near"}.get(path[-1], ""))
    return "" if finite(chance) is None else f", chance {number(chance, 2)}"


def _reasons(method: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        {"heading": heading, "badge": _badge(found), "reason": str(found.get("reason"))}
        for heading in HEADINGS
        if (found := mapping(method.get(heading)))
    ]
    return {"title": str(method.get("title")), "rows": rows}


def _sizes(methods: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Hits by size of the lesion; None where there were too few images to divide."""
    rows = []
    heads: list[str] = []
    for method in methods:
        thirds = [mapping(one) for one in sequence(mapping(method.get("plausibility")).get("by_size"))]
        if not thirds:
            continue
        if not heads:
            heads = [
                f"{whole(one.get('from_px'))} to {whole(one.get('to_px'))}\u00a0px (chance {percent(one.get('chance'))})"
                for one in thirds
            ]
        cells = [cell(one.get("hit_near"), 2) | {"remark": "", "reason": _n(one.get("hit_near"))} for one in thirds]
        if len(cells) == len(heads):
            rows.append(
                {"title": str(method.get("title")), "is_control": bool(method.get("is_control")), "cells": cells}
            )
    return {"heads": heads, "rows": rows} if rows else None


def _n(value: object) -> str:
    return counted(mapping(value).get("num_images"), "image")
