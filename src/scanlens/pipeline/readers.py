"""`readers.json`: what the files of readers say, judged; written whenever the report is. Needs no torch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from scanlens.evaluation.readers import Reading, judge_readings
from scanlens.files import write_json
from scanlens.report.cases import ordered_cases
from scanlens.report.folder import RunFolder, mapping, read_run
from scanlens.report.reader_files import ReaderFiles, read_reader_files
from scanlens.report.readers import NAME, SCHEMA_VERSION

log = logging.getLogger(__name__)
MOST_LISTED = 500


def judge_readers(run_dir: Path) -> Path | None:
    """Write `readers.json` of a run, or remove one that no file stands behind any more.

    Args:
        run_dir: the folder of a finished run.

    Returns:
        The file; None where there are no files of readers.

    Raises:
        RunError: if the run folder is damaged. Bad files of readers are logged, and listed with their reason.
    """
    run = read_run(Path(run_dir))
    files = read_reader_files(run)
    for name, why in files.refused.items():
        log.warning("readers/%s is not used: %s", name, why)
    path = run.path / NAME
    if not files.readings and not files.refused:
        path.unlink(missing_ok=True)
        return None
    write_json(path, _judged(run, files), private=True)
    return path


def _judged(run: RunFolder, files: ReaderFiles) -> dict[str, Any]:
    """Readers are numbered, so that the page names nobody."""
    explained = {str(one.get("case")): one for one in map(mapping, ordered_cases(run))}
    rows = {row.get("index", ""): row for row in run.split_rows}
    patients = {row.get("case"): {"patient": row.get("patient", "")} for row in run.predictions}
    readings = [
        _reading(
            one,
            explained[one["case"]],
            rows.get(str(int(one["case"].rpartition("-")[2]))) or patients.get(one["case"], {}),
        )
        for one in files.readings.values()
    ]
    number = {name: place for place, name in enumerate(dict.fromkeys(one.reader for one in readings if one.reader), 1)}
    listed = [
        {
            "case": reading.case,
            "reader": number.get(reading.reader or ""),
            "answer": reading.answer,
            "reading": reading.reading,
            "answered_before_reveal": reading.is_before,
            "comment": given["comment"],
            "seconds": given["seconds"],
        }
        for reading, given in zip(readings, files.readings.values(), strict=True)
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "judged": judge_readings(readings, run.class_names) if readings else None,
        "readings": sorted(listed, key=lambda one: (one["case"], one["reader"] or 0))[:MOST_LISTED],
        "refused": [{"file": name, "reason": why} for name, why in files.refused.items()][:MOST_LISTED],
        "num_refused": len(files.refused),
    }


def _reading(given: dict[str, Any], case: dict[str, Any], row: dict[str, str]) -> Reading:
    return Reading(
        case=given["case"],
        reader=(given["reader"] or "").strip().casefold() or None,
        answer=given["answer"],
        reading=given["reading"],
        is_before=given["answered_before_reveal"],
        predicted=str(case.get("predicted")),
        target=case.get("target") or None,
        patient=row.get("patient") or None,
        group=row.get("group") or None,
    )
