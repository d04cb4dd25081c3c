"""Processes that somebody else started for one run: torchrun, or srun with several tasks.

Process 0 leads: it prepares the run, calls the others to the training, and judges alone. The others read the run folder.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scanlens.errors import RunError

FIRST_PORT, NUM_PORTS = 15_000, 20_000


@dataclass(frozen=True, slots=True)
class Group:
    """This process among those that train together.

    Args:
        rank: of this process, 0 for the one that leads.
        world: number of processes.
        local_rank: of this process on its machine.
        local_world: number of processes on this machine, the same on all.
        address: of the machine of process 0, as the others reach it.
        port: at which they meet.
        start: a name of this start, the same for all processes and for no other start.
        by: who started it, for messages.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int
    address: str
    port: int
    start: str
    by: str

    @property
    def num_nodes(self) -> int:
        """Machines."""
        return self.world // self.local_world

    @property
    def leads(self) -> bool:
        """Whether this is the process that prepares, judges and reports."""
        return self.rank == 0


def group_of_this_process(environment: Mapping[str, str] = os.environ) -> Group | None:
    """The group that this process was started in; None where it was started alone.

    Raises:
        RunError: if somebody asked for several processes and started one, or made them unequal; it would wait for ever.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        return _of_torchrun(environment)
    if environment.get("SUBMITIT_EXECUTOR") == "local" and int(environment.get("SUBMITIT_LOCAL_NTASKS", "1")) > 1:
        raise RunError(
            "several tasks of submitit's local launcher do not know of each other. Use one task, and let the run start its "
            "processes: hydra.launcher.tasks_per_node=1 trainer=ddp trainer.devices=2"
        )
    if int(environment.get("SLURM_NTASKS", "1")) > 1 and "SLURM_JOB_ID" in environment:
        return _of_srun(environment)
    return None


def _of_torchrun(environment: Mapping[str, str]) -> Group | None:
    world, local_world = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
    if world == 1:
        return None
    return Group(
        rank=int(environment["RANK"]),
        world=world,
        local_rank=int(environment["LOCAL_RANK"]),
        local_world=_equal_share(world, local_world),
        address=environment["MASTER_ADDR"],
        port=int(environment["MASTER_PORT"]),
        start=f"torchrun-{_start_of_torchrun(environment)}-{environment.get('TORCHELASTIC_RESTART_COUNT', '0')}",
        by="torchrun",
    )


def _start_of_torchrun(environment: Mapping[str, str]) -> str:
    """The name that torchrun gave this start; where it gave none, the process that all of this machine descend from."""
    name = environment["TORCHELASTIC_RUN_ID"]
    if name != "none":
        return re.sub(r"[^A-Za-z0-9._-]", "-", name)[:40]
    if environment.get("GROUP_WORLD_SIZE", "1") != "1":
        raise RunError(
            "torchrun on several machines needs a name for this start: --rdzv-id=NAME --rdzv-backend=c10d --rdzv-endpoint=HOST:PORT"
        )
    parent = os.getppid()
    try:
        began = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        began = "0"
    return f"{parent}-{began}"


def _of_srun(environment: Mapping[str, str]) -> Group | None:
    world = int(environment["SLURM_NTASKS"])
    if "SLURM_STEP_ID" not in environment or "SLURM_PROCID" not in environment:
        if "SLURM_PROCID" not in environment:  # a shell of salloc, in which somebody typed a command
            return None
        raise RunError(
            f"this job has {world} tasks and the batch script started one process. Start them with srun ('srun python train.py "
            "...'), or ask for one task (--ntasks=1) and let the run start its processes (trainer=ddp trainer.devices=2)."
        )
    step = environment["SLURM_STEP_ID"]
    world = int(environment.get("SLURM_STEP_NUM_TASKS", world))
    if world == 1:
        return None
    per_node = environment.get("SLURM_STEP_TASKS_PER_NODE") or environment.get("SLURM_TASKS_PER_NODE") or str(world)
    job = environment["SLURM_JOB_ID"]
    return Group(
        rank=int(environment["SLURM_PROCID"]),
        world=world,
        local_rank=int(environment["SLURM_LOCALID"]),
        local_world=_equal_tasks(per_node, world),
        address=environment.get("MASTER_ADDR") or _first_node(environment),
        port=int(environment.get("MASTER_PORT") or FIRST_PORT + (int(job) * 7 + int(step)) % NUM_PORTS),
        start=f"slurm-{job}-{step}-{environment.get('SLURM_RESTART_COUNT', '0')}",
        by="srun",
    )


def _equal_share(world: int, local_world: int) -> int:
    if world % local_world:
        raise RunError(
            f"{world} processes, {local_world} of them on this machine: every machine must have equally many."
        )
    return local_world


def _equal_tasks(text: str, world: int) -> int:
    """Tasks of each machine of Slurm's "2(x3)" or "2"; "2,1" is refused."""
    found = re.fullmatch(r"(\d+)(?:\(x\d+\))?", text)
    if found is None:
        raise RunError(
            f"{world} tasks are spread unequally over the machines ({text}). Ask for --ntasks-per-node, with which all have "
            "equally many."
        )
    return _equal_share(world, int(found[1]))


def _first_node(environment: Mapping[str, str]) -> str:
    """Name of the first machine of "n[03-05,9]" or "a,b"; this machine, where all tasks are on one."""
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST") or ""
    if not nodes or int(environment.get("SLURM_STEP_NUM_NODES", environment.get("SLURM_NNODES", "1"))) == 1:
        return "127.0.0.1"
    first = re.match(r"([^\[,]+)(?:\[([^\],-]+))?", nodes)
    return "".join(part or "" for part in first.groups()) if first else socket.gethostname()
