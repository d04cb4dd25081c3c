"""Sentences of a sheet on a map: what was measured on it, and how fine it can be."""

from __future__ import annotations

from typing import Any

from scanlens.report.case_sheet.phrases import because
from scanlens.report.folder import finite, mapping
from scanlens.report.words import NOT_ASSESSED, interval, number, percent, significant, whole


def map_sentences(entry: dict[str, Any]) -> list[str]:
    """What was measured on a map that is shown."""
    if entry["is_blank"]:
        return ["The map is the same everywhere and tells nothing."]
    found = mapping(entry.get("measured"))
    if not found:
        return [f"Measures of the map: {NOT_ASSESSED}."]
    if found["level_for"] is None:
        return [f"Nothing on the map speaks for '{entry['explained']}'."]
    said = []
    if found["share_for"] is not None:
        said.append(
            f"{percent(found['share_for'])} of the evidence on the map speaks for '{entry['explained']}', the rest against it."
        )
    quadrant = mapping(found["quadrant"])
    if quadrant:
        said.append(
            f"{percent(quadrant['share'])} of the evidence for it lies in the {quadrant['name']} quarter of the picture (25\u00a0% if spread evenly)."
        )
    area = f"{whole(found['outlined_px'])} pixels" + (
        "" if found["outlined_mm2"] is None else f", {significant(found['outlined_mm2'] / 100, 2)} cm²"
    )
    row, column = found["peak_yx"]
    said.append(
        f"Outlined: the strongest {percent(found['share'])} of the map ({area}), with {percent(found['evidence_in_outline'])} of the evidence "
        f"for it. Largest value at row {row}, column {column} of the network's input, counted from the upper left."
    )
    if entry["pointing_hit"] is not None:
        where = {0.0: "outside", 1.0: "inside"}.get(entry["pointing_hit"], "partly inside")
        said.append(f"The largest value lies {where} the marked lesion.")
    return said


def outline_sentences(entry: dict[str, Any]) -> list[str]:
    """What the lines on a map that is shown mean, with the threshold of each."""
    found, unit = mapping(entry.get("measured")), f" {entry['unit']}" if entry.get("unit") else ""
    said = ["Outlines are not borders of a lesion."]
    level, against = finite(found.get("level_for")), finite(found.get("level_against"))
    share = f"the strongest {percent(found['share'])} of the map" if found else ""
    if level is not None:
        said.append(
            f"Yellow: {share} for '{entry['explained']}', {significant(level)}{unit} and more. Cross: largest value."
        )
    if against is not None:
        said.append(f"Dashed blue: {share} against it, {significant(against)}{unit} and less.")
    if mapping(entry.get("resolution")).get("cell_px"):
        said.append("Square: one cell of the map.")
    return said


def resolution_sentences(entry: dict[str, Any]) -> list[str]:
    """How fine the map can be, and from which size on it was seen to point at lesions."""
    found = mapping(entry.get("resolution"))
    cell, mm = found.get("cell_px"), found.get("cell_mm")
    if not cell:
        return [f"Resolution of the map: {NOT_ASSESSED}."]
    size = f"{significant(cell[0], 2)} × {significant(cell[1], 2)} pixels"
    size += f" ({significant(mm[0], 2)} × {significant(mm[1], 2)} mm)" if mm else ""
    said = [f"One cell of the map is {size}: nothing smaller can be outlined by it."]
    for name, words in (
        ("limit_of_detection_px", "called by the network"),
        ("limit_of_localization_px", "pointed at by the map in half of the cases"),
    ):
        limit = mapping(found.get(name))
        if finite(limit.get("value")) is not None:
            bounds = f" ({interval(limit, 1)})" if interval(limit, 1) else ""
            share = " in 90 % of the cases" if name == "limit_of_detection_px" else ""
            said.append(
                f"Inserted lesions were {words}{share} from a diameter of {number(limit['value'], 1)} pixels{bounds} on."
            )
        else:
            said.append(f"From which size on lesions are {words}: {NOT_ASSESSED}{because(found.get('reason'))}.")
    return said
