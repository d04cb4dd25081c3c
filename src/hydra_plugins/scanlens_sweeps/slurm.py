"""Jobs of a sweep through Slurm (`hydra/launcher=slurm`): queued together, watched, and none waited for that is gone.

Submitit writes the batch scripts and starts the jobs. How they are doing is asked of `sacct`, and read from their run folders.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, filter_overrides

from hydra_plugins.scanlens_sweeps.grid import sweep_folder
from scanlens.cluster import slurm_jobs
from scanlens.cluster.sweep_jobs import change_job
from scanlens.cluster.watching import Watch, Watched
from scanlens.errors import RunError

try:
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as SubmititLauncher
except ImportError:  # without the extra `slurm` this plugin is never asked for
    SubmititLauncher = None

log = logging.getLogger(__name__)
_EXECUTOR = "slurm"


if SubmititLauncher is not None:
    _Base: Any = SubmititLauncher

    class SlurmLauncher(_Base):  # type: ignore[misc]
        """Sends jobs to Slurm and waits until all have ended, were cancelled or killed.

        The arguments are those of hydra-submitit-launcher.
        """

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            """The results of the jobs, in order; of one that is gone, an error in its place.

            Raises:
                RunError: before anything is queued, if Slurm cannot be asked how jobs are doing, or refuses them.
            """
            refuse_without_slurm()
            folder = sweep_folder(self.config)
            submitted = self._submitted(folder, job_overrides, initial_job_idx)
            jobs = [_watched(number, one) for number, one in enumerate(submitted, start=initial_job_idx)]
            for job in jobs:
                change_job(folder, job.number, cluster_job=job.name)
            array = jobs[0].name.partition("_")[0]
            log.info("%d jobs are in the queue of Slurm as %s; to cancel them: scancel %s", len(jobs), array, array)
            try:
                return [_as_return(result) for result in Watch(folder, jobs).wait()]
            except BaseException:
                left = [job.name for job in jobs if job.result is None]
                log.warning(
                    "%d jobs go on in Slurm without being watched. To end them: scancel %s", len(left), " ".join(left)
                )
                raise

        def _submitted(self, folder: Path, job_overrides: Sequence[Sequence[str]], first: int) -> list[Any]:
            """One array of jobs, as hydra-submitit-launcher 1.2 makes it."""
            import submitit

            given = dict(self.params)
            executor = submitit.AutoExecutor(
                cluster=_EXECUTOR,
                folder=given.pop("submitit_folder"),
                slurm_max_num_timeout=given.pop("max_num_timeout"),
            )
            general = (
                "timeout_min",
                "cpus_per_task",
                "gpus_per_node",
                "tasks_per_node",
                "mem_gb",
                "nodes",
                "name",
                "stderr_to_stdout",
            )
            executor.update_parameters(
                **{key if key in general else f"slurm_{key}": value for key, value in given.items()}
            )
            folder.mkdir(parents=True, exist_ok=True)
            state = Singleton.get_state()
            calls = []
            for number, words in enumerate(job_overrides, start=first):
                log.info("\t#%d : %s", number, " ".join(filter_overrides(words)))
                calls.append((list(words), "hydra.sweep.dir", number, f"job_id_for_{number}", state))
            try:
                return list(executor.map_array(self, *zip(*calls, strict=True)))
            except submitit.core.utils.FailedJobError as error:
                raise RunError(
                    f"Slurm refuses the jobs: {' '.join(str(error).split())[:400]}\nThe settings of hydra.launcher must fit the cluster "
                    "(sinfo shows partitions): partition=..., gpus_per_node=null where there are no GPUs, mem_gb, cpus_per_task, timeout_min."
                ) from error


def refuse_without_slurm() -> None:
    """Refuse to queue what could not be watched.

    Raises:
        RunError: if there is no Slurm here, or no accounting.
    """
    absent = [name for name in ("sbatch", "srun", "scontrol") if shutil.which(name) is None]
    if absent:
        raise RunError(
            f"hydra/launcher=slurm needs the programs of Slurm, and there is no {' or '.join(absent)} here. Type the command on a "
            "machine of the cluster, or leave hydra/launcher=slurm out."
        )
    if problem := slurm_jobs.accounting_problem():
        raise RunError(
            f"hydra/launcher=slurm asks sacct how jobs are doing, and it cannot be asked: {problem}. Nothing was queued. Ask for "
            "accounting (slurmdbd) on this cluster, or submit the runs yourself with sbatch (docs/clusters.md)."
        )


def _watched(number: int, submitted: Any) -> Watched:
    """What is to be known of a job; the result of its first task is that of the job."""
    first = submitted.task(0)
    return Watched(number, str(submitted.job_id), first.paths.result_pickle, first.result, first.paths.stderr)


def _as_return(result: Any) -> JobReturn:
    return result if isinstance(result, JobReturn) else JobReturn(status=JobStatus.FAILED, _return_value=result)
