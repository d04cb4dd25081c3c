"""`trainer=ddp` on several processes of this machine: one run folder, one report, every image once, the same numbers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

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
    assert len(list(two.folder.rglob("context.json"))) == len(list(two.folder.rglob("neighbors.npz"))) == 1
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
    for name in ("neighbors.npz", "explanations/context.json"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()


STANDING = ["data.num_patients=45", "split.fractions=[0.6,0.2,0.2]", "loader.batch_size=17", "explain=none"]
STANDING += ["optim.lr=1e-30", "trainer.max_epochs=1", "audit.enabled=false"]  # such a rate moves zeros alone
PROCESSES = (1, 2, 4)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Run]:
    """By number of processes, the same weights; odd numbers of images, so that neither shards nor last batches are even."""
    folder, found = tmp_path_factory.mktemp("standing"), {}
    for num in PROCESSES:
        words = ["trainer=ddp", f"trainer.devices={num}"] if num > 1 else []
        done = train(*SMALL, *STANDING, *words, f"run_id=n{num}", cwd=folder, timeout_s=900)
        assert done.returncode == 0, done.stderr
        found[num] = Run(folder / "outputs" / f"n{num}")
    return found


def numbers_of(run: Run) -> dict[str, Any]:
    judged = json.loads(run.evaluation_file.read_text(encoding="utf-8"))
    return {key: judged[key] for key in ("splits", "calibration", "conformal", "referral", "decisions")}


@pytest.mark.slow
def test_on_one_two_and_four_processes_every_image_counts_once_to_the_last_digit(standing: dict[int, Run]) -> None:
    one = standing[1]
    assert all(len(one.indices(split)) % 2 == 1 for split in ("train", "val", "test"))
    for num in PROCESSES[1:]:
        run = standing[num]
        assert run.split_file.read_bytes() == one.split_file.read_bytes()
        weights, expected_weights = (load_file(one.weights_file) for one in (run, standing[1]))
        assert all(float((weights[name] - value).abs().max()) < 1e-25 for name, value in expected_weights.items())
        for row, expected in zip(read_csv(run.metrics_file), read_csv(one.metrics_file), strict=True):
            validated = [name for name in expected if name.startswith("val/")]
            assert {"val/loss", "val/auroc", "val/balanced_accuracy"} <= set(validated)
            assert [row[name] for name in validated] == [expected[name] for name in validated]
            assert float(row["train/loss"]) == pytest.approx(float(expected["train/loss"]), rel=1e-5)
        for split in ("val", "test"):
            table = run.predictions / f"{split}.csv"
            indices = sorted(int(row["case"].rpartition("-")[2]) for row in read_csv(table))
            assert indices == sorted(run.indices(split))
            assert table.read_bytes() == (one.predictions / f"{split}.csv").read_bytes()
        assert numbers_of(run) == numbers_of(one)
