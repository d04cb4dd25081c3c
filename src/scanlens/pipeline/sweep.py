"""What the jobs of a sweep came to: sweep.json, sweep.csv and sweep.html in its folder, and a table on the terminal."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scanlens.cluster import slurm_jobs
from scanlens.cluster.sweep_jobs import (
    DONE,
    QUEUED,
    RUNNING,
    STOPPED,
    SweepJob,
    change_job,
    read_jobs,
    unfinished,
)
from scanlens.cluster.watching import status_of
from scanlens.errors import RunError
from scanlens.files import write_csv, write_json
from scanlens.pipeline.levels import levels_of
from scanlens.report.folder import SWEEP_VERSION
from scanlens.report.sweep import METRICS, build_sweep_page, overrides_in_public, sweep_table
from scanlens.report.words import without_paths
from scanlens.runs import Config, Run

log = logging.getLogger(__name__)
_MOST_NAMED = 8


def gather_sweep(folder: Path, *, is_over: bool = False, search: Config | None = None) -> Config:
    """Put together what the jobs of a sweep came to; sweep.json, sweep.csv and sweep.html go into its folder.

    Args:
        folder: of the sweep.
        is_over: whether whoever started the jobs waits for them no more, so that one that seems at work was stopped.
        search: of a search for settings, what it found (see `pipeline.search`); no results on test images are shown then.

    Returns:
        The contents of sweep.json: `varied` (settings that differ between jobs), `common` (words that all have), `jobs` (number,
        values of the varied settings, status, reason, folder, page, monitor with name and value, test results by level and
        metric) and `search`.

    Raises:
        RunError: if the folder holds no sweep.
    """
    folder = Path(folder).resolve()
    jobs = read_jobs(folder)
    if not jobs:
        raise RunError(
            f"{folder} holds no sweep. Give the folder that python train.py -m ... printed: outputs/<RUN_ID>."
        )
    jobs = _settled(folder, jobs, is_over=is_over)
    former = _former(folder)
    search = _with_test(folder, search if search is not None else former.get("search"))
    content = _content(folder, jobs, search)
    write_json(folder / "sweep.json", content)
    write_csv(folder / "sweep.csv", *_table(content))
    page = build_sweep_page(folder)
    log.info("\n%s\n%s", sweep_table(folder), page)
    return content


def refuse_unfinished(folder: Path, *, run_id: str) -> None:
    """Tell which jobs of a sweep are not done.

    Raises:
        RunError: if one is not.
    """
    jobs = read_jobs(folder)
    rest = list(unfinished(jobs))
    if rest:
        named = [
            f"  job {job.number}: {job.status}{', ' if job.reason else ''}{job.reason}" for job in rest[:_MOST_NAMED]
        ]
        more = [f"  and {len(rest) - _MOST_NAMED} more"] if len(rest) > _MOST_NAMED else []
        raise RunError(
            "\n".join([f"{len(rest)} of {len(jobs)} jobs of the sweep are not done:", *named, *more])
            + f"\nThe same command with run_id={run_id} goes on with them; what is done is not repeated."
        )


def _settled(folder: Path, jobs: Sequence[SweepJob], *, is_over: bool) -> list[SweepJob]:
    """Jobs as they are now: some may have ended without a word."""
    open_jobs = [job for job in jobs if job.status in (QUEUED, RUNNING)]
    sent = [job.cluster_job for job in open_jobs if job.cluster_job]
    states = (slurm_jobs.states_of(sent) or {}) if sent else {}
    settled = []
    for job in jobs:
        now = job
        state = states.get(job.cluster_job or "")
        if job in open_jobs and state is not None and slurm_jobs.is_over(state):
            now = replace(job, status=status_of(state), reason=slurm_jobs.ENDED[state])
        elif job in open_jobs and is_over and not job.cluster_job:
            now = replace(
                job, status=STOPPED, reason="not begun" if job.status == QUEUED else "it ended without a word"
            )
        if now != job:
            change_job(folder, job.number, status=now.status, reason=now.reason)
        settled.append(now)
    return settled


def _with_test(folder: Path, search: Config | None) -> Config | None:
    """A search, with the test results of its best trial once that has been judged."""
    best = (search or {}).get("best")
    if search is None or not best:
        return search
    evaluation = _json(Run(folder / str(best["number"])).evaluation_file)
    return {**search, "best": {**best, "levels": _results(evaluation)}}


def _former(folder: Path) -> Config:
    try:
        return dict(json.loads((folder / "sweep.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _content(folder: Path, jobs: Sequence[SweepJob], search: Config | None) -> Config:
    words = [overrides_in_public(job.overrides) for job in jobs]
    varied, common = _varied(words)
    return {
        "schema_version": SWEEP_VERSION,
        "name": folder.name,
        "varied": varied,
        "common": common,
        "jobs": [_about(folder, job, one, varied, search) for job, one in zip(jobs, words, strict=True)],
        "search": search,
    }


def _varied(words: Sequence[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """Settings that are not the same in all jobs, and words that are."""
    names = list(dict.fromkeys(name for one in words for name in one))
    varied = [name for name in names if len({one.get(name) for one in words}) > 1]
    return varied, [f"{name}={words[0][name]}" for name in names if name not in varied]


def _about(
    folder: Path, job: SweepJob, words: Mapping[str, str], varied: Sequence[str], search: Config | None
) -> Config:
    run = Run(folder / job.folder) if job.folder else None
    evaluation = _json(run.evaluation_file) if run and job.status == DONE and search is None else {}
    page = run.report_file if run and search is None else None
    return {
        "number": job.number,
        "values": {name: words.get(name) for name in varied},
        "status": job.status,
        "reason": without_paths(job.reason),
        "folder": job.folder,
        "page": page.relative_to(folder).as_posix() if page and page.is_file() else None,
        "monitor": {"name": _monitored(run), "value": job.value},
        "levels": _results(evaluation),
        "cluster_job": job.cluster_job,
        "fit_s": (_json(run.provenance_file).get("duration_s") or {}).get("fit") if run else None,
    }


def _monitored(run: Run | None) -> str | None:
    try:
        return None if run is None else str(run.facts["monitor"]["name"])
    except (RunError, KeyError, TypeError, OSError):
        return None


def _results(evaluation: Config) -> Config:
    """Level to metric to value and bounds, of the test, of the metrics that are told."""
    judged = (evaluation.get("splits") or {}).get("test")
    if not judged:
        return {}
    levels = levels_of(judged, evaluation["task"])
    kept = ("value", "low", "high")
    return {
        level: {name: {key: metrics[name].get(key) for key in kept} for name in METRICS if name in metrics}
        for level, metrics in levels.items()
    }


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _table(content: Config) -> tuple[list[str], list[Config]]:
    """Columns and rows of sweep.csv: one row a job."""
    found = [(level, name) for job in content["jobs"] for level, metrics in job["levels"].items() for name in metrics]
    results = list(dict.fromkeys(found))
    rows = []
    for job in content["jobs"]:
        row = {"job": job["number"], "status": job["status"], "reason": job["reason"], **job["values"]}
        row |= {"monitor": job["monitor"]["name"], "best": job["monitor"]["value"]}
        for level, name in results:
            known = job["levels"].get(level, {}).get(name, {})
            column = f"{'image' if level == 'slice' else level}_{name}"
            row |= {column: known.get("value"), f"{column}_low": known.get("low"), f"{column}_high": known.get("high")}
        rows.append(row | {"fit_s": job["fit_s"], "folder": job["folder"], "cluster_job": job["cluster_job"]})
    return list(rows[0]), rows
