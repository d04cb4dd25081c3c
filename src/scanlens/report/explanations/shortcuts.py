"""The section of the page on shortcuts: what was exchanged between images, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from scanlens.report.cases import picture
from scanlens.report.explanations.shortcut_sentences import WORDS, candidates, limits, shortcut_sentences, worst
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.html import part
from scanlens.report.tables import Cell, cell
from scanlens.report.words import counted, number, percent, point

TITLE = "Shortcuts"
_BADGES = {"convicted": "warning", "acquitted": "clear", "not decided": "notice"}
_DIRECTIONS = {"in": "given", "out": "taken"}


def section(run: RunFolder, content: dict[str, Any]) -> Markup:
    """The body of the section.

    Args:
        run: whose pictures are shown.
        content: of explanations/shortcuts.json.
    """
    found = candidates(content)
    methods = [str(mapping(one).get("title")) for one in sequence(found[0].get("maps"))] if found else []
    least = finite(content.get("least_effect")) or 0.0
    chart = forest_plot(
        [row for one in found if (row := _dot(one)) is not None],
        axis="largest change of a probability",
        chance=least,
        name="shortcuts",
    )
    return part(
        "explanations_shortcuts.html.j2",
        sentences=shortcut_sentences(content),
        limits=limits(content),
        chart_svg=Markup(chart) if chart else None,
        least=number(least, 2),
        methods=methods,
        rows=[_row(run, one, methods) for one in found],
        effects=[row for one in found for row in _effects(one)],
        counts=_counts(content),
    )


def _counts(content: Mapping[str, Any]) -> str:
    return (
        f"{counted(content.get('num_images'), 'test image')} of {number(content.get('num_patients'), 0)} {content.get('unit')} "
        f"received, {number(content.get('num_donor_patients'), 0)} gave"
    )


def _dot(one: Mapping[str, Any]) -> ForestRow | None:
    change = mapping(worst(one).get("change"))
    value = finite(change.get("value"))
    if value is None:
        return None
    is_marked = one.get("verdict") == "convicted"
    return ForestRow(str(one.get("name")), value, finite(change.get("low")), finite(change.get("high")), is_marked)


def _row(run: RunFolder, one: Mapping[str, Any], methods: list[str]) -> dict[str, Any]:
    verdict, effect = str(one.get("verdict")), worst(one)
    maps = {str(mapping(said).get("title")): mapping(said) for said in sequence(one.get("maps"))}
    return {
        "name": one.get("name"),
        "picture": picture(run.path / "explanations", one.get("picture")),
        "verdict": WORDS.get(verdict, verdict),
        "badge": _BADGES.get(verdict, "notice"),
        "effect": _which(effect),
        "cells": [
            cell(effect.get("change"), 2),
            cell(effect.get("log_odds"), 1),
            _elsewhere(effect),
            *(_evidence(maps.get(method, {})) for method in methods),
            _alone(one),
        ],
    }


def _which(effect: Mapping[str, Any]) -> str:
    return f"'{effect.get('class')}' {_DIRECTIONS.get(str(effect.get('direction')), '')}" if effect else ""


def _elsewhere(effect: Mapping[str, Any]) -> Cell:
    return cell(effect["elsewhere"], 2) if effect.get("elsewhere") else _words("–")


def _evidence(said: Mapping[str, Any]) -> Cell:
    if said.get("mass") is None:
        return _words("–")
    hint = f"peaks {percent(point(said.get('peaks')))}, chance {percent(said.get('chance'))}"
    return _words(percent(said.get("mass"))) | {"reason": hint}


def _alone(one: Mapping[str, Any]) -> Cell:
    return cell(mapping(one["readable"]).get("auroc"), 2) if one.get("readable") else _words("–")


def _words(text: str) -> Cell:
    return {"value": text, "interval": "", "reason": "", "remark": ""}


def _effects(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every effect, for those who want to see all."""
    return [
        {
            "name": one.get("name"),
            "which": _which(effect),
            "pairs": number(effect.get("num_pairs"), 0),
            "patients": number(effect.get("num_patients"), 0),
            "change": cell(effect.get("change"), 3),
            "p": number(effect.get("p_adjusted"), 3),
            "verdict": WORDS.get(str(effect.get("verdict")), ""),
        }
        for effect in (mapping(each) for each in sequence(one.get("effects")))
    ]
