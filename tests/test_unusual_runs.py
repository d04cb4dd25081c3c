"""Runs at the edge of what is sensible end well, or in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from fakes.commands import run_command, train
from scanlens.files import read_csv
from scanlens.runs import Run

TINY = ["model=lenet", "data=mri", "data.num_patients=24", "data.slices_per_patient=2", "preprocess.size=32"]
TINY += ["trainer.max_epochs=2", "callbacks.num_explained_cases=2", "callbacks.bootstrap_resamples=0", "run_id=r"]


@pytest.fixture(scope="module")
def without_validation(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("unusual")
    done = train(*TINY, "split.fractions=[0.75,0.0,0.25]", cwd=folder)
    assert done.returncode == 0, done.stderr
    return Run(folder / "outputs" / "r")


def test_without_validation_images_the_training_loss_decides_and_that_is_said(without_validation: Run) -> None:
    run = without_validation
    assert run.facts["monitor"] == {"name": "train/loss", "mode": "min"}
    judged = json.loads(run.evaluation_file.read_text(encoding="utf-8"))
    losses = [float(row["train/loss"]) for row in read_csv(run.metrics_file)]
    assert judged["monitor"]["value"] == min(losses)
    assert "favors overfitting" in run.report_file.read_text(encoding="utf-8")


def test_a_metric_that_compares_classes_needs_two_of_them_in_validation(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    for split, names in {"train": "ab", "val": "a", "test": "ab"}.items():
        for name in names:
            for number in range(6):
                path = tmp_path / "scans" / split / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.effect_noise((40, 40), 60).save(path)
    done = train(
        "model=mlp", "data=folder", f"data.root={tmp_path / 'scans'}", "monitor=val/auroc", "run_id=r", cwd=tmp_path
    )
    assert done.returncode == 2, done.stderr
    assert "monitor=val/auroc compares classes, and all validation images are of 'a'" in done.stderr


def test_new_images_keep_their_names_below_the_folder_and_links_out_of_it_are_not_followed(
    without_validation: Run, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / "new" / name).mkdir(parents=True)
        Image.effect_noise((40, 40), 60).save(tmp_path / "new" / name / "1.png")
    (tmp_path / "secret.png").write_bytes(b"root:x:0")
    (tmp_path / "new" / "link.png").symlink_to(tmp_path / "secret.png")
    program = "import sys; from scanlens.cli import main; main(sys.argv[1:])"
    words = ["predict", f"run={without_validation.folder}"]
    done = run_command(["-c", program, *words, f"path={tmp_path / 'new'}"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (without_validation.folder / "new").iterdir()
    rows = read_csv(folder / "predictions.csv")
    assert [row["file"] for row in rows] == ["one/1.png", "two/1.png"]
    assert {(row["calibrated_glioma"], row["called"], row["refer"]) for row in rows} == {("", "", "")}
    assert "there is no validation split to choose anything on (run r)." in done.stderr
    assert all(abs(sum(float(v) for k, v in row.items() if k.startswith("prob_")) - 1) < 1e-4 for row in rows)
    unreadable = run_command(["-c", program, *words, f"path={tmp_path / 'secret.png'}"], cwd=tmp_path)
    assert unreadable.returncode == 1
    assert "none of 1 images can be read" in unreadable.stderr


@pytest.mark.slow
def test_a_rival_class_that_the_data_do_not_have_stops_a_run_before_training(tmp_path: Path) -> None:
    done = train(*TINY, "explain=contrast", "explain.against=gliom", cwd=tmp_path)
    assert done.returncode == 2
    assert "explain.against=gliom: the classes are glioma, meningioma, pituitary, no_tumor." in done.stderr
    assert "Did you mean 'glioma'?" in done.stderr
    assert not list(tmp_path.glob("outputs/r/checkpoints/*"))
