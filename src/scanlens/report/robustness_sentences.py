"""What worse images cost, in plain words: each sentence built from numbers by a rule.

A cost counts only where its interval leaves out 0. Intervals are of each strength alone: of many strengths, one in forty
is expected to show a cost by chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.words import interval, joined, number, percent, point, significant

WANTED_AUROC = 0.8


def robustness_sentences(content: Mapping[str, Any]) -> list[str]:
    """What can be said of robustness.json: kind by kind where AUROC is lost, then answers, sensitivity and calibration.

    Args:
        content: of robustness.json.
    """
    kinds = [mapping(one) for one in mapping(content.get("kinds")).values()]
    found = [sentence for kind in kinds for sentence in (_falls(kind), _costs(kind)) if sentence]
    unhurt = [str(kind.get("title")) for kind in kinds if _first_cost(kind) is None and _points(kind)]
    if unhurt:
        found.append(
            f"At no strength tried is AUROC lost beyond what the choice of patients explains: {joined(unhurt, most=8)}."
        )
    found += [_answers(kinds), _sensitivity(content, kinds), _probabilities(kinds)]
    return [one for one in found if one]


def strength_words(kind: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    """A kind and its strength, such as "blur of 1.5 px"."""
    shown = (finite(kind.get("shown")) or 1.0) * (finite(one.get("strength")) or 0.0)
    return f"{kind.get('title')} of {significant(shown)}\u00a0{kind.get('unit')}"


def _points(kind: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [mapping(one) for one in sequence(kind.get("points"))]


def _falls(kind: Mapping[str, Any]) -> str:
    points = _points(kind)
    start = point(points[0].get("auroc")) if points else None
    if start is None or start < WANTED_AUROC:
        return ""
    for one in points[1:]:
        area = point(one.get("auroc"))
        if area is not None and area < WANTED_AUROC:
            return f"AUROC falls below {number(WANTED_AUROC, 2)} at {strength_words(kind, one)} ({number(area, 2)})."
    return ""


def _first_cost(kind: Mapping[str, Any]) -> dict[str, Any] | None:
    """The smallest strength whose loss of AUROC has an interval above 0."""
    for one in _points(kind)[1:]:
        low = finite(mapping(mapping(one.get("loss")).get("auroc")).get("low"))
        if low is not None and low > 0:
            return one
    return None


def _costs(kind: Mapping[str, Any]) -> str:
    one = _first_cost(kind)
    if one is None:
        return ""
    loss = mapping(mapping(one.get("loss")).get("auroc"))
    words = strength_words(kind, one)
    return f"{words[:1].upper()}{words[1:]} costs {number(point(loss), 3)} ({interval(loss, 3)}) of AUROC."


def _answers(kinds: list[dict[str, Any]]) -> str:
    changed = [(point(one.get("changed")), kind, one) for kind in kinds for one in _points(kind)[1:]]
    known = [(share, kind, one) for share, kind, one in changed if share is not None]
    if not known:
        return ""
    share, kind, one = max(known, key=lambda entry: entry[0])
    return f"Most answers change with {strength_words(kind, one)}: {percent(share)} of images get another one."


def _sensitivity(content: Mapping[str, Any], kinds: list[dict[str, Any]]) -> str:
    start = point(mapping(content.get("plain")).get("sensitivity"))
    lowest = [(point(one.get("sensitivity")), kind, one) for kind in kinds for one in _points(kind)[1:]]
    known = [(share, kind, one) for share, kind, one in lowest if share is not None]
    if start is None or not known:
        return ""
    share, kind, one = min(known, key=lambda entry: entry[0])
    if share >= start:
        return f"At the chosen threshold the sensitivity for '{content.get('positive')}' never falls below that of the images as they are."
    return (
        f"At the chosen threshold the sensitivity for '{content.get('positive')}' ({percent(start)} per {content.get('unit')}) falls "
        f"furthest with {strength_words(kind, one)}: to {percent(share)} ({_bounds(one.get('sensitivity'))})."
    )


def _bounds(value: object) -> str:
    low, high = (finite(mapping(value).get(key)) for key in ("low", "high"))
    return "no interval" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def _probabilities(kinds: list[dict[str, Any]]) -> str:
    """Which kinds make calibrated probabilities worse, and which most."""
    gained = [
        (mapping(mapping(one.get("loss")).get("log_loss")), kind, one) for kind in kinds for one in _points(kind)[1:]
    ]
    sure = [entry for entry in gained if (finite(entry[0].get("low")) or 0.0) > 0]
    if not sure:
        return "Calibrated probabilities get no worse than the choice of patients explains (log loss)."
    loss, kind, one = max(sure, key=lambda entry: point(entry[0]) or 0.0)
    hurt = list(dict.fromkeys(str(kind.get("title")) for _, kind, _ in sure))
    return (
        f"Calibrated probabilities get worse with {joined(hurt, most=8)}; most with {strength_words(kind, one)}: the log loss rises "
        f"by {number(point(loss), 2)} ({interval(loss, 2)})."
    )
