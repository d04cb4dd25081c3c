"""map_spread.html: whether another training run would have pointed elsewhere; self-contained, from map_spread.json alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanlens.files import write_text
from scanlens.report.cases import picture
from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.html import rendered
from scanlens.report.tables import cell
from scanlens.report.words import counted, number, percent, point, whole, with_interval

SCHEMA_VERSION = 1
MOST_SHOWN = 4
Content = dict[str, Any]


def write_map_spread(content: Content, folder: Path) -> Path:
    """Write the page into the folder of map_spread.json, and return it."""
    page = folder / "map_spread.html"
    write_text(page, render(content, folder / "maps"))
    return page


def render(content: Content, pictures: Path) -> str:
    """The page as text; pictures are looked for in a folder by the names that map_spread.json gives."""
    runs = [mapping(one) for one in sequence(content["runs"])]
    told = sentences(content)
    return rendered(
        "map_spread.html.j2",
        title=f"Maps of {len(runs)} training runs",
        lead=told[0],
        sentences=told[1:],
        warnings=[str(one) for one in sequence(content["warnings"])],
        runs=[_run_row(one, blank) for one, blank in zip(runs, content["maps"]["num_blank"], strict=True)],
        pairs=[_pair_row(*both) for both in zip(content["maps"]["pairs"], content["answers"]["pairs"], strict=True)],
        chart=_chart(content),
        shown=[_shown(mapping(one), runs, pictures) for one in sequence(content["shown"])],
        notes=_notes(content),
    )


def sentences(content: Content) -> list[str]:
    """What was found, one sentence each; the first is the one to remember."""
    maps, answers = mapping(content["maps"]), mapping(content["answers"])
    overall, by_chance = mapping(maps["overall"]), mapping(maps["by_chance"])
    said = [
        f"Another training run would have pointed elsewhere, by more than one cell, in {_share(overall['further'])} of cases"
        f"{_between(maps, 'further')}; the map of another image does so in {percent(by_chance['further'])}.",
        f"The peak of {content['method_title']} would have moved by {with_interval(overall['distance_px'], 1)} px on average"
        f"{_millimeters(content, point(overall['distance_px']))}, and in {_share(overall['outside'])} of cases it lies outside of the "
        f"other run's highest 5\u00a0% (another image: {percent(by_chance['outside'])}).",
        f"Rank correlation of the maps: {with_interval(overall['rank'], 2)}; with the map of another image "
        f"{number(by_chance['rank'], 2)}.",
        f"What the runs say: probabilities of the explained class are "
        f"{with_interval(mapping(answers['overall'])['difference'], 2)} apart, and {_share(mapping(answers['overall'])['changed'])} of "
        "the answers change.",
    ]
    hits = [point(one["hits"]) for one in sequence(content["runs"]) if one.get("hits")]
    known = [one for one in hits if one is not None]
    if known:
        said.append(
            f"The peak lies in the marked lesion in {percent(min(known))} to {percent(max(known))} of "
            f"{counted(sequence(content['runs'])[0]['hits']['num_images'], 'image')}, depending on the run."
        )
    return said


def _share(metric: Any) -> str:
    value = point(metric)
    low, high = finite(mapping(metric).get("low")), finite(mapping(metric).get("high"))
    bounds = "" if low is None or high is None else f" ({percent(low)} to {percent(high)})"
    return percent(value) + bounds


def _between(maps: dict[str, Any], name: str) -> str:
    ends = mapping(mapping(maps["range"])[name])
    if len(sequence(maps["pairs"])) < 2 or finite(ends["smallest"]) is None:
        return ""
    return f", between {percent(ends['smallest'])} and {percent(ends['largest'])} depending on the pair"


def _millimeters(content: Content, distance_px: float | None) -> str:
    mm = finite(mapping(content.get("pixel_mm")).get("median"))
    return "" if mm is None or distance_px is None else f", about {number(mm * distance_px, 1)} mm"


def _run_row(run: dict[str, Any], num_blank: object) -> dict[str, Any]:
    hits = mapping(run.get("hits"))
    return {
        "name": str(run["name"]),
        "model": str(run["model"]),
        "seed": str(run["seed"]),
        "hits": cell(hits, 2) if hits else cell({"value": None, "reason": "no image with a mask"}, 2),
        "blank": whole(num_blank),
    }


def _pair_row(maps: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"{maps['first']} and {maps['second']}",
        "cells": [
            cell(maps["further"], 2),
            cell(maps["outside"], 2),
            cell(maps["distance_px"], 1),
            cell(maps["rank"], 2),
            cell(answers["difference"], 2),
            cell(answers["changed"], 2),
            cell({"value": answers["rank"]}, 2),
        ],
    }


def _chart(content: Content) -> Markup | None:
    rows = []
    for one in sequence(content["maps"]["pairs"]):
        further = mapping(one["further"])
        if point(further) is not None:
            label = f"{one['first']} and {one['second']}"
            rows.append(ForestRow(label, float(point(further) or 0.0), finite(further["low"]), finite(further["high"])))
    overall = mapping(content["maps"]["overall"]["further"])
    if point(overall) is not None and len(rows) > 1:
        bounds = finite(overall["low"]), finite(overall["high"])
        rows.append(ForestRow("all pairs", float(point(overall) or 0.0), *bounds, is_marked=True))
    svg = forest_plot(
        rows,
        axis="share of cases that point elsewhere (more than one cell)",
        chance=finite(content["maps"]["by_chance"]["further"]),
        name="elsewhere",
        limits=(0, 1.02),
    )
    return Markup(svg) if svg else None


def _shown(one: dict[str, Any], runs: list[dict[str, Any]], pictures: Path) -> dict[str, Any]:
    files = sequence(one.get("pictures"))
    return {
        "case": str(one["case"]),
        "pictures": [
            {"name": str(run["name"]), "data": picture(pictures, name)} for run, name in zip(runs, files, strict=True)
        ],
    }


def _notes(content: Content) -> list[str]:
    maps = mapping(content["maps"])
    patients = finite(maps["num_patients"])
    of = f" of {counted(patients, 'patient')}" if patients else ""
    cell_px = " × ".join(number(one, 1) for one in sequence(content["cell_px"]))
    mm = mapping(content.get("pixel_mm"))
    size = f"; a pixel is {number(mm['median'], 2)} mm, the pixels of the files taken as square" if mm else ""
    return [
        f"{counted(maps['num_images'], 'image')}{of}, drawn from {content['images']}. All runs explain the same class of an image: "
        "the one that they find most probable together.",
        f"A cell is {cell_px} px of an image of {' × '.join(whole(one) for one in sequence(content['image_px']))} px{size}. "
        "A map that points nowhere counts as elsewhere than one that does; pairs in which neither does are left out.",
        f"Brackets: {percent(mapping(maps['interval'])['level'])} interval. {str(mapping(maps['interval'])['method'])[:1].upper()}"
        f"{str(mapping(maps['interval'])['method'])[1:]}.",
    ]
