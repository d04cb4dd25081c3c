"""`report/cases/`: of each explained case its record and its page, and the table of all of them for the page of the run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from scanlens.errors import RunError
from scanlens.files import write_json, write_text
from scanlens.report.case_sheet.record import Record, case_records
from scanlens.report.case_sheet.sheet import case_page
from scanlens.report.cases import ordered_cases
from scanlens.report.folder import RunFolder, finite, mapping
from scanlens.report.words import NOT_ASSESSED, number

FOLDER = "cases"
_WRITTEN = re.compile(r"(train|val|test|new)-\d{1,9}\.(html|json|pdf)")


def write_cases(run: RunFolder) -> list[Record]:
    """Write records and pages of all explained cases, misses first, and remove what a former report wrote.

    Args:
        run: a finished run; of one that rebuilds pictures, or has no cases, nothing is written.

    Returns:
        The records, in the order of the pages.

    Raises:
        RunError: if a file of the run folder cannot be understood.
    """
    records = case_records(run) if run.is_classification and not run.evaluation.get("external") else []
    folder = run.path / "report" / FOLDER
    if folder.is_symlink():
        raise RunError(f"{folder} is a link, and the sheets would land elsewhere. Remove the link.")
    names = [str(record["case"]) for record in records]
    _remove_former(folder)
    for place, record in enumerate(records):
        before, after = names[place - 1] if place else None, names[place + 1] if place + 1 < len(names) else None
        text = case_page(record, run, previous=before, following=after)
        write_json(folder / f"{names[place]}.json", record)
        write_text(folder / f"{names[place]}.html", text)
    return records


def case_table(run: RunFolder) -> list[dict[str, Any]]:
    """One row for each sheet that was written, in the order of the sheets: what a reader sorts and filters by."""
    folder = run.path / "report" / FOLDER
    found = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
        if _WRITTEN.fullmatch(path.name)
    ]
    order = {str(mapping(one).get("case")): place for place, one in enumerate(ordered_cases(run))}
    records = [one for one in found if isinstance(one, dict) and one.get("case") in order]
    return [_row(one) for one in sorted(records, key=lambda one: order[one["case"]])]


def _row(record: Record) -> dict[str, Any]:
    answer, first = record["answer"], mapping(next(iter(record["maps"]), None))
    level = mapping(first.get("verdict")).get("level")
    top = mapping(next(iter(answer["classes"]), None))
    shown = finite(top.get("calibrated")) if top.get("calibrated") is not None else finite(top.get("stated"))
    word = str(level or NOT_ASSESSED)
    return {
        "case": record["case"],
        "reference": answer["reference"] or NOT_ASSESSED,
        "predicted": answer["predicted"] or NOT_ASSESSED,
        "verdict": {True: "right", False: "wrong", None: ""}[answer["is_right"]],
        "probability": number(shown, 2),
        "sorts_by": "" if shown is None else f"{shown:.6f}",
        "called": record["decision"].get("called") or NOT_ASSESSED,
        "stamp": word,
        "css": word.lower().replace(" ", "-"),
        "quality": record["quality"]["status"] or NOT_ASSESSED,
        "patient": record["image"]["pseudonym"] or "",
    }


def _remove_former(folder: Path) -> None:
    for path in folder.glob("*") if folder.is_dir() else ():
        if _WRITTEN.fullmatch(path.name):
            path.unlink()
