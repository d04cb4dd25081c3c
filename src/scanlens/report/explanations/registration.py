"""The section on registration: whether maps lie beside the evidence, always the same way."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.html import part
from scanlens.report.tables import cell
from scanlens.report.words import counted, number, percent, point, whole, with_interval

TITLE = "Whether the maps lie beside the evidence"


def section(run: RunFolder, content: dict[str, Any]) -> Markup:
    """The body of the section, from registration.json."""
    methods = [mapping(one) for one in mapping(content.get("methods")).values()]
    return part(
        "explanations_registration.html.j2",
        sentences=sentences(content),
        rows=[_row(one) for one in methods],
        notes=_notes(content) if methods else [],
    )


def sentences(content: dict[str, Any]) -> list[str]:
    """What was found, one sentence each."""
    if "methods" not in content:
        return [f"Offset of the maps: not assessed, {content.get('reason')}."]
    said = []
    for name, one in mapping(content["methods"]).items():
        applied = sequence(mapping(content.get("applied")).get(name))
        said += [_offset(one), *_hits(one)]
        if applied:
            said.append(f"{one['title']}: the maps of this page are moved by {_way(applied)} already.")
    return said


def _offset(one: dict[str, Any]) -> str:
    way = sequence(one.get("shift_yx"))
    if not way:
        return f"{one['title']}: its offset cannot be measured, {one['reason']}."
    found = f"{one['title']}: its peaks lie {_way([-step for step in way])} off those of the reference (median)"
    gain = mapping(one.get("gain_px"))
    held = (
        f"moving it changes the mean distance on the other patients from {number(point(one['before_px']), 1)} to "
        f"{number(point(one['after_px']), 1)} px, a gain of {with_interval(gain, 1)} px"
    )
    verdict = "it is worth moving" if one["is_accepted"] else f"it is left where it is: {one['reason']}"
    return f"{found}; {held}; {verdict}."


def _hits(one: dict[str, Any]) -> list[str]:
    hits = mapping(one.get("hits"))
    before, after, gain = (mapping(hits.get(name)) for name in ("before", "after", "gain"))
    if point(before) is None:
        return []
    low, high = finite(gain.get("low")), finite(gain.get("high"))
    told = (
        "which chance could do as well" if low is None or high is None or low <= 0 <= high else "more than chance could"
    )
    return [
        f"{one['title']}: its peak lies in the marked lesion in {percent(point(before))} of "
        f"{counted(hits.get('num_images'), 'test image')} as it is and in {percent(point(after))} when moved, a change of "
        f"{with_interval(gain, 2)}, {told}."
    ]


def _way(way: list[Any]) -> str:
    down, right = (finite(one) or 0.0 for one in way)
    return f"({down + 0.0:+.1f}, {right + 0.0:+.1f}) px"


def _row(one: dict[str, Any]) -> dict[str, Any]:
    way, hits = sequence(one.get("shift_yx")), mapping(one.get("hits"))
    return {
        "title": one["title"],
        "way": _way(way) if way else "–",
        "cell": number(sequence(one["cell_px"])[0], 1),
        "before": cell(one["before_px"], 1),
        "after": cell(one["after_px"], 1),
        "gain": cell(one["gain_px"], 2),
        "hit_before": cell(mapping(hits.get("before")), 2),
        "hit_after": cell(mapping(hits.get("after")), 2),
        "hit_gain": cell(mapping(hits.get("gain")), 2),
    }


def _notes(content: dict[str, Any]) -> list[str]:
    first = next(iter(mapping(content["methods"]).values()))
    return [
        f"Measured on {counted(content['num_images'], 'validation image')} {content['images']}, without masks: "
        f"{whole(first['num_estimated'])} of one half of the patients measure the way (down, right) to the peaks of "
        f"{content['reference']}, {whole(first['num_judged'])} of the other half judge it. A map is worth moving where the mean "
        "distance between the peaks falls by more than chance could (95 % interval above 0). Masks of test images decide "
        "nothing; they say whether the reference can be trusted.",
        "A map that is moved here is not moved in training: callbacks.register_maps=true does that.",
    ]
