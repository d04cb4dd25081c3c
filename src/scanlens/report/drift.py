"""How new images differ from those of the training, in plain words and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.words import NOT_ASSESSED, interval, joined, number, percent, point, significant

# What a number of an image is called, and what the new images are where it is higher and where it is lower.
_NUMBERS = {
    "height": ("rows", "have more rows", "have fewer rows"),
    "width": ("columns", "have more columns", "have fewer columns"),
    "channels": ("channels", "have more channels", "have fewer channels"),
    "bits": ("bits of a pixel", "have more bits a pixel", "have fewer bits a pixel"),
    "low": ("darkest value", "have a brighter darkest value", "have a darker darkest value"),
    "high": ("brightest value", "have a brighter brightest value", "have a darker brightest value"),
    "mean": ("brightness", "are brighter", "are darker"),
    "spread": ("contrast", "have more contrast", "have less contrast"),
    "border_mean": ("brightness of the border", "have a brighter border", "have a darker border"),
    "border_spread": ("contrast of the border", "vary more at the border", "vary less at the border"),
    "edge_mean": ("brightness of the edge", "have a brighter edge", "have a darker edge"),
    "edge_spread": ("contrast of the edge", "vary more at the edge", "vary less at the edge"),
    "spacing_mm": ("millimeters of a pixel", "have larger pixels", "have smaller pixels"),
    "text_score": ("letter-like marks", "have more letter-like marks", "have fewer letter-like marks"),
    "file_bytes": ("bytes of the file", "are larger files", "are smaller files"),
    "jpeg_quality": ("JPEG quality", "are less compressed", "are more compressed"),
}
_SCORES = {
    "unlike training pictures": "thumbnail unlike those of training",
    "unlike to the network": "features unlike those of validation",
}
_BEYOND = {
    "unlike training pictures": "99 % of training pictures show",
    "unlike to the network": "the network saw in 99 % of validation images",
}
_MOST_SPOKEN = 4
_TOLD_APART = 0.6


def drift_sentences(drift: Mapping[str, Any]) -> list[str]:
    """What is unlike, most telling first; one sentence where nothing is.

    Args:
        drift: of evaluation.json of an external evaluation.
    """
    if drift.get("reason"):
        return [f"Whether the new images are like those of the training was {NOT_ASSESSED}: {drift['reason']}."]
    drifted = [one for one in _numbers(drift) if one.get("has_drifted")]
    spoken = [one for one in drifted if one["name"] in _NUMBERS]
    spoken.sort(key=lambda one: -abs(finite(one.get("difference")) or float("inf")))
    sentences = [f"The new images {joined([_clause(one) for one in spoken[:_MOST_SPOKEN]])}."] if spoken else []
    far = {
        name: text for name, one in mapping(drift.get("beyond")).items() if (text := _far(name, mapping(one), drifted))
    }
    sentences += [_moved(one) for one in drifted if one["name"] in _SCORES and one["name"] not in far]
    sentences += far.values()
    if apart := _apart(drift):
        sentences.append(apart)
    if sentences:
        return [*sentences, "Expect other results than on the test split of the run: it holds no such images."]
    if not any(finite(one.get("p")) is not None for one in _numbers(drift)):
        return ["Too few patients to tell whether the new images are like those of the training."]
    return ["No number of the new images differs from the training by more than chance explains."]


def drift_table(drift: Mapping[str, Any]) -> list[list[str]]:
    """One row a number: name, medians of training and new images, standardized difference, KS, by chance, p."""
    return [
        [
            _NUMBERS.get(str(one["name"]), (_SCORES.get(str(one["name"]), str(one["name"])),))[0],
            _value(one.get("known_median")),
            _value(one.get("new_median")),
            number(one.get("difference"), 2),
            number(one.get("ks"), 2),
            number(one.get("ks_by_chance"), 2),
            _p(one),
        ]
        for one in _numbers(drift)
    ]


def _p(one: Mapping[str, Any]) -> str:
    if finite(one.get("adjusted_p")) is None:
        return str(one.get("reason") or NOT_ASSESSED)
    return number(one["adjusted_p"], 3) + (" *" if one.get("has_drifted") else "")


def apart_table(drift: Mapping[str, Any]) -> list[list[str]]:
    """One row a thing that training and new images may be told apart by: name, AUROC with interval or why not."""
    rows = []
    for one in (mapping(each) for each in sequence(drift.get("told_apart"))):
        bounds = interval(one, 2)
        said = number(one.get("auroc"), 2) + (f" ({bounds})" if bounds else "")
        rows.append([str(one.get("name")), said if finite(one.get("auroc")) is not None else str(one.get("reason"))])
    return rows


def _numbers(drift: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [mapping(one) for one in sequence(drift.get("numbers"))]


def _clause(one: Mapping[str, Any]) -> str:
    known, new, difference = (finite(one.get(key)) for key in ("known_median", "new_median", "difference"))
    words = _NUMBERS[str(one["name"])]
    rises = (difference or 0) > 0 if difference else (new or 0) > (known or 0)
    far = "" if difference is None else f", {number(abs(difference), 1)} standard deviations"
    return f"{words[1 if rises else 2]} (median {_value(new)} against {_value(known)}{far})"


def _moved(one: Mapping[str, Any]) -> str:
    return f"The new images have a {'higher' if (finite(one.get('difference')) or 0) > 0 else 'lower'} score '{_SCORES[str(one['name'])]}' than chance explains."


def _far(name: str, one: Mapping[str, Any], drifted: list[dict[str, Any]]) -> str:
    """Only where the whole distribution of the score has moved: a share alone may be chance."""
    share, expected = mapping(one.get("share")), finite(one.get("expected"))
    value, low = point(share), finite(share.get("low"))
    if value is None or expected is None or name not in {found["name"] for found in drifted}:
        return ""
    if value <= expected or (low is not None and low <= expected):
        return ""
    return (
        f"{percent(value)} of the new images lie beyond what {_BEYOND[name]} ({percent(expected)} were to be expected)."
    )


def _apart(drift: Mapping[str, Any]) -> str:
    known = [mapping(each) for each in sequence(drift.get("told_apart"))]
    sure = [one for one in known if (_surely(one) or 0) > _TOLD_APART]
    if not sure:
        return ""
    best = max(sure, key=lambda one: finite(one.get("auroc")) or 0)
    bounds = interval(best, 2)
    said = number(best.get("auroc"), 2) + (f" ({bounds})" if bounds else "")
    return f"A small classifier tells new from training images by {best['name']} alone: AUROC {said}, 0.5 is chance."


def _surely(one: Mapping[str, Any]) -> float | None:
    low = finite(one.get("low"))
    return finite(one.get("auroc")) if low is None else low


def _value(value: object) -> str:
    return significant(value)
