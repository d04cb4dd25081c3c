"""A run that begins where another ended: its weights and division, other settings, nothing that the weights have seen in the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.commands import train
from fakes.tensors import assert_same_tensors
from scanlens.pipeline.lineage.stored import read_lineage
from scanlens.runs import Run

SMALL = [
    "model=lenet",
    "data=mri",
    "data.num_patients=24",
    "data.slices_per_patient=2",
    "preprocess.size=32",
    "report=none",
]
SMALL += ["trainer.max_epochs=2", "callbacks.num_explained_cases=0", "callbacks.bootstrap_resamples=0", "explain=none"]


@pytest.mark.slow
def test_a_fork_begins_with_the_weights_and_the_division_of_a_run(tmp_path: Path) -> None:
    first = train(*SMALL, "run_id=first", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    changed = train(*SMALL, "optim.lr=1e-4", "run_id=first", cwd=tmp_path)
    assert changed.returncode == 1
    former = Run(tmp_path / "outputs" / "first")
    assert f"fork={former.folder}" in changed.stderr
    words = ["seed=5", "optim.lr=1e-4", "fork=outputs/first", "run_id=second"]
    done = train(*SMALL, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "outputs" / "second")
    assert_same_tensors(run.initial_weights_file, former.weights_file)
    assert [row["split"] for row in run.split_rows] == [row["split"] for row in former.split_rows]
    assert run.facts["model_summary"]["weights_note"] == "those of run first"
    assert [one.run for one in read_lineage(run.lineage_file).generations] == ["second", "first"]
    again = train(*SMALL, *words, cwd=tmp_path)
    assert "nothing to do" in again.stdout + again.stderr
    other = train(*SMALL, "model.width=0.5", "fork=outputs/first", "run_id=third", cwd=tmp_path)
    assert other.returncode == 1
    assert "belong to another network" in other.stderr
    absent = train(*SMALL, "fork=outputs/nothing", "run_id=fourth", cwd=tmp_path)
    assert (absent.returncode, "no finished training lies in" in absent.stderr) == (1, True)
