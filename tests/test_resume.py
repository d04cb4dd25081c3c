"""A run that was stopped goes on with the same command, and ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.commands import REPOSITORY, train
from fakes.tensors import assert_same_tensors
from scanlens.files import locked, read_csv
from scanlens.runs import Run

SMALL = ["model=lenet", "data=mri", "data.num_patients=24", "data.slices_per_patient=2", "preprocess.size=32"]
SMALL += ["trainer.max_epochs=10", "callbacks.num_explained_cases=2", "callbacks.bootstrap_resamples=0"]
SMALL += ["callbacks.explain_every_n_epochs=0", "loader.batch_size=4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("resume")
    done = train(*SMALL, "run_id=whole", cwd=where)
    assert done.returncode == 0, done.stderr
    return where


def stopped(name: str, folder: Path, number: signal.Signals) -> tuple[int, Run]:
    """Exit status, and the run, of a training that got a signal after its second epoch."""
    run = Run(folder / "outputs" / name)
    environment = {k: v for k, v in os.environ.items() if k != "RUN_ID"} | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "train.py"), *SMALL, f"run_id={name}"],
        cwd=folder,
        env=environment,
        preexec_fn=_hear_interrupts,
    )
    deadline = time.monotonic() + 120
    while not run.metrics_file.is_file() or len(read_csv(run.metrics_file)) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    return process.wait(timeout=60), run


def _hear_interrupts() -> None:
    """A shell that starts something in the background lets it ignore Ctrl-C, and its children with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def without_times(run: Run) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in read_csv(run.metrics_file)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "damage"),
    [(signal.SIGTERM, 143, ""), (signal.SIGINT, 130, "last.ckpt"), (signal.SIGKILL, -9, "")],
    ids=["terminated", "interrupted, and the last checkpoint damaged", "killed"],
)
def test_a_stopped_run_ends_as_an_undisturbed_one(
    folder: Path, number: signal.Signals, status: int, damage: str
) -> None:
    code, run = stopped(f"cut-{number}", folder, number)
    assert code == status
    before = len(read_csv(run.metrics_file))
    assert before < 10, "it was stopped too late to show anything"
    if damage:
        (run.checkpoints / damage).write_bytes(b"no checkpoint")
    done = train(*SMALL, f"run_id={run.folder.name}", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert ("damaged" in done.stdout + done.stderr) == bool(damage)
    whole = Run(folder / "outputs" / "whole")
    assert without_times(run) == without_times(whole)
    assert_same_tensors(run.weights_file, whole.weights_file)
    assert (run.predictions / "test.csv").read_bytes() == (whole.predictions / "test.csv").read_bytes()
    if not damage:
        again = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("epoch ")]
        assert len(again) <= 10 - before + 1, "only the epoch that was stopped is trained again"


@pytest.mark.slow
def test_a_folder_that_another_process_writes_into_is_refused(folder: Path) -> None:
    with locked(folder / "outputs" / "whole" / ".lock"):
        done = train(*SMALL, "run_id=whole", cwd=folder)
    assert done.returncode == 1
    assert "another process is writing into" in done.stderr
    assert "run_id" in done.stderr
    assert "Error executing job" not in done.stderr


def test_an_output_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = train(*SMALL, "paths.outputs=file", cwd=tmp_path)
    assert done.returncode == 1
    assert "the disk refuses" in done.stderr
    assert "Traceback" not in done.stderr
