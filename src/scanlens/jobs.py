"""What Hydra starts: one run, one of a sweep, of a search or of a study, and an audit. Here, or on a machine of a cluster."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scanlens.cluster import slurm, stopping
from scanlens.cluster.group import group_of_this_process

if TYPE_CHECKING:
    from omegaconf import DictConfig

    Job = Callable[[DictConfig], float | None]

WARNING = getattr(signal, "SIGUSR2", signal.SIGTERM)  # what submitit has Slurm send before the end
SEARCH = ".SearchSweeper"


def run_job(config: DictConfig, *, is_trial: bool = False) -> float | None:
    """One job, as Hydra starts it here or on a node of a cluster; the monitored value of its best epoch is returned.

    Args:
        config: composed.
        is_trial: whether it ends with the training, so that no test image is looked at.
    """
    from hydra.core.hydra_config import HydraConfig

    group = group_of_this_process()
    with _launcher_hears():
        if group is not None and not group.leads:  # a launcher started every process with the job itself
            from scanlens.pipeline import follow_run

            _write_no_log()
            follow_run(Path(HydraConfig.get().runtime.output_dir).absolute(), group)
            return None
        values = _checked_job(config)
        if is_trial:
            from scanlens.pipeline import try_run

            return try_run(values)
        from scanlens.pipeline import train_run

        return train_run(values)


@contextmanager
def _launcher_hears() -> Iterator[None]:
    """A launcher that waits for signals itself, to put its job back into the queue, gets them once all is saved."""
    try:
        with stopping.listening():
            yield
    except stopping.Stopped as stop:
        job = slurm.job_of_this_process()
        is_preempted = stop.number == signal.SIGTERM and job is not None and slurm.wants_requeue(stop.number, job)
        number = WARNING if is_preempted else stop.number
        heard = stopping.hand_over(number)  # in process 0 of a job it does not come back, if the job goes on later
        group = group_of_this_process()
        if not heard or number == signal.SIGTERM or group is None or group.leads:
            raise


def _write_no_log() -> None:
    """run.log is written by process 0 alone."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, logging.FileHandler)]:
        root.removeHandler(handler)


def fold_job(config: DictConfig) -> float | None:
    """One run of a study."""
    from hydra.core.hydra_config import HydraConfig

    name = str(HydraConfig.get().sweep.subdir)
    return _noted_job(config, run_job, name=f"fold {name}" if name.isdecimal() else name)


def sweep_job(config: DictConfig) -> float | None:
    """One run of a sweep; of a search for settings it is trained and validated, and no test image is looked at."""
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    is_trial = str(hydra.sweeper.get("_target_")).endswith(SEARCH)
    return _noted_job(config, lambda one: run_job(one, is_trial=is_trial), name=f"job {hydra.job.num}")


def _noted_job(config: DictConfig, job: Job, *, name: str) -> float | None:
    """A job of several; how it goes is noted in the folder of the sweep, and told at once, since the others go on."""
    from hydra.core.hydra_config import HydraConfig

    from scanlens.cluster.sweep_jobs import SweepJob, noted, read_job

    if (group := group_of_this_process()) is not None and not group.leads:
        return job(config)
    hydra = HydraConfig.get()
    _with_logs(hydra.runtime.output_dir)
    folder, number = Path(hydra.runtime.cwd, Path(hydra.sweep.dir).expanduser()), int(hydra.job.num)
    former = read_job(folder, number)
    begun = SweepJob(
        number,
        tuple(str(word) for word in hydra.overrides.task),
        folder=os.path.relpath(hydra.runtime.output_dir, folder.absolute()),
        max_epochs=config.trainer.get("max_epochs"),
        cluster_job=slurm.job_of_this_process() or (former.cluster_job if former else None),
    )
    return noted(folder, begun, lambda: job(config), name=name)


def audit_job(config: DictConfig) -> None:
    """The audit of what a training would see."""
    values = _checked_job(config)
    from scanlens.pipeline.audit import audit_run

    audit_run(values)


def _checked_job(config: DictConfig) -> dict[str, Any]:
    """The plain values of one job of Hydra's, all mistakes in them refused together; from then on there is a folder for run.log."""
    from hydra.core.hydra_config import HydraConfig

    hydra = HydraConfig.get()
    _with_logs(hydra.runtime.output_dir)
    return checked(config, hydra.runtime.choices, run_dir=hydra.runtime.output_dir, cwd=hydra.runtime.cwd)


def _with_logs(run_dir: str) -> None:
    """The folder that run.log goes into."""
    Path(run_dir, "logs").mkdir(parents=True, exist_ok=True)


def checked(config: DictConfig, choices: Mapping[str, Any], *, run_dir: str, cwd: str) -> dict[str, Any]:
    from scanlens.config import check

    check(config, choices={str(group): str(option) for group, option in choices.items()})
    return _settled(config, run_dir=run_dir, cwd=cwd)


def _settled(config: DictConfig, *, run_dir: str, cwd: str) -> dict[str, Any]:
    """Plain values, with the folders of this job as absolute paths."""
    from omegaconf import open_dict

    from scanlens.config import plain

    with open_dict(config):
        config.run_dir = run_dir
    values, _ = plain(config)
    paths: Mapping[str, str] = values["paths"]
    values["paths"] = {name: str(Path(cwd, Path(path).expanduser())) for name, path in paths.items()}
    return values
