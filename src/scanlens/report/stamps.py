"""Verdicts on heat maps as the page shows them: a stamp in words, what decided, and the pictures of the test.

A withheld map is not shown. What is missing is said to be missing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.words import NOT_ASSESSED, counted, joined, number, percent

LEVELS = ("SUPPORTED", "WEAK", "NOT SUPPORTED", "WITHHELD")
WITHHELD = "WITHHELD"


def stamp(verdict: dict[str, Any], meanings: dict[str, Any]) -> dict[str, Any] | None:
    """What is shown of the verdict on one map; None where the run holds none.

    Args:
        verdict: of the map in `cases.json`.
        meanings: what each verdict means.
    """
    if not verdict:
        return None
    level = verdict.get("level")
    word = str(level) if level in LEVELS else NOT_ASSESSED
    region = mapping(mapping(verdict.get("measured")).get("region"))
    return {
        "word": word,
        "css": word.lower().replace(" ", "-"),
        "meaning": str(meanings.get(word) or ""),
        "numbers": _numbers(region) if word not in (WITHHELD, NOT_ASSESSED) else "",
        "reasons": _sentences(verdict, "reasons"),
        "against": _sentences(verdict, "against"),
        "also": _sentences(verdict, "also"),
        "is_hidden": word == WITHHELD,
        "region": verdict.get("region"),
        "removed": verdict.get("removed"),
    }


def stamps_in_words(run: RunFolder) -> dict[str, Any] | None:
    """What the stamps mean, how the maps were tested, and how many cases got which; None where there are none."""
    about = mapping(mapping(run.explanations).get("verdict"))
    if not about:
        return None
    meanings = mapping(about.get("meanings"))
    return {
        "meanings": [(word, str(meanings[word])) for word in LEVELS if meanings.get(word)],
        "how": _how(about),
        "sanity": _sanity(mapping(about.get("sanity"))),
        "counts": _counts(run),
    }


def _how(about: dict[str, Any]) -> str:
    filling = {"blur_noise": "filled in from its surroundings, with noise", "inpaint": "painted over from its edges"}
    return (
        f"Tested on each map: the strongest {percent(about.get('share'))} of what it covers is taken out of the scan "
        f"({filling.get(str(about.get('removal')), 'taken out')}), and so are {number(about.get('num_regions'), 0)} regions of the "
        "same shape elsewhere on the same kind of ground. p is the share of all these regions whose removal lowers the log-odds "
        f"at least as much; at most {number(about.get('alpha'), 2)} is needed for SUPPORTED, above "
        f"{number(about.get('weak_alpha'), 2)} is NOT SUPPORTED. A second method, five small changes of the image and the quality "
        "of the image are looked at too."
    )


def _sanity(sanity: dict[str, Any]) -> str:
    status = str(sanity.get("status") or NOT_ASSESSED)
    return f"Maps of this network against those of random weights: {status}. {sanity.get('reason') or ''}".strip()


def _counts(run: RunFolder) -> str:
    """Of the first method alone: the one to be believed first."""
    first = [
        mapping(mapping(next(iter(sequence(mapping(case).get("maps"))), None)).get("verdict"))
        for case in sequence(mapping(run.explanations).get("cases"))
    ]
    given = Counter(str(one["level"]) if one.get("level") in LEVELS else NOT_ASSESSED for one in first if one)
    shown = [f"{given[word]} {word}" for word in (*LEVELS, NOT_ASSESSED) if given[word]]
    return f"Of {counted(sum(given.values()), 'case')}: {joined(shown)}." if shown else ""


def _numbers(region: dict[str, Any]) -> str:
    p_value, drop = finite(region.get("p_value")), finite(region.get("drop"))
    if p_value is None or drop is None:
        return ""
    return f"p\u00a0=\u00a0{number(p_value, 2)}, log-odds {'−' if drop > 0 else '+'}{number(abs(drop), 2)}"


def _sentences(verdict: dict[str, Any], name: str) -> list[str]:
    return [str(one) for one in sequence(verdict.get(name))]
