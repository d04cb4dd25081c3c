"""A job of Slurm: whether this is one, and how it gets back into the queue."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
from collections.abc import Mapping

log = logging.getLogger(__name__)
PATIENCE_S = 20.0
JOB_PATTERN = re.compile(r"\d+(_\d+)?")


def job_of_this_process(environment: Mapping[str, str] = os.environ) -> str | None:
    """Number of the job, with that of the task of an array, such as "17" or "17_2"; None outside of Slurm."""
    array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else environment.get("SLURM_JOB_ID", "")
    return job if JOB_PATTERN.fullmatch(job) else None


def wants_requeue(number: int, job: str) -> bool:
    """Whether a job that got this signal should run again: after a warning (USR1, USR2), and after SIGTERM if it was preempted.

    SIGTERM also comes when somebody cancels a job or its time is over; then it must not come back by itself.
    """
    return number != signal.SIGTERM or _is_preempted(job)


def requeue(job: str) -> bool:
    """Put a job back into the queue; whether Slurm took it."""
    done = _scontrol("requeue", job)
    if done is None or done.returncode:
        told = "it did not answer" if done is None else " ".join(done.stderr.split())
        log.warning("Slurm did not take job %s back into the queue: %s", job, told)
        return False
    return True


def _is_preempted(job: str) -> bool:
    done = _scontrol("show", "job", "-o", job)
    found = re.search(r"\bPreemptTime=(\S+)", done.stdout) if done else None
    return found is not None and found[1] not in ("None", "Unknown", "NONE", "N/A")


def _scontrol(*words: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(["scontrol", *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
