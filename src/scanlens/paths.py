"""Where the configuration lies, and what a run is called."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

from scanlens.cluster.group import group_of_this_process

RUN_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SEED_FOLDER = "seed_"  # and the seed: what a study of several seeds calls the folder of each
RUN_ID_WORDS = "letters, digits, '.', '_' and '-', at most 100 of them"


def config_dir() -> Path:
    """The folder of configuration groups: the packaged copy of a wheel, or `conf/` of the checkout."""
    here = Path(__file__).resolve().parent
    packaged = here / "conf"
    if packaged.is_dir():
        return packaged
    return here.parents[1] / "conf"


def new_run_id() -> str:
    """A name for a run: the Slurm job (and array task) it belongs to, or the start by torchrun, the same for all its processes,
    or the time to the second and the process."""
    job = os.environ.get("SLURM_ARRAY_JOB_ID") or os.environ.get("SLURM_JOB_ID")
    if job:
        task = os.environ.get("SLURM_ARRAY_TASK_ID")
        return f"slurm-{job}" + (f"-{task}" if task else "")
    if group := group_of_this_process():
        return group.start
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{os.getpid()}"
