"""The record of a case: everything that its sheet shows, as numbers, and nothing that could name a person.

`report/cases/<case>.json` holds it, and pages and PDF are made from it and the arrays it names. Its schema is published as
`schemas/case.schema.json`; what was not measured is null, with a reason beside it. No number is NaN.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from scanlens.errors import RunError
from scanlens.report.case_sheet import evidence, identity, result
from scanlens.report.case_sheet.sources import Sources, read_sources
from scanlens.report.cases import ordered_cases
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.html import NOTICE
from scanlens.report.readers import read_readers

SCHEMA_VERSION = 1
SCHEMA = Path(__file__).parent / "schemas" / "case.schema.json"
Record = dict[str, Any]


def case_records(run: RunFolder, *, max_cases: int | None = None) -> list[Record]:
    """Of each explained case its record, misses first; each follows the schema.

    Args:
        run: a finished run of a classifier.
        max_cases: no more than so many; None for all.

    Raises:
        RunError: if a file of the run folder holds what it should not.
    """
    sources = read_sources(run)
    network, population = identity.model(run), identity.tested_on(run)
    point = result.operating_point(sources)
    of_all: Record = {"model": network, "tested_on": population, "operating_point": point, "readers": _readers(run)}
    of_all["reveals_after_commit"] = mapping(run.config.get("report")).get("reveal_after_commit") is True
    records = [_record(sources, mapping(one)) | of_all for one in ordered_cases(run)[:max_cases]]
    for record in records:
        check(record)
    return records


def check(record: Record) -> None:
    """See that a record follows the schema.

    Raises:
        RunError: with the place and the reason if it does not.
    """
    fault = jsonschema.exceptions.best_match(_validator().iter_errors(record))
    if fault is not None:
        place = "/".join(str(one) for one in fault.absolute_path) or "the record"
        raise RunError(
            f"The record of case {record.get('case')} does not follow {SCHEMA.name}: {place}: {fault.message[:300]}. A file of the "
            "folder explanations holds what this version does not expect; explain the run again."
        )


def _record(sources: Sources, one: dict[str, Any]) -> Record:
    case = str(one.get("case"))
    about, said = identity.image(sources, case), result.answer(sources, one)
    mm_per_px = about["mm_per_px"]
    maps = evidence.maps(sources, one, mm_per_px)
    return {
        "schema": "scanlens.case",
        "schema_version": SCHEMA_VERSION,
        "notice": NOTICE,
        "case": case,
        "image": about,
        "quality": _quality(sources, case, one),
        "answer": said,
        "decision": result.decision(sources, case),
        "uncertainty": result.uncertainty(sources, case, said["predicted"]),
        "maps": maps,
        "runner_up_map": evidence.against_runner_up(sources, case, mm_per_px, maps[0] if maps else None),
        "similar": _similar(sources, case),
        "scan": one.get("scan"),
        "lesion_share": finite(one.get("mask_area_share")),
        "shortcuts": _shortcuts(sources),
    }


def _quality(sources: Sources, case: str, one: dict[str, Any]) -> dict[str, Any]:
    """Checks of the image against training images; where these were not made, what the test of the map found."""
    found = mapping(sources.beside(case).get("quality"))
    if found:
        return {
            "status": found.get("status"),
            "reasons": [str(each) for each in sequence(found.get("reasons"))],
            "checks": [_check(sources, mapping(each)) for each in sequence(found.get("checks"))],
            "anomaly": mapping(found.get("anomaly")) or None,
        }
    first = mapping(next(iter(sequence(one.get("maps"))), None))
    tested = mapping(mapping(mapping(first.get("verdict")).get("measured")).get("quality"))
    reasons = [f"The image {fault}." for fault in sequence(tested.get("faults"))]
    return {"status": tested.get("status"), "reasons": reasons, "checks": [], "anomaly": None}


def _check(sources: Sources, one: dict[str, Any]) -> dict[str, Any]:
    about = mapping(mapping(sources.about("quality").get("names")).get(str(one.get("name"))))
    return {
        "name": str(about.get("title") or one.get("name")),
        "unit": str(about.get("unit") or ""),
        "value": finite(one.get("value")),
        "low": finite(one.get("low")),
        "high": finite(one.get("high")),
        "is_inside": one.get("is_inside"),
        "percentile": finite(one.get("percentile")),
    }


def _similar(sources: Sources, case: str) -> dict[str, Any]:
    found = mapping(sources.beside(case).get("similar"))
    if not found:
        reason = sources.about("similar").get("reason") or "similar training cases were not looked for"
        return {"same": [], "other": [], "num_searched": None, "num_compared": None, "reason": reason}
    return {
        "same": [_neighbor(mapping(one)) for one in sequence(found.get("same"))],
        "other": [_neighbor(mapping(one)) for one in sequence(found.get("other"))],
        "num_searched": finite(sources.about("similar").get("num_searched")),
        "num_compared": finite(sources.about("similar").get("num_reference_units")),
        "reason": _joined([found.get("same_reason"), found.get("other_reason")]),
    }


def _joined(reasons: list[object]) -> str | None:
    return "; ".join(str(one) for one in reasons if one) or None


def _neighbor(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "case": one.get("case"),
        "label": one.get("label"),
        "predicted": one.get("predicted"),
        "probability": finite(one.get("probability")),
        "distance": finite(one.get("distance")),
        "percentile": finite(one.get("percentile")),
        "is_close": one.get("is_close"),
        "picture": one.get("picture"),
    }


def _shortcuts(sources: Sources) -> dict[str, Any]:
    """Names of what was convicted of swaying the network."""
    if not sources.shortcuts:
        return {"convicted": [], "reason": "shortcuts were not looked for (scanlens explain parts=shortcuts)"}
    listed = [mapping(one) for key in ("regions", "looks") for one in sequence(sources.shortcuts.get(key))]
    return {"convicted": [str(one.get("name")) for one in listed if one.get("verdict") == "convicted"], "reason": None}


def _readers(run: RunFolder) -> dict[str, Any] | None:
    """How many readings of how many cases there are; None for none."""
    judged = mapping(read_readers(run).get("judged"))
    return {name: finite(judged.get(name)) for name in ("num_readings", "num_cases")} if judged else None


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
