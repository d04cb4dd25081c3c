"""Sweeps on several processes: of each run, or several runs at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fakes.commands import train
from scanlens.files import read_csv

SMALL = ["model=lenet", "data=mri", "data.num_patients=24", "data.slices_per_patient=2", "preprocess.size=32"]
SMALL += ["trainer.max_epochs=3", "trainer.accelerator=cpu", "callbacks.bootstrap_resamples=0", "explain=none"]
SMALL += ["logger=none", "audit.enabled=false", "loader.batch_size=8"]


@pytest.mark.slow
def test_all_ranks_of_a_job_learn_at_the_rate_of_that_job(tmp_path: Path) -> None:
    """A rank with another rate would hold other weights after the first step, and the mean gradients would be others."""
    sweep = ["-m", "optim.lr=1e-3,1e-2", "optim.schedule=constant", "optim.warmup_fraction=0"]
    one = train(*sweep, *SMALL, "run_id=one", cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    two = train(*sweep, *SMALL, "trainer=ddp", "trainer.devices=2", "run_id=two", cwd=tmp_path)
    assert two.returncode == 0, two.stderr
    for job, lr in (("0", 1e-3), ("1", 1e-2)):
        expected, rows = (read_csv(tmp_path / "outputs" / name / job / "metrics.csv") for name in ("one", "two"))
        assert {float(row["lr"]) for row in rows} == {lr}
        for name in ("train/loss", "val/loss"):
            np.testing.assert_allclose(
                [float(row[name]) for row in rows], [float(row[name]) for row in expected], rtol=2e-4
            )
    ends = [read_csv(tmp_path / "outputs" / "two" / job / "metrics.csv")[-1]["train/loss"] for job in "01"]
    assert ends[0] != ends[1]


@pytest.mark.slow
def test_jobs_side_by_side_are_those_one_after_the_other_with_one_table(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    sweep = ["-m", "seed=1,2", "split.seed=1", *SMALL, "trainer.num_threads=1"]
    one = train(*sweep, "run_id=one", cwd=tmp_path)
    assert one.returncode == 0, one.stderr
    two = train(*sweep, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "run_id=two", cwd=tmp_path)
    assert two.returncode == 0, two.stderr
    first, second = (read_csv(tmp_path / "outputs" / name / "sweep.csv") for name in ("one", "two"))
    assert [row["status"] for row in second] == ["done", "done"]
    assert [row["best"] for row in second] == [row["best"] for row in first]
    assert [row["patient_auroc"] for row in second] == [row["patient_auroc"] for row in first]
