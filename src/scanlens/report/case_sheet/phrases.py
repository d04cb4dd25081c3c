"""Parts of sentences that several kinds of sentences of a sheet share."""

from __future__ import annotations

import re
from typing import Any

from scanlens.report.folder import finite
from scanlens.report.words import counted, percent, without_paths

Record = dict[str, Any]


def unit_of(record: Record) -> str:
    """What stands for a person where people are unknown."""
    return "patient" if record["tested_on"]["patients_known"] else "group of near-duplicate images"


def of_others(amount: object, unit: str) -> str:
    """ "5 other patients", "5 other groups of near-duplicate images"."""
    first, _, rest = unit.partition(" ")
    return f"{counted(amount, f'other {first}')}{' ' + rest if rest else ''}"


def positives(point: dict[str, Any]) -> str:
    """ "14 'tumor' patients"."""
    return counted(point["num_positive"], f"'{point['positive']}' {point['unit']}")


def was(amount: object) -> str:
    return "was" if finite(amount) == 1 else "were"


def percents(found: dict[str, Any]) -> str:
    """ "88 % (80 % to 94 %)"."""
    low, high = finite(found.get("low")), finite(found.get("high"))
    bounds = "" if low is None or high is None else f" ({percent(low)} to {percent(high)})"
    return f"{percent(found.get('value'))}{bounds}"


def without_commands(text: object) -> str:
    """Without what a clinician cannot type: sentences and brackets that hold a command."""
    kept = re.sub(r"\s*\(scanlens [^)]*\)", "", str(text))
    return re.sub(r"\s*\bscanlens [a-z]+ [^.]*\.", "", kept).strip()


def because(reason: object) -> str:
    return f", {without_paths(without_commands(reason).rstrip('.'))}" if reason else ""
