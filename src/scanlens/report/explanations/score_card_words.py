"""The score card in sentences: what the first map of the run is worth, beside controls that know nothing of the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.words import counted, joined, number, point, whole

HEADINGS = ("consistency", "plausibility", "fidelity", "usefulness")


def card_sentences(content: Mapping[str, Any]) -> list[str]:
    """What a reader of the page has to know; built from verdicts and numbers by rules."""
    methods = [mapping(one) for one in sequence(content.get("methods"))]
    sanity = mapping(content.get("sanity"))
    if not methods:
        return [f"No map was put to the test: {sanity.get('reason')}"]
    primary = next((one for one in methods if one.get("name") == content.get("primary")), None)
    found = (
        []
        if primary is None
        else [*_verdicts(primary), _sanity(primary, sanity), _beside_controls(primary, methods), _usefulness(primary)]
    )
    found.append(_others(methods, primary))
    return [one for one in found if one]


def card_note(content: Mapping[str, Any]) -> str:
    """What was looked at, and how to read the numbers."""
    images = mapping(content.get("images"))
    if not images:
        return ""
    parts = [
        f"Explained is {content.get('explained')}: {counted(images.get('num_found'), 'image')}{_of(images, 'num_found_units')} drawn "
        "by the seed of the run; measures that cost many passes look at the first of them, and every number has its own n.",
        _marked(images),
        f"Intervals hold 95 % and resample {images.get('resampled')}. "
        "Controls make maps without knowing what the network has learned; blank maps are counted and never hit.",
    ]
    return " ".join(one for one in parts if one)


def _marked(images: Mapping[str, Any]) -> str:
    num = finite(images.get("num_marked")) or 0
    if not num:
        return "No rightly named test image has a marked lesion."
    left_out = [
        (images.get("num_marked_wrong"), "that the network named wrongly"),
        (images.get("num_marked_not_drawn"), "that were not drawn"),
        (images.get("num_marked_not_reached"), "whose lesion lies where not all maps reach"),
    ]
    told = [f"{whole(count)} {words}" for count, words in left_out if finite(count)]
    without = f", without {joined(told)}" if told else ""
    of = _of(images, "num_marked_units")
    return f"Plausibility is of {counted(num, 'rightly named image')}{of} with a marked lesion{without}."


def _of(images: Mapping[str, Any], key: str) -> str:
    """How many patients, or what stands for them; nothing where every image stands for itself."""
    num, unit = finite(images.get(key)), str(images.get("unit"))
    if not num or unit == "images":
        return ""
    return f" of {counted(num, 'patient') if unit == 'patients' else f'{whole(num)} {unit}'}"


def _verdicts(method: Mapping[str, Any]) -> list[str]:
    by_word: dict[str, list[str]] = {"PASS": [], "FAIL": [], "NOT ASSESSED": []}
    for heading in HEADINGS:
        by_word.setdefault(str(mapping(method.get(heading)).get("status")), []).append(heading)
    told = [
        f"{verb} {joined(by_word[word])}"
        for word, verb in (("PASS", "passes"), ("FAIL", "fails"), ("NOT ASSESSED", "was not assessed for"))
        if by_word[word]
    ]
    sentences = [f"{method.get('title')}, the map of this run to be believed first, {joined(told)}."]
    sentences += [
        f"{heading.capitalize()}: {mapping(method.get(heading)).get('reason')}" for heading in by_word["FAIL"]
    ]
    return sentences


def _sanity(method: Mapping[str, Any], sanity: Mapping[str, Any]) -> str:
    if sanity.get("status") == "PASS":
        part = mapping(mapping(method.get("fidelity")).get("randomization"))
        last = point(part.get("likeness"))
        return (
            f"With all weights drawn anew the maps become others: their rank correlation with the real ones falls to {number(last, 2)}, "
            f"where maps of different images have {number(point(part.get('floor')), 2)}. They depend on what the network has learned."
        )
    if sanity.get("status") == "FAIL":
        return f"The maps do not depend on what the network has learned and must not be shown as its evidence. {sanity.get('reason')}"
    return f"Whether the maps depend on what the network has learned was not assessed. {sanity.get('reason')}"


def _beside_controls(method: Mapping[str, Any], methods: list[dict[str, Any]]) -> str:
    """Hits of the method and of the best control."""
    own = point(mapping(method.get("plausibility")).get("hit_near"))
    controls = [
        (hits, str(one.get("title")).lower())
        for one in methods
        if one.get("is_control") and (hits := point(mapping(one.get("plausibility")).get("hit_near"))) is not None
    ]
    if own is None or not controls:
        return ""
    best, title = max(controls)
    less = "more than" if own > best else "no more than"
    return f"Its peak lies at the lesion in {number(own, 2)} of the images, {less} the best of the controls ({title}, {number(best, 2)})."


def _usefulness(method: Mapping[str, Any]) -> str:
    """What stands beside the heading that takes readers; nothing where no verdicts were measured."""
    found = mapping(method.get("usefulness"))
    about = {"correctness": "a right answer", "lesion": "a peak on the marked lesion"}
    told = [
        f"{number(value, 2)}{_interval(one)} for {words} (n = {whole(one.get('num_images'))})"
        for key, words in about.items()
        if (value := point(one := mapping(found.get(key)))) is not None
    ]
    if not told:
        return ""
    return f"No reader has used these maps; what is known instead: AUROC of the verdict on a case {joined(told)}."


def _interval(one: Mapping[str, Any]) -> str:
    low, high = finite(one.get("low")), finite(one.get("high"))
    return "" if low is None or high is None else f" ({number(low, 2)} to {number(high, 2)})"


def _others(methods: list[dict[str, Any]], primary: Mapping[str, Any] | None) -> str:
    """Which other methods fail, and where."""
    failing = []
    for one in methods:
        if one.get("is_control") or one is primary:
            continue
        failed = [heading for heading in HEADINGS if mapping(one.get(heading)).get("status") == "FAIL"]
        if failed:
            failing.append(f"{one.get('title')} ({joined(failed)})")
    return f"Other methods that fail: {joined(failing)}." if failing else ""
