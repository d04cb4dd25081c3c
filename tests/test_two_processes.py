"""`trainer=ddp` on two processes of this machine: one run folder, one report, every image once, the same evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from fakes.commands import run_command, train
from scanlens.files import read_csv
from scanlens.runs import Run

SMALL = ["model=lenet", "data=mri", "data.num_patients=33", "data.slices_per_patient=1", "preprocess.size=32"]
SMALL += ["trainer.max_epochs=2", "trainer.accelerator=cpu", "callbacks.num_explained_cases=2", "loader.batch_size=7"]
SMALL += ["callbacks.bootstrap_resamples=20", "balance=balanced_sampler", "model.dropout=0.0"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("ddp")
    one = train(*SMALL, "run_id=one", cwd=folder)
    assert one.returncode == 0, one.stderr
    two = train(*SMALL, "trainer=ddp", "trainer.devices=2", "run_id=two", cwd=folder)
    assert two.returncode == 0, two.stderr
    return Run(folder / "outputs" / "one"), Run(folder / "outputs" / "two")


def test_there_is_one_folder_and_one_report(runs: tuple[Run, Run]) -> None:
    _, two = runs
    assert sorted(p.name for p in two.folder.parent.iterdir() if not p.name.startswith(".")) == ["one", "two"]
    assert two.report_file.is_file()
    assert len(list(two.folder.rglob("index.html"))) == 1


def test_each_image_is_counted_once_and_the_split_is_the_same(runs: tuple[Run, Run]) -> None:
    one, two = runs
    assert one.split_file.read_bytes() == two.split_file.read_bytes()
    ids = [row["id"] for row in read_csv(two.predictions / "test.csv")]
    assert len(ids) == len(set(ids)) == len(two.indices("test"))


def test_two_processes_train_on_the_same_batches_to_the_same_numbers(runs: tuple[Run, Run]) -> None:
    one, two = runs
    first, second = (read_csv(run.metrics_file) for run in (one, two))
    assert [row["step"] for row in first] == [row["step"] for row in second]
    for name in ("train/loss", "val/loss", "val/auroc"):
        np.testing.assert_allclose(
            [float(row[name]) for row in first], [float(row[name]) for row in second], rtol=2e-4, err_msg=name
        )


def test_evaluation_of_the_same_weights_agrees_to_the_last_digit(runs: tuple[Run, Run]) -> None:
    one, two = runs
    (two.folder / "weights.safetensors").write_bytes((one.folder / "weights.safetensors").read_bytes())
    again = "from pathlib import Path; from scanlens.pipeline.judge import judge; from scanlens.runs import Run"
    done = run_command(["-c", f"{again}; judge(Run(Path({str(two.folder)!r})))"], cwd=two.folder)
    assert done.returncode == 0, done.stderr
    assert (one.predictions / "test.csv").read_bytes() == (two.predictions / "test.csv").read_bytes()
