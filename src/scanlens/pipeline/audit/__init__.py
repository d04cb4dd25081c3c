"""The audit: what is wrong with the data before a network learns it. At the head of every training run, and alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from scanlens.config import build
from scanlens.data.audit_plan import AuditPlan
from scanlens.errors import DataError, RunError
from scanlens.files import write_csv, write_json
from scanlens.pipeline.audit.copies import copies_part
from scanlens.pipeline.audit.listing import listed_chains, listed_groups
from scanlens.pipeline.audit.measures import measured_parts
from scanlens.pipeline.decode import Listed, decode
from scanlens.pipeline.division import Division, look_and_divide
from scanlens.report.audit import console_audit, leak_sentences
from scanlens.report.audit_page import build_audit_page
from scanlens.report.folder import AUDIT_VERSION
from scanlens.runs import Config, Run

log = logging.getLogger(__name__)
LISTS = ("copies.csv", "chains.csv", "doubtful_labels.csv", "odd_images.csv")


def audit_run(config: Config) -> None:
    """What `scanlens audit` does: list, decode, divide as training would, and tell what was found.

    Raises:
        DataError: if the data cannot be used as a whole; with audit.on_leak=error, if a copy lies in two splits.
        RunError: if the folder holds a training run, whose split and audit are part of its result.
    """
    from scanlens.pipeline import only_writer
    from scanlens.pipeline.build import settle_hardware

    run = Run(Path(config["run_dir"]).resolve())
    run.folder.mkdir(parents=True, exist_ok=True)
    with only_writer(run.folder):
        _refuse_trained(run)
        hardware = settle_hardware(config["trainer"], model=config["model"])
        listed = decode(config, accelerator=hardware["accelerator"])
        write_quarantine(run, listed)
        division = look_and_divide(config, listed)
        run.split_file.unlink(missing_ok=True)
        run.images_file.unlink(missing_ok=True)
        if division.problem is None:
            division.table.write(run.split_file)
        else:  # nothing else says which image a number of the lists is
            named = [{"index": index, "id": record.id} for index, record in enumerate(listed.records)]
            write_csv(run.images_file, ["index", "id"], named, private=True)
        result = audit(config, listed, division, run)
        page = build_audit_page(run.folder)
        log.info("%s\n\n%-8s %s", console_audit(run.folder), "report", page)
        if division.problem is not None:
            raise division.problem
        refuse_leaks(config, result)


def _refuse_trained(run: Run) -> None:
    if run.config_file.exists():
        raise RunError(
            f"{run.folder} holds a training run, and an audit would replace its split.csv. Choose another run_id; what "
            "was found before that training is in its report/audit.html."
        )


def write_quarantine(run: Run, listed: Listed) -> None:
    """Write `quarantine.csv`: what could not be read, and why."""
    rows = [{"id": one.id, "reason": one.reason} for one in listed.images.quarantined]
    write_csv(run.quarantine_file, ["id", "reason"], rows, private=True)


def audit(config: Config, listed: Listed, division: Division, run: Run) -> Config:
    """Look for everything and write audit.json, lists and pictures into a run folder.

    Returns:
        The contents of audit.json.

    Raises:
        RunError: if the folder `audit` is a link.
    """
    folder = run.folder / "audit"
    if folder.is_symlink():
        raise RunError(f"{folder} is a link, and what was found would land elsewhere. Remove the link.")
    (run.folder / "audit.json").unlink(
        missing_ok=True
    )  # an interrupted audit leaves none, rather than one of another split
    _clear(folder)
    plan: AuditPlan = build(config["audit"])
    splits: Sequence[str | None] = [row.split for row in division.table.rows] or [None] * len(listed.records)
    patients = {record.patient for record in listed.records if record.patient}
    known = all(record.patient for record in listed.records)
    result = {
        "schema_version": AUDIT_VERSION,
        "name": listed.source.name,
        "num_images": len(listed.records),
        "num_quarantined": len(listed.images.quarantined),
        "num_patients": len(patients) if known else None,
        "num_known_patients": len(patients),
        "on_leak": plan.on_leak,
        "overrides": division.overrides,
        "not_divided": None if division.problem is None else division.problem.public,
        "notes": division.table.notes,
        "duplicates": copies_part(listed, division, splits)
        | listed_groups(listed, division, splits, folder=folder, most=plan.most_listed),
    }
    result["hidden_patients"] = listed_chains(listed, division, splits, folder=folder, most=plan.most_listed)
    with threadpool_limits(limits=1):  # small matrices: threads that wait for each other cost more than they bring
        result |= measured_parts(listed, division, splits, plan=plan, seed=config["seed"], folder=folder)
    write_json(run.folder / "audit.json", result)
    return result


def _clear(folder: Path) -> None:
    """Remove the lists and pictures of an earlier audit, which may have been of other images."""
    lists = (folder / name for name in LISTS if (folder / name).is_file())
    for path in (*lists, *folder.glob("*-[0-9][0-9][0-9][0-9][0-9].png")):
        path.unlink()


def refuse_leaks(config: Config, result: Config) -> None:
    """Stop where copies lie in two splits and `audit.on_leak` says so.

    Raises:
        DataError: with what leaks and what to do.
    """
    told = leak_sentences(result)
    if told and config["audit"]["on_leak"] == "error":
        raise DataError(
            "audit.on_leak=error, and the split leaks:\n"
            + "\n".join(f"  - {one}" for one in told)
            + "\nSet audit.on_leak=fix to keep copies on one side, or audit.on_leak=warn to go on as it is."
        )
