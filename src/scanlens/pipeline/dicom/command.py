"""`scanlens dicom`: objects of the explained cases, written below the run; a case that cannot be had does not stop the others."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from scanlens.data.display import displayed, text_in_pixels
from scanlens.data.preprocess import Preprocess
from scanlens.errors import ImageError, RunError, did_you_mean
from scanlens.files import write_bytes
from scanlens.pipeline import only_writer
from scanlens.pipeline.dicom.request import Request
from scanlens.pipeline.dicom.sources import Sources, check_unchanged, evidence_on
from scanlens.pipeline.dicom.stored import StoredCases, StoredMap
from scanlens.report.dicom.case import Evidence, ExplainedCase, MapFacts, NotMade
from scanlens.report.dicom.issue import Issue
from scanlens.report.dicom.objects import object_bytes, require_highdicom
from scanlens.runs import Run
from scanlens.seeds import derived_seed
from scanlens.types import RawImage

log = logging.getLogger(__name__)


def export_dicom(request: Request, *, now: datetime | None = None) -> list[Path]:
    """Write the objects of every case that was asked for; what could not be made is logged with its reason.

    Args:
        request: what was asked.
        now: the moment that objects with an identity are dated by; None for the present.

    Raises:
        ConfigError: highdicom is missing.
        RunError: the run is none of a classifier on DICOM files, has not the case, or nothing could be written.
    """
    require_highdicom()
    cases = StoredCases(request.run)
    names = _chosen(cases, request)
    with only_writer(cases.run.folder):
        sources = Sources(cases.run, keeps_identity=request.keeps_identity)
        folder = cases.run.folder / "dicom"
        folder.mkdir(mode=0o700, exist_ok=True)
        created = (now or datetime.now()) if request.keeps_identity else None
        written = [path for name in names for path in _written(name, cases, sources, request, folder, created)]
    if not written:
        raise RunError("nothing was written; the reasons are above")
    log.info(
        "%d objects in %s. %s", len(written), folder,
        "They name the patient: they belong to the archive that the images came from, and nowhere else."
        if request.keeps_identity
        else "Patients are pseudonyms and UIDs are replaced: an archive does not file them with the study they are about.",
    )  # fmt: skip
    return written


def _chosen(cases: StoredCases, request: Request) -> list[str]:
    if unknown := [one for one in request.cases if one not in cases.entries]:
        raise RunError(
            "\n".join(f"{request.run} did not explain {one}. {did_you_mean(one, cases.entries)}" for one in unknown)
        )
    return list(request.cases or cases.entries)[: request.most]


def _written(
    name: str, cases: StoredCases, sources: Sources, request: Request, folder: Path, created: datetime | None
) -> list[Path]:
    try:
        case, issue = _case(name, cases, sources, request, created)
    except ImageError as error:
        log.warning("%s: no object: %s", name, error)
        return []
    written = []
    for kind in request.kinds:
        path = folder / f"{name}_{kind}.dcm"
        try:
            content = object_bytes(kind, case, issue)
        except NotMade as error:
            path.unlink(missing_ok=True)  # of a former time, when it could be made
            log.warning("%s: no %s: %s", name, kind, error)
            continue
        write_bytes(path, content)
        log.info("%s", path)
        written.append(path)
    return written


def seed_of_tested_region(run: Run, name: str) -> int:
    """By which `case_verdicts` broke ties among pixels of a case, so that the region outlined is the one that was tested."""
    return derived_seed(derived_seed(int(run.config["seed"]), _index(name)), 0)


def _index(name: str) -> int:
    """Of the image in split.csv."""
    return int(name.rpartition("-")[2])


def _case(
    name: str, cases: StoredCases, sources: Sources, request: Request, created: datetime | None
) -> tuple[ExplainedCase, Issue]:
    """Everything about one case.

    Raises:
        ImageError: something of it cannot be had, and what.
    """
    index = _index(name)
    stored, preprocess = cases.stored_map(name), Preprocess(**cases.facts["preprocess"])
    raw, reference = sources.find(index)
    check_unchanged(raw, stored, preprocess)
    if not request.allows_text and (why := text_in_pixels(raw)):
        raise ImageError(f"text may be burnt into its pixels ({why}). Look at it, then say burnt_in_text=allow")
    facts, evidence = _evidence(name, cases, raw, stored, preprocess)
    case = ExplainedCase(
        name=name,
        number=index + 1,
        header=reference.header,
        frame=reference.frame,
        spacing_mm=reference.spacing_mm,
        shown=displayed(raw),
        answer=cases.answer(name),
        map_facts=facts,
        algorithm=cases.algorithm,
        evidence=evidence,
    )
    return case, _issue(name, cases, sources, stored, request, created)


def _evidence(
    name: str, cases: StoredCases, raw: RawImage, stored: StoredMap, preprocess: Preprocess
) -> tuple[MapFacts, Evidence | None]:
    """What is said of the map, and what may be drawn of it."""
    facts = cases.map_facts(name)
    if facts.hidden:
        return facts, None
    try:
        seed = seed_of_tested_region(cases.run, name)
        return facts, evidence_on(raw, stored, preprocess, share=cases.share, seed=seed)
    except NotMade as error:
        return replace(facts, hidden=str(error)), None


def _issue(
    name: str,
    cases: StoredCases,
    sources: Sources,
    stored: StoredMap,
    request: Request,
    created: datetime | None,
) -> Issue:
    told = (cases.algorithm.version, cases.algorithm.serial, str(created), str(request.keeps_identity))
    series = hashlib.sha256("\0".join(told).encode()).hexdigest()
    seed = hashlib.sha256("\0".join((series, cases.seed(name), stored.digest)).encode()).hexdigest()
    return Issue(
        uid=sources.pseudonyms.uid, series_seed=series, seed=seed, is_identified=request.keeps_identity, created=created
    )
