"""Waits for jobs that were sent to Slurm, tells what becomes of them, and does not wait for one that is gone."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scanlens.cluster import slurm_jobs
from scanlens.cluster.sweep_jobs import CANCELLED, FAILED, QUEUED, RUNNING, change_job, read_job
from scanlens.errors import RunError

log = logging.getLogger(__name__)
POLL_S, TELL_S = 3.0, 10.0
GRACE_S = 15.0  # from the end of a job until its result must be seen, also on a disk that machines share
LONGER_GRACE_S = 30.0  # of one that Slurm may put back into the queue
SILENCE_S = 120.0  # of sacct, once it has answered


@dataclass
class Watched:
    """A job in Slurm.

    Args:
        number: in the sweep.
        name: in Slurm, such as "17_0".
        result_file: that the job writes last.
        read_result: reads it; raises what the job raised.
        log_file: what the job says.
        state: in Slurm's words; empty before it is known.
        gone_since: when it was first seen to be over without a result.
        told: what was last said of it.
        result: of the job, or the error in its place; None as long as it is waited for.
    """

    number: int
    name: str
    result_file: Path
    read_result: Callable[[], Any]
    log_file: Path
    state: str = ""
    gone_since: float | None = None
    told: str = ""
    result: Any = None


@dataclass
class Watch:
    """Jobs of one sweep that are waited for.

    Args:
        folder: of the sweep.
        jobs: in their order.
    """

    folder: Path
    jobs: list[Watched]
    heard: float = field(default_factory=lambda: time.monotonic())
    told: float = float("-inf")

    def wait(self) -> list[Any]:
        """The results, in the order of the jobs; of one that failed or is gone, a RunError in place of a result.

        Raises:
            RunError: if sacct does not answer any more.
        """
        while True:
            self.look()
            is_over = all(job.result is not None for job in self.jobs)
            if is_over or time.monotonic() - self.told >= TELL_S:
                self._tell()
            if is_over:
                return [job.result for job in self.jobs]
            time.sleep(POLL_S)

    def look(self) -> None:
        """Ask Slurm once, and note what has ended."""
        waiting = [job for job in self.jobs if job.result is None]
        states = slurm_jobs.states_of([job.name for job in waiting])
        now = time.monotonic()
        if states is not None:
            self.heard = now
        elif now - self.heard > SILENCE_S:
            raise RunError(
                f"sacct has not answered for {SILENCE_S:.0f} s, so nobody can tell how the jobs are doing. "
                f"Later: scanlens sweep run={self.folder}"
            )
        for job in waiting:
            self._look_at(job, states or {}, now)

    def _look_at(self, job: Watched, states: Mapping[str, str], now: float) -> None:
        job.state = states.get(job.name, job.state)
        if job.result_file.exists():
            job.result = _result_of(job)
        elif slurm_jobs.is_over(job.state):
            job.gone_since = now if job.gone_since is None else job.gone_since
            grace = LONGER_GRACE_S if job.state in ("NODE_FAIL", "PREEMPTED") else GRACE_S
            if now - job.gone_since >= grace or job.state == "CANCELLED":
                job.result = self._lost(job)
        else:
            job.gone_since = None

    def _lost(self, job: Watched) -> RunError:
        """What stands in place of the result of a job that ended without one."""
        noted = read_job(self.folder, job.number)
        own = noted.reason if noted is not None and noted.status not in (QUEUED, RUNNING) else ""
        reason = f"{slurm_jobs.ENDED[job.state]} (Slurm: {job.state})" + (f"; {own}" if own else "")
        reason += (
            ""
            if job.state == "CANCELLED"
            else f"; its log, in the folder of the sweep: {os.path.relpath(job.log_file, self.folder)}"
        )
        change_job(self.folder, job.number, status=status_of(job.state), reason=reason)
        return RunError(f"job {job.name} of Slurm: {reason}")

    def _tell(self) -> None:
        self.told = time.monotonic()
        for job in self.jobs:
            words = self._words(job)
            if words != job.told:
                job.told = words
                log.info("job %d (%s): %s", job.number, job.name, words)

    def _words(self, job: Watched) -> str:
        noted = read_job(self.folder, job.number)
        has_begun = noted is not None and noted.folder is not None
        if job.result is not None:
            is_told = noted is not None and noted.status not in (QUEUED, RUNNING)
            words = (
                noted.status
                if noted is not None and is_told
                else "failed"
                if isinstance(job.result, Exception)
                else "done"
            )
            return words + (f", {noted.reason}" if noted is not None and noted.reason else "")
        if job.state in slurm_jobs.WAITING or not job.state:
            return "back in the queue" if has_begun else "queued"
        if slurm_jobs.is_over(job.state):
            return "ending"
        if noted is None or noted.folder is None:
            return "started"
        epochs = _epochs(self.folder / noted.folder / "metrics.csv")
        of = f"/{noted.max_epochs}" if noted.max_epochs else ""
        return f"running, epoch {epochs}{of}" if epochs else "running"


def status_of(state: str) -> str:
    """The status of a job that ended in Slurm without saying how it went."""
    return CANCELLED if state == "CANCELLED" else FAILED


def _result_of(job: Watched) -> Any:
    """What a job gave back; its exception, where it raised one outside of Hydra."""
    try:
        return job.read_result()
    except Exception as error:  # whatever the job raised, as text
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("---")]
        told = next(
            (line for line in reversed(lines) if "Error" in line and "job." not in line),
            (lines or [type(error).__name__])[-1],
        )
        return RunError(f"{told}; see {job.log_file}")


def _epochs(path: Path) -> int:
    """Rows of a table of epochs."""
    try:
        return max(0, len(path.read_text(encoding="utf-8").splitlines()) - 1)
    except OSError:
        return 0
