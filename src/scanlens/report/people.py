"""Sex and age of those whom a network was tested on, where the source tells them; counted once a patient where patients are known."""

from __future__ import annotations

import re
from collections import Counter
from statistics import median
from typing import Any

from scanlens.report.folder import RunFolder, finite
from scanlens.report.words import counted, joined, number, whole

_SEX, _AGE = ("sex", "gender", "patientsex"), ("age", "age_years", "patientage")
_WORDS = {"m": "male", "f": "female", "male": "male", "female": "female"}


def people(run: RunFolder) -> dict[str, Any]:
    """`sex`: how many of each, `age`: low, median, high in years and how many have one; None for what the source does not tell."""
    rows = {row.get("index"): row for row in run.meta_rows}
    units: dict[str, dict[str, str]] = {}
    for place, one in enumerate(run.split_rows):
        if one.get("split") == "test":
            row = rows.get(one.get("index"), {})
            units.setdefault(one.get("patient") or f"image {place}", {}).update({k: v for k, v in row.items() if v})
    return {
        "sex": _sex([_of(one, _SEX) for one in units.values()]),
        "age": _age([_of(one, _AGE) for one in units.values()]),
    }


def people_in_words(found: dict[str, Any], unit: str) -> str:
    """ "sex 12 female and 9 male patients; age 19 to 84, median 57, of 21 patients"; what is not told is not assessed."""
    sex, age = found["sex"], found["age"]
    told = [
        f"sex {joined([f'{whole(num)} {name}' for name, num in sex.items()])} {unit}s" if sex else "sex not assessed",
        f"age {number(age['low'], 0)} to {number(age['high'], 0)} years, median {number(age['median'], 0)}, of {counted(age['num'], unit)}"
        if age
        else "age not assessed",
    ]
    return "; ".join(told)


def _of(row: dict[str, str], names: tuple[str, ...]) -> str:
    return next(
        (cell.strip() for name, cell in row.items() if name.lower().replace(" ", "") in names and cell.strip()), ""
    )


def _sex(cells: list[str]) -> dict[str, int] | None:
    """Only what can be read as one; other words could be anything."""
    counts = Counter(_WORDS[cell.lower()] for cell in cells if cell.lower() in _WORDS)
    return dict(sorted(counts.items())) or None


def _age(cells: list[str]) -> dict[str, float] | None:
    """Years, as a number or as DICOM writes them ("057Y")."""
    plain = [re.sub(r"^0*(\d+)Y$", r"\1", cell) for cell in cells]
    years = [age for age in map(finite, plain) if age is not None and 0 <= age <= 130]
    if not years:
        return None
    return {"low": min(years), "median": float(median(years)), "high": max(years), "num": float(len(years))}
