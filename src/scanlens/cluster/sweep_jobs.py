"""How the jobs of a sweep are doing, each in a small file of the folder of the sweep.

Whoever knows writes it: the process that starts the jobs, each job of itself, and whoever hears from Slurm that one is gone.
"""

from __future__ import annotations

import json
import logging
import math
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from scanlens.cluster.stopping import Stopped
from scanlens.errors import ScanlensError
from scanlens.files import write_json

log = logging.getLogger(__name__)
FOLDER = ".jobs"
QUEUED, RUNNING, DONE, FAILED, CANCELLED, STOPPED = "queued", "running", "done", "failed", "cancelled", "stopped"
LONGEST_REASON = 400


@dataclass(frozen=True, slots=True)
class SweepJob:
    """One job.

    Args:
        number: from 0, in the order of the sweep.
        overrides: words of its command, such as ["model=lenet", "seed=1"].
        status: queued, running, done, failed, cancelled or stopped (by a signal).
        reason: why it is not done, in a sentence; empty if it is.
        folder: its run folder, below that of the sweep; None before it began.
        value: the monitored value of its best epoch.
        max_epochs: of its training.
        cluster_job: its number in Slurm, such as "17_0".
    """

    number: int
    overrides: tuple[str, ...]
    status: str = QUEUED
    reason: str = ""
    folder: str | None = None
    value: float | None = None
    max_epochs: int | None = None
    cluster_job: str | None = None


def write_job(folder: Path, job: SweepJob) -> None:
    """Note how a job is doing.

    Args:
        folder: of the sweep.
        job: replaces what was noted of that number.
    """
    write_json(_file(folder, job.number), asdict(job), private=True)


def change_job(folder: Path, number: int, /, **changes: Any) -> None:
    """Note what is new of a job that was noted before; nothing, of one that was not."""
    if (job := read_job(folder, number)) is not None:
        write_job(folder, replace(job, **changes))


def read_job(folder: Path, number: int) -> SweepJob | None:
    """What was noted of a job; None if nothing that can be read."""
    try:
        content = json.loads(_file(folder, number).read_text(encoding="utf-8"))
        known = {field.name: content[field.name] for field in fields(SweepJob) if field.name in content}
        return SweepJob(**(known | {"number": int(content["number"]), "overrides": tuple(content["overrides"])}))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def read_jobs(folder: Path) -> list[SweepJob]:
    """All jobs of a sweep, by their number; none if the folder holds no sweep."""
    numbers = sorted(int(path.stem) for path in (folder / FOLDER).glob("*.json") if path.stem.isdecimal())
    return [job for number in numbers if (job := read_job(folder, number)) is not None]


def noted(folder: Path, job: SweepJob, work: Callable[[], float | None], *, name: str) -> float | None:
    """Do the work of a job and note its beginning and its end. Why it stops is told at once, since others go on.

    Args:
        folder: of the sweep.
        job: as it begins.
        work: gives the monitored value.
        name: of the job, for messages.
    """
    job = replace(job, status=RUNNING)
    write_job(folder, job)
    try:
        value = work()
    except Stopped as stop:
        write_job(folder, replace(job, status=STOPPED, reason=f"stopped by {signal.Signals(stop.number).name}"))
        raise
    except Exception as error:
        write_job(folder, replace(job, status=FAILED, reason=reason_of(error)))
        if isinstance(error, ScanlensError):
            log.error("%s stopped: %s", name, getattr(error, "public", error))  # the log may be passed on
        else:
            log.exception("%s stopped", name)
        raise
    except BaseException:
        write_job(folder, replace(job, status=STOPPED, reason="interrupted"))
        raise
    known = value if value is not None and math.isfinite(value) else None
    write_job(folder, replace(job, status=DONE, value=known))
    return value


def reason_of(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(getattr(error, "public", error)).split()) or type(error).__name__
    told = text if isinstance(error, ScanlensError) else f"{type(error).__name__}: {text}"
    return told if len(told) <= LONGEST_REASON else f"{told[: LONGEST_REASON - 3]}..."


def unfinished(jobs: list[SweepJob]) -> Iterator[SweepJob]:
    """Those that did not do what they should."""
    yield from (job for job in jobs if job.status != DONE)


def _file(folder: Path, number: int) -> Path:
    return folder / FOLDER / f"{number}.json"
