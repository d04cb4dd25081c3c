"""The audit of shortcuts in plain words: each sentence built from numbers by a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.words import counted, joined, number, percent, point, with_interval

WORDS = {"convicted": "CONVICTED", "acquitted": "ACQUITTED", "not decided": "NOT DECIDED"}
FEWEST = 5  # patients on either side
_READABLE = 0.6  # AUROC, lower end: more than a hint


def candidates(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Regions, then looks."""
    return [mapping(one) for key in ("regions", "looks") for one in sequence(content.get(key))]


def worst(one: Mapping[str, Any]) -> dict[str, Any]:
    """The effect that the verdict is told of; empty if there is none."""
    effects, place = sequence(one.get("effects")), finite(one.get("worst"))
    return mapping(effects[int(place)]) if place is not None and int(place) < len(effects) else {}


def shortcut_sentences(content: Mapping[str, Any]) -> list[str]:
    """What can be said of explanations/shortcuts.json: the convicted one by one, maps that say otherwise, the rest together.

    Args:
        content: of the file.
    """
    found = candidates(content)
    by_verdict = {verdict: [one for one in found if one.get("verdict") == verdict] for verdict in WORDS}
    said = [_convicted(one) for one in by_verdict["convicted"]]
    if not said:
        said.append(
            "Nothing was convicted: no region or look that was exchanged between images is shown to sway the network."
        )
    said += _maps_against(found)
    if able := [words for one in found if (words := _readable(one))]:
        said.append(
            "Could be used, whether or not the network does: classes can be told apart from this alone (AUROC): "
            f"{joined(able, most=len(able))}."
        )
    if by_verdict["acquitted"]:
        names = [str(one.get("name")) for one in by_verdict["acquitted"]]
        said.append(f"Acquitted: {joined(names, most=len(names))}.")
    return said + _open(by_verdict["not decided"], content)


def effect_words(effect: Mapping[str, Any]) -> str:
    """What one effect says, such as "images of other classes that are given the one of 'glioma' rise by 0.93 (...)"."""
    name, change = effect.get("class"), with_interval(effect.get("change"))
    if effect.get("direction") == "in":
        return f"given to images of other classes, that of '{name}' moves their probability of '{name}' by {change}"
    return f"taken from images of '{name}' and replaced by that of other classes, their probability of '{name}' sinks by {change}"


def limits(content: Mapping[str, Any]) -> list[str]:
    """What the audit cannot see."""
    rare = percent(content.get("rarest_seen"))
    unit = str(content.get("unit") or "patients")
    said = [
        f"Only what test images show was exchanged. What fewer than {rare} of the {unit} bear may not have been among the "
        f"{number(content.get('num_donor_patients'), 0)} that gave.",
        "A network can go by two things of which either is enough; taking one away then changes nothing.",
    ]
    if sequence(content.get("looks")):
        said.append(
            "A look of the whole image may be the disease itself: bright lesions change brightness and histogram."
        )
    return [*said, str(content["note"])] if content.get("note") else said


def shortcut_lines(content: Mapping[str, Any]) -> list[str]:
    """A table and sentences for the terminal."""
    least = number(content.get("least_effect"), 2)
    counts = f"{counted(content.get('num_images'), 'test image')}, {number(content.get('num_patients'), 0)} {content.get('unit')}"
    table = [f"{'exchanged':<24}{'verdict':<14}{'change of probability':<26}{'map mass (chance)':<20}{'peaks':<8}alone"]
    for one in candidates(content):
        maps = mapping(next(iter(sequence(one.get("maps"))), None))
        mass = f"{percent(maps.get('mass'))} ({percent(maps.get('chance'))})" if maps.get("mass") is not None else "-"
        peaks = percent(point(maps.get("peaks"))) if maps.get("mass") is not None else "-"
        alone = point(mapping(one.get("readable")).get("auroc"))
        change = with_interval(worst(one).get("change"))
        verdict = WORDS.get(str(one.get("verdict")), "")
        table.append(
            f"{str(one.get('name'))[:23]:<24}{verdict:<14}{change:<26}{mass:<20}{peaks:<8}{'-' if alone is None else number(alone, 2)}"
        )
    head = (
        f"{counts}; a change of {least} is worth a verdict; alone: AUROC of a simple classifier that sees nothing else"
    )
    return [head, *table, "", *shortcut_sentences(content), *limits(content)]


def _convicted(one: Mapping[str, Any]) -> str:
    effect = worst(one)
    elsewhere = effect.get("elsewhere")
    beside = f" (elsewhere, a region of this size: {number(point(elsewhere), 2)})" if elsewhere else ""
    return f"CONVICTED: {one.get('name')}. The network goes by it: {effect_words(effect)}{beside}."


def _maps_against(found: list[dict[str, Any]]) -> list[str]:
    """Where heat maps and verdicts disagree, method by method."""
    accused: dict[str, list[str]] = {}
    missed: dict[str, list[str]] = {}
    for one in found:
        for said in (mapping(each) for each in sequence(one.get("maps"))):
            title, is_here = str(said.get("title")), bool(said.get("points_here"))
            numbers = (
                f"{one.get('name')} ({percent(said.get('mass'))} of the evidence, {percent(point(said.get('peaks')))} of the "
                f"peaks, chance {percent(said.get('chance'))})"
            )
            if one.get("verdict") == "acquitted" and is_here:
                accused.setdefault(title, []).append(numbers)
            if one.get("verdict") == "convicted" and not is_here:
                missed.setdefault(title, []).append(numbers)
    wrongly = "though exchanging it changes nothing"
    said_all = [f"{title} points at {joined(names, most=9)}, {wrongly}." for title, names in accused.items()]
    return said_all + [f"{title} does not show {joined(names, most=9)}." for title, names in missed.items()]


def _readable(one: Mapping[str, Any]) -> str:
    auroc = mapping(mapping(one.get("readable")).get("auroc"))
    low = finite(auroc.get("low"))
    surely = point(auroc) if low is None else low  # a perfect one is so in all resamples
    return f"{one.get('name')} {with_interval(auroc)}" if surely is not None and surely >= _READABLE else ""


def _open(found: list[dict[str, Any]], content: Mapping[str, Any]) -> list[str]:
    """What is not decided, those of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for one in found:
        change = with_interval(worst(one).get("change")) if worst(one) else ""
        words = f"{one.get('name')} ({change})" if change else str(one.get("name"))
        by_reason.setdefault(_why_open(one, content), []).append(words)
    said = {why: joined(names, most=len(names)) for why, names in by_reason.items()}
    if len(said) == 1 and len(found) == len(candidates(content)):
        return [f"Not decided, {why}: everything." for why in said]
    return [f"Not decided, {why}: {names}." for why, names in said.items()]


def _why_open(one: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    if one.get("doubt"):
        return str(one["doubt"])
    effect, least = worst(one), number(content.get("least_effect"), 2)
    if not effect:
        return "no pair of images without a lesion in it"
    if (finite(effect.get("num_patients")) or 0) < FEWEST:
        return f"fewer than five {content.get('unit') or 'patients'} on one side"
    if not effect.get("is_beyond_elsewhere"):
        return "because regions of this size elsewhere do as much"
    return f"since what it changes may lie above or below {least} for some class (cases=... looks at more images)"
