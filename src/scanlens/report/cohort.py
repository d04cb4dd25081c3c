"""`report/cohort.json`: everything that a reviewer of a network asks for, in one file, by a published schema; and what of it there is not.

The parts are those of the run folder, unchanged: metrics with intervals, n and reasons where something is missing. A part that
was not measured is told with what it would need, in the file and at the end of the page; none is left out silently.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from scanlens.errors import RunError
from scanlens.files import write_json
from scanlens.report.case_sheet import identity
from scanlens.report.checklist import checklists
from scanlens.report.folder import RunFolder, finite, mapping, optional_versioned
from scanlens.report.frontier import explanation_scores
from scanlens.report.html import NOTICE
from scanlens.report.readers import read_readers
from scanlens.report.sentences import primary_level

SCHEMA_VERSION = 1
SCHEMA = Path(__file__).parent / "case_sheet" / "schemas" / "cohort.schema.json"
Content = dict[str, Any]


def cohort_record(run: RunFolder) -> Content:
    """The contents of the file.

    Args:
        run: a finished run of a classifier.

    Raises:
        RunError: if a file of the run folder holds what it should not.
    """
    parts = [_part(name, title, needs, content(run)) for name, title, needs, content in _PARTS]
    record = {
        "schema": "scanlens.cohort",
        "schema_version": SCHEMA_VERSION,
        "notice": NOTICE,
        "model": identity.model(run),
        "tested_on": identity.tested_on(run),
        "parts": parts,
    }
    fault = jsonschema.exceptions.best_match(_validator().iter_errors(record))
    if fault is not None:
        place = "/".join(str(one) for one in fault.absolute_path)
        raise RunError(
            f"report/cohort.json would not follow {SCHEMA.name}: {place}: {fault.message[:300]}. Judge the run again."
        )
    return record


def write_cohort(run: RunFolder) -> Path | None:
    """Write the file and return where it lies; None for runs that rebuild pictures and for external evaluations."""
    path = run.path / "report" / "cohort.json"
    if not run.is_classification or run.evaluation.get("external"):
        path.unlink(missing_ok=True)
        return None
    write_json(path, cohort_record(run))
    return path


def measured_table(run: RunFolder) -> list[dict[str, str]]:
    """One row a part for the page: its title, whether it was measured, and what it would need."""
    if not run.is_classification:
        return []
    return [
        {"title": one["title"], "status": one["status"], "reason": one["reason"] or ""}
        for one in cohort_record(run)["parts"]
    ]


def _part(name: str, title: str, needs: str, content: Content | None) -> Content:
    """A part; one whose content is only a reason was not measured."""
    reason = None if content is None else content.get("reason")
    is_there = content is not None and not (reason and len(content) == 1)
    return {
        "name": name,
        "title": title,
        "status": "measured" if is_there else "not assessed",
        "reason": None if is_there else str(reason or needs),
        "content": content if is_there else None,
    }


def _evaluated(name: str) -> Callable[[RunFolder], Content | None]:
    return lambda run: mapping(run.evaluation.get(name)) or None


def _explained(name: str) -> Callable[[RunFolder], Content | None]:
    def content(run: RunFolder) -> Content | None:
        path = run.path / "explanations" / f"{name}.json"
        return optional_versioned(path, 1, remedy="Explain the run again with this version.") or None

    return content


def _data(run: RunFolder) -> Content:
    facts = run.facts
    split = mapping(run.config.get("split"))
    return {
        "num_quarantined": finite(facts.get("num_quarantined")) or len(run.quarantine),
        "num_without_class": finite(facts.get("num_without_class")),
        "divided": {name: split.get(name) for name in ("by", "fractions", "folds", "fold") if name in split},
        "kept_together": facts.get("groups"),
        "counts": mapping(facts.get("counts")),
    }


def _performance(run: RunFolder) -> Content | None:
    return {name: run.split(name) for name in ("val", "test") if run.split(name)} or None


def _misses(run: RunFolder) -> Content | None:
    known = mapping(run.mistakes)
    return {
        name: known[name] for name in ("positive", "unit", "num_missed", "num_false_alarms") if name in known
    } or None


def _decision_curve(run: RunFolder) -> Content | None:
    return mapping(mapping(run.evaluation.get("decisions")).get("decision_curve")) or None


def _operating_point(run: RunFolder) -> Content | None:
    found = mapping(run.evaluation.get("decisions"))
    return {name: one for name, one in found.items() if name != "decision_curve"} or None


def _maps_worth(run: RunFolder) -> Content | None:
    found = mapping(run.evaluation.get("localization"))
    return found or None


def _checklists(run: RunFolder) -> Content:
    return {sheet.name: dict(sorted(Counter(one.status for one in sheet.entries).items())) for sheet in checklists(run)}


def _audit(run: RunFolder) -> Content | None:
    if not run.audit:
        return None
    return {name: one for name, one in run.audit.items() if not isinstance(one, list) or len(one) < 50}


def _robustness(run: RunFolder) -> Content | None:
    return run.robustness


def _frontier(run: RunFolder) -> Content | None:
    """The own point; those of other runs stand in comparison.json."""
    card = optional_versioned(
        run.path / "explanations" / "score_card.json", 1, remedy="Explain the run again with this version."
    )
    found = explanation_scores(card)
    auroc = mapping(mapping(primary_level(run.split("test"))[1].get("metrics")).get("auroc"))
    if found is None or not auroc:
        return None
    return {
        "auroc": auroc,
        "explanations": found,
        "beside_other_runs": "runs and explanations of comparison.json (scanlens compare)",
    }


def _readers(run: RunFolder) -> Content | None:
    content = read_readers(run)
    judged = mapping(content.get("judged"))
    return {**judged, "num_refused": content.get("num_refused")} if judged else None


def _nothing(_: RunFolder) -> Content | None:
    return None


_PARTS: tuple[tuple[str, str, str, Callable[[RunFolder], Content | None]], ...] = (
    ("data", "Data: images in, left out, divided", "", _data),
    ("audit", "Audit of the data", "scanlens audit, or audit.enabled=true", _audit),
    ("reference_standard", "Reference standard and agreement of those who set it", "only the authors know", _nothing),
    ("performance", "Performance with intervals", "a test split", _performance),
    ("operating_point", "Operating point", "operating_point.positive and a validation split", _operating_point),
    ("calibration", "Calibration", "a validation split", _evaluated("calibration")),
    ("decision_curve", "Decision curve", "operating_point.positive", _decision_curve),
    ("misses", "Missed cases and false alarms", "an operating point", _misses),
    ("subgroups", "Subgroups", "columns of metadata", _evaluated("subgroups")),
    ("robustness", "Robustness", "scanlens robustness, or robustness.enabled=true", _robustness),
    ("localization", "Do maps point at marked lesions", "test images with a marked lesion", _maps_worth),
    ("score_card", "Score card of heat maps", "scanlens explain parts=score_card", _explained("score_card")),
    (
        "frontier",
        "Performance against explanation",
        "scanlens explain parts=score_card, then scanlens compare with other runs",
        _frontier,
    ),
    ("verdicts", "What a verdict on a map is worth", "scanlens explain parts=verdicts", _explained("verdicts")),
    ("limits", "Limits of detection and localization", "scanlens explain parts=limits", _explained("limits")),
    ("shortcuts", "Audit of shortcuts", "scanlens explain parts=shortcuts", _explained("shortcuts")),
    ("conformal", "Sets of likely classes", "a validation split", _evaluated("conformal")),
    ("referral", "Referral to a person", "a validation split", _evaluated("referral")),
    ("external", "Other hospitals, scanners or stains", "scanlens evaluate run=... data.root=...", _nothing),
    (
        "readers",
        "Whether maps help a reader",
        "readers: files of the box on the sheets, in the folder readers of the run",
        _readers,
    ),
    ("checklists", "Reporting checklists", "", _checklists),
)


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
