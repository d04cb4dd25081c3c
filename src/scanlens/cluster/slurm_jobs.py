"""What Slurm says of jobs that were sent to it: asked of `sacct` alone, which still knows those that are gone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence

PATIENCE_S = 20.0
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
AT_WORK = ("RUNNING", "CONFIGURING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING", "SUSPENDED", "STOPPED")
ENDED = {
    "BOOT_FAIL": "its machine did not start",
    "CANCELLED": "it was cancelled",
    "COMPLETED": "it ended",
    "DEADLINE": "its deadline passed",
    "FAILED": "it failed",
    "NODE_FAIL": "its machine failed",
    "OUT_OF_MEMORY": "it needed more memory than it was given (hydra.launcher.mem_gb)",
    "PREEMPTED": "it had to make room for another job",
    "REVOKED": "it was revoked",
    "TIMEOUT": "its time was over (hydra.launcher.timeout_min)",
}
"""States in which nothing more will come of a job, and what they say."""
_TASKS = re.compile(r"(\d+)_\[([\d,:\-]+)(?:%\d+)?\]")


def accounting_problem() -> str | None:
    """Why `sacct` cannot be asked; None if it answers. Without it, a job that was killed would be waited for without end."""
    try:
        done = _sacct("-X", "-n", "-P", "-o", "JobID", "-S", "now")
    except FileNotFoundError:
        return "there is no program sacct on this machine"
    except subprocess.TimeoutExpired:
        return f"sacct did not answer within {PATIENCE_S:.0f} s"
    except OSError as error:
        return f"sacct cannot be started ({error.strerror})"
    return " ".join(done.stderr.split()) or f"sacct ended with status {done.returncode}" if done.returncode else None


def states_of(jobs: Sequence[str]) -> dict[str, str] | None:
    """State of each job that Slurm knows, in its words, such as {"17_0": "RUNNING"}; None if it does not answer now.

    Args:
        jobs: numbers, those of array tasks as "17_0".
    """
    arrays = ",".join(sorted({job.partition("_")[0] for job in jobs}))
    try:
        done = _sacct("-X", "-n", "-P", "-o", "JobID,State", "-j", arrays)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else parse_states(done.stdout)


def parse_states(text: str) -> dict[str, str]:
    """The answer of `sacct -X -n -P -o JobID,State`; tasks that wait together, as "17_[2-4,7%2]", are told apart.

    >>> parse_states("17_0|CANCELLED by 1000\\n17_[1-2%1]|PENDING\\n")
    {'17_0': 'CANCELLED', '17_1': 'PENDING', '17_2': 'PENDING'}
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        job, _, state = line.partition("|")
        words = state.split()
        if words and "." not in job:
            found |= dict.fromkeys(_tasks(job), words[0].rstrip("+"))
    return found


def is_over(state: str) -> bool:
    """Whether nothing more will come of a job in this state."""
    return state in ENDED


def _tasks(job: str) -> Iterator[str]:
    array = _TASKS.fullmatch(job)
    if array is None:
        yield job
        return
    for part in array[2].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        yield from (f"{array[1]}_{task}" for task in range(int(first), int(last or first) + 1, int(step or 1)))


def _sacct(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sacct", *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
