"""A sweep over all combinations (`hydra/sweeper=grid`): a job that fails does not keep the others, and one table tells of all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from scanlens.cluster.sweep_jobs import FAILED, QUEUED, RUNNING, SweepJob, change_job, read_job, reason_of, write_job

BasicGrid: Any = BasicSweeper


class GridSweeper(BasicGrid):  # type: ignore[misc]
    """Every combination of the values given.

    Args:
        max_batch_size: jobs handed to the launcher at a time; None for all.
        params: further sweeps, such as {"seed": "1,2,3"}; the command line wins.
    """

    def sweep(self, arguments: list[str]) -> Any:
        """Run all jobs, whatever becomes of single ones; the table of the sweep is written however it ends.

        Raises:
            RunError: at the end, if a job is not done.
        """
        from scanlens.pipeline.sweep import refuse_unfinished

        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        batches = self.split_arguments(overrides, self.max_batch_size)
        folder, first, returns = sweep_folder(self.config), 0, []
        note_queued(folder, [words for batch in batches for words in batch])
        with gathered_at_the_end(folder):
            for batch in batches:
                self.validate_batch_is_legal(batch)
                results = self.launcher.launch(batch, initial_job_idx=first)
                note_lost(folder, results, first)
                returns.append(results)
                first += len(batch)
        refuse_unfinished(folder, run_id=os.environ.get("RUN_ID", folder.name))
        return returns


def sweep_folder(config: DictConfig) -> Path:
    """Where a sweep writes."""
    return Path(str(config.hydra.sweep.dir)).expanduser().absolute()


def note_queued(folder: Path, jobs: Sequence[Sequence[str]], *, first: int = 0) -> None:
    """Note jobs that are about to be launched, in their order."""
    for number, words in enumerate(jobs, start=first):
        write_job(folder, SweepJob(number, tuple(word for word in words if not word.startswith("hydra."))))


def note_lost(folder: Path, results: Sequence[JobReturn], first: int) -> None:
    """Note jobs that failed before, or without that, they could say so themselves."""
    for number, result in enumerate(results, start=first):
        job = read_job(folder, number)
        if result.status == JobStatus.FAILED and job is not None and job.status in (QUEUED, RUNNING):
            change_job(folder, number, status=FAILED, reason=reason_of(result._return_value))


@contextmanager
def gathered_at_the_end(folder: Path) -> Iterator[None]:
    """Write the table of a sweep, however it ends."""
    from scanlens.pipeline.sweep import gather_sweep

    try:
        yield
    finally:
        gather_sweep(folder, is_over=True)
