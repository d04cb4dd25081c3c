"""One run as a job of a real Slurm: the same digits whoever starts its processes; preempted, cancelled, or started in a wrong way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fakes.commands import REPOSITORY, train
from fakes.slurm import RealSlurm, real_slurm, wait_until
from fakes.tensors import assert_same_tensors
from scanlens.files import read_csv
from scanlens.runs import Run

pytestmark = pytest.mark.slow
SMALL = [
    "model=lenet",
    "data=mri",
    "data.num_patients=24",
    "data.slices_per_patient=2",
    "preprocess.size=32",
    "model.dropout=0.2",
]
SMALL += ["trainer.accelerator=cpu", "trainer.num_threads=1", "callbacks.bootstrap_resamples=0", "explain=none"]
SMALL += ["report=none", "logger=none", "audit.enabled=false", "loader.batch_size=5", "callbacks.patience=null"]
EPOCHS = "trainer.max_epochs=30"


@pytest.fixture(scope="module")
def slurm() -> Iterator[RealSlurm]:
    yield from real_slurm()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run on two processes that it started itself, which nobody disturbed."""
    folder = tmp_path_factory.mktemp("own")
    done = train(
        *SMALL, EPOCHS, "trainer=ddp", "trainer.devices=2", "trainer.accelerator=cpu", "run_id=own", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return Run(folder / "outputs" / "own")


def environment(slurm: RealSlurm) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "RUN_ID"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return inherited | slurm.env | {"PATH": path, "OMP_NUM_THREADS": "1"}


def submitted(slurm: RealSlurm, folder: Path, command: str, *options: str) -> str:
    """Number of a job with a batch script of one line; what it says is in `log`."""
    words = ["sbatch", "--parsable", "--time=20", "-o", "log", "--open-mode=append", *options, "--wrap", command]
    done = subprocess.run(words, cwd=folder, env=environment(slurm), capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def state(slurm: RealSlurm, job: str) -> str:
    found = slurm.states(job)
    return found[-1] if found else ""


def has_partition(slurm: RealSlurm, *names: str) -> bool:
    return set(names) <= {line.strip("*") for line in slurm.ask("sinfo", "-h", "-o", "%P").split()}


@pytest.mark.parametrize(("nodes", "tolerance"), [(1, 0.0), (2, 1e-5)])
def test_the_tasks_of_srun_train_as_processes_of_the_run_do(
    slurm: RealSlurm, own: Run, tmp_path: Path, nodes: int, tolerance: float
) -> None:
    words = [
        "srun",
        f"--nodes={nodes}",
        "--ntasks=2",
        sys.executable,
        str(REPOSITORY / "train.py"),
        *SMALL,
        EPOCHS,
        "run_id=s",
    ]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment(slurm), capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "outputs" / "s")
    assert [path.name for path in run.folder.parent.iterdir() if not path.name.startswith(".")] == ["s"]
    rows = [{k: float(v) for k, v in row.items() if k != "seconds"} for row in read_csv(run.metrics_file)]
    expected = [{k: float(v) for k, v in row.items() if k != "seconds"} for row in read_csv(own.metrics_file)]
    if tolerance == 0:
        assert rows == expected
        assert_same_tensors(run.weights_file, own.weights_file)
        return
    first, second = load_file(run.weights_file), load_file(own.weights_file)
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    np.testing.assert_allclose(rows[0]["train/loss"], expected[0]["train/loss"], rtol=tolerance)
    np.testing.assert_allclose(rows[0]["val/loss"], expected[0]["val/loss"], rtol=tolerance)
    assert all(np.isfinite(first[name]).all() and first[name].shape == second[name].shape for name in second)


def test_preempted_by_another_job_it_ends_as_if_it_had_the_machine_to_itself(
    slurm: RealSlurm, own: Run, tmp_path: Path
) -> None:
    if not has_partition(slurm, "lo", "hi"):
        pytest.skip("this Slurm has no partition 'hi' that preempts 'lo'")
    command = f"srun --kill-on-bad-exit=1 {sys.executable} {REPOSITORY / 'train.py'} {' '.join([*SMALL, EPOCHS])}"
    job = submitted(
        slurm, tmp_path, command, "-p", "lo", "--nodes=1", "--ntasks-per-node=2", "--signal=USR1@60", "--requeue"
    )
    run, log = Run(tmp_path / "outputs" / f"slurm-{job}"), tmp_path / "log"
    wait_until(
        lambda: run.metrics_file.is_file() and len(read_csv(run.metrics_file)) >= 2, timeout_s=240, what="it trains"
    )
    other = submitted(
        slurm, tmp_path, "srun sleep 1", "-p", "hi", "--nodes=2", "--ntasks=2", "--cpus-per-task=2", "-o", "other"
    )
    wait_until(lambda: state(slurm, job) == "PENDING", timeout_s=90, what="it is back in the queue")
    assert len(read_csv(run.metrics_file)) < 30, "preempted too late to show anything"
    slurm.ask("scontrol", "update", f"JobId={job}", "StartTime=now")  # Slurm holds it for two minutes
    wait_until(lambda: state(slurm, job) == "COMPLETED", timeout_s=300, what="it ends")
    assert slurm.states(job)[0] == "REQUEUED"
    assert state(slurm, other) == "COMPLETED"
    assert "stopped by SIGUSR1" in log.read_text()
    assert_same_tensors(run.weights_file, own.weights_file)


def test_a_job_that_somebody_cancels_saves_and_stays_cancelled(slurm: RealSlurm, tmp_path: Path) -> None:
    command = f"srun {sys.executable} {REPOSITORY / 'train.py'} {' '.join([*SMALL, 'trainer.max_epochs=500'])}"
    job = submitted(slurm, tmp_path, command, "--ntasks=1", "--requeue")
    run = Run(tmp_path / "outputs" / f"slurm-{job}")
    wait_until(
        lambda: run.metrics_file.is_file() and len(read_csv(run.metrics_file)) >= 2, timeout_s=240, what="it trains"
    )
    slurm.ask("scancel", job)
    wait_until(lambda: state(slurm, job).startswith("CANCELLED"), timeout_s=60, what="it is cancelled")
    wait_until(lambda: not slurm.ask("squeue", "-h", "-j", job).strip(), timeout_s=60, what="it is gone")
    assert "stopped by SIGTERM" in (tmp_path / "log").read_text()
    assert len(slurm.states(job)) == 1, "it did not come back"


def test_a_batch_script_that_forgot_srun_is_told_at_once(slurm: RealSlurm, tmp_path: Path) -> None:
    job = submitted(
        slurm,
        tmp_path,
        f"{sys.executable} {REPOSITORY / 'train.py'} {' '.join(SMALL)}",
        "--nodes=1",
        "--ntasks-per-node=2",
    )
    wait_until(lambda: state(slurm, job) == "FAILED", timeout_s=60, what="it fails")
    assert "Start them with srun" in (tmp_path / "log").read_text()
    assert not (tmp_path / "outputs").exists()
