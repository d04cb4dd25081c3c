"""On a real Slurm: sweeps are watched to their end, however single jobs end; the batch script of the documentation works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.commands import REPOSITORY, run_command, train
from fakes.slurm import RealSlurm, real_slurm, wait_until
from fakes.tensors import assert_same_tensors
from scanlens.files import read_csv

pytestmark = pytest.mark.slow
SMALL = ["model=lenet", "data=mri", "data.num_patients=24", "data.slices_per_patient=2", "preprocess.size=32"]
SMALL += ["trainer.accelerator=cpu", "trainer.num_threads=1", "callbacks.bootstrap_resamples=0", "explain=none"]
SMALL += ["logger=none", "audit.enabled=false", "loader.batch_size=4", "callbacks.patience=null"]
SLURM = ["-m", "hydra/launcher=slurm", "hydra.launcher.gpus_per_node=null", "hydra.launcher.cpus_per_task=1"]
SLURM += ["hydra.launcher.mem_gb=1", "hydra.launcher.timeout_min=30"]


@pytest.fixture(scope="module")
def slurm() -> Iterator[RealSlurm]:
    yield from real_slurm()


def epochs(folder: Path) -> int:
    return len(read_csv(folder / "metrics.csv")) if (folder / "metrics.csv").is_file() else 0


def test_a_cancelled_job_is_told_within_a_minute_and_a_warned_one_goes_on_where_it_was(
    slurm: RealSlurm, tmp_path: Path
) -> None:
    pytest.importorskip("submitit")
    words = [*SMALL, "trainer.max_epochs=40"]
    whole = train(*words, "seed=1", "run_id=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    environment = {name: value for name, value in os.environ.items() if name != "RUN_ID"} | slurm.env
    command = [sys.executable, str(REPOSITORY / "train.py"), *SLURM, *words, "seed=1,2", "run_id=s"]
    log, folder = tmp_path / "log", tmp_path / "outputs" / "s"
    with log.open("w") as out:
        sweep = subprocess.Popen(
            command, cwd=tmp_path, env=environment | {"OMP_NUM_THREADS": "1"}, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: "in the queue of Slurm as" in log.read_text(), timeout_s=90, what="jobs are queued")
        (array,) = re.findall(r"in the queue of Slurm as (\d+)", log.read_text())
        wait_until(lambda: all(epochs(folder / job) >= 2 for job in "01"), timeout_s=180, what="both train")
        slurm.ask("scancel", f"{array}_1")
        slurm.ask("scancel", "--signal=USR2", f"{array}_0")
        wait_until(
            lambda: "job 1 (" in log.read_text() and "cancelled" in log.read_text(), timeout_s=60, what="it is told"
        )
        wait_until(lambda: slurm.states(f"{array}_0")[-1] == "PENDING", timeout_s=60, what="it is back in the queue")
        done_before = epochs(folder / "0")
        assert 2 <= done_before < 40, "stopped too late to show anything"
        slurm.ask(
            "scontrol", "update", f"JobId={array}_0", "StartTime=now"
        )  # Slurm holds requeued jobs for two minutes
        assert sweep.wait(timeout=240) == 1
    finally:
        sweep.kill()
    told = log.read_text()
    assert "1 of 2 jobs of the sweep are not done:\n  job 1: cancelled" in told
    assert "Traceback" not in told
    assert [row["status"] for row in read_csv(folder / "sweep.csv")] == ["done", "cancelled"]
    assert slurm.states(f"{array}_0")[0] == "REQUEUED"
    assert_same_tensors(folder / "0" / "weights.safetensors", tmp_path / "outputs" / "whole" / "weights.safetensors")


def test_two_tasks_of_a_job_train_to_the_digits_of_torchrun(slurm: RealSlurm, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    words = [*SMALL, "trainer.max_epochs=2"]
    two = [*SLURM, "hydra.launcher.tasks_per_node=2", "seed=1", "run_id=s"]
    done = train(*two, *words, cwd=tmp_path, env=slurm.env)
    assert done.returncode == 0, done.stderr
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(REPOSITORY / "train.py")]
    other = run_command([*torchrun, *words, "seed=1", "run_id=t"], cwd=tmp_path)
    assert other.returncode == 0, other.stderr
    job, run = tmp_path / "outputs" / "s" / "0", tmp_path / "outputs" / "t"
    assert_same_tensors(job / "weights.safetensors", run / "weights.safetensors")
    assert (job / "predictions" / "test.csv").read_bytes() == (run / "predictions" / "test.csv").read_bytes()
    assert "2 x cpu" in (job / "logs" / "run.log").read_text()


def test_the_batch_script_of_the_documentation_trains_on_its_tasks(slurm: RealSlurm, tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "clusters.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", text, flags=re.DOTALL)
    (tmp_path / "job.sh").write_text(script)
    (tmp_path / "train.py").symlink_to(REPOSITORY / "train.py")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if name != "RUN_ID"}
    environment = inherited | slurm.env | {"PATH": path, "OMP_NUM_THREADS": "1"}
    options = ["--parsable", "--wait", "--time=10", "--gpus-per-node=0"]
    command = ["sbatch", *options, "job.sh", *SMALL, "trainer.max_epochs=1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    told = "\n".join(path.read_text() for path in tmp_path.glob("slurm-*.out"))
    assert done.returncode == 0, done.stderr + told
    folder = tmp_path / "outputs" / f"slurm-{done.stdout.split()[0]}"
    assert (folder / "report" / "index.html").is_file()
    assert "2 x cpu" in (folder / "logs" / "run.log").read_text()
