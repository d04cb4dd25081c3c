"""`scanlens compare`, as a user meets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fakes.commands import run_command, train
from scanlens.errors import ConfigError, RunError
from scanlens.evaluation.classification import evaluate_classification
from scanlens.files import read_csv, write_csv
from scanlens.pipeline.candidates import read_candidates, training_warnings
from scanlens.pipeline.compare import compare, compared
from scanlens.runs import Run

pytestmark = pytest.mark.slow  # whole trainings

TINY = ["data=mri", "data.num_patients=36", "data.slices_per_patient=2", "preprocess.size=32", "trainer.max_epochs=1"]
TINY += ["explain=none", "callbacks.bootstrap_resamples=0", "trainer.num_threads=1", "run_id=r"]
PROGRAM = "from scanlens.cli import main; main()"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `0` (MLP) and `1` (LeNet)."""
    folder = tmp_path_factory.mktemp("compare")
    done = train("-m", "model=mlp,lenet", *TINY, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "outputs" / "r"


@pytest.fixture
def pair(runs: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(runs, tmp_path / "r"))


def edited(path: Path, change: Any) -> None:
    rows = [one for row in read_csv(path) if (one := change(row)) is not None]
    write_csv(path, list(rows[0]), rows)


def test_the_command_writes_table_page_and_one_sentence(runs: Path, tmp_path: Path) -> None:
    words = ["compare", f"runs=[{runs / '0'},{runs / '1'}]", "metric=log_loss", "out=out"]
    done = run_command(["-c", PROGRAM, *words], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    assert [(one["name"], one["model"]) for one in content["runs"]] == [("0", "MLP"), ("1", "LeNet")]
    for number, one in enumerate(content["runs"]):
        judged = json.loads((runs / str(number) / "evaluation.json").read_text(encoding="utf-8"))["splits"]["test"]
        for level in ("slice", "patient"):
            values = {name: metric["value"] for name, metric in judged[level]["metrics"].items()}
            assert {name: metric["value"] for name, metric in one["metrics"][level].items()} == pytest.approx(values)
        assert one["parameters"] == Run(runs / str(number)).facts["model_summary"]["parameters"]
        assert 0 < one["seconds_per_image"] < 1
        assert one["memory_mib"] is None or 0 <= one["memory_mib"] < 200
        assert one["nearest_neighbor"] is not None
    (difference,) = content["differences"][content["level"]]
    values = [one["metrics"][content["level"]]["log_loss"]["value"] for one in content["runs"]]
    assert difference["value"] == pytest.approx(values[1] - values[0])
    assert content["warnings"] == []
    assert "log loss" in done.stderr
    assert "warning" not in done.stderr
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "LeNet" in page
    assert "<script" not in page
    assert "forest" not in page or "<svg" in page
    assert "1-nearest neighbor" in page
    patients = {row["patient"] for row in read_csv(runs / "0" / "split.csv")}
    written = page + (tmp_path / "out" / "comparison.csv").read_text(encoding="utf-8")
    assert not [name for name in patients if f">{name}<" in written or f",{name}," in written]
    table = read_csv(tmp_path / "out" / "comparison.csv")
    assert [(row["run"], row["level"]) for row in table] == [
        ("0", "patient"),
        ("0", "image"),
        ("1", "patient"),
        ("1", "image"),
    ]


def test_folds_are_pooled_and_runs_that_are_no_folds_are_refused(pair: Path) -> None:
    """The test predictions of a run, divided by patient into two folds, are the run."""
    patients = sorted({row["patient"] for row in read_csv(pair / "0" / "predictions" / "test.csv")})
    for half in (0, 1):
        fold = Path(shutil.copytree(pair / "0", pair.parent / "study" / str(half)))
        keep = set(patients[half::2])
        edited(fold / "predictions" / "test.csv", lambda row, keep=keep: row if row["patient"] in keep else None)
        edited(fold / "split.csv", lambda row: row if row["split"] == "test" else None)
        config = yaml.safe_load((fold / "config.yaml").read_text(encoding="utf-8"))
        config["split"] |= {"folds": 2, "fold": half}
        (fold / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    candidates = read_candidates([pair.parent / "study", pair / "0"])
    content = compared(candidates, metric="accuracy", pairs="first", num_resamples=100)
    assert [one["num_folds"] for one in content["runs"]] == [2, 1]
    assert content["runs"][0]["metrics"] == content["runs"][1]["metrics"]
    assert content["runs"][0]["training_s"] == pytest.approx(2 * content["runs"][1]["training_s"])
    assert content["differences"]["slice"][0]["value"] == 0.0
    assert any("Folds" in note for note in content["notes"])
    with pytest.raises(RunError, match="is no fold of a cross-validation"):
        read_candidates([pair, pair / "0"])
    shutil.rmtree(pair.parent / "study" / "1")
    with pytest.raises(RunError, match="fold 1 is absent"):
        read_candidates([pair.parent / "study", pair / "0"])


def test_the_pooled_numbers_are_those_of_all_predictions(pair: Path) -> None:
    content = compared(read_candidates([pair / "0", pair / "1"]), metric="auroc", pairs="all", num_resamples=200)
    rows, names = read_csv(pair / "1" / "predictions" / "test.csv"), Run(pair / "1").facts["class_names"]
    judged = evaluate_classification(
        np.array([[float(row[f"prob_{name}"]) for name in names] for row in rows]),
        np.array([names.index(row["target"]) for row in rows]),
        class_names=names,
        patients=[row["patient"] for row in rows],
        seed=0,
        num_resamples=0,
    )
    assert content["runs"][1]["metrics"]["patient"]["auroc"]["value"] == judged["patient"]["metrics"]["auroc"]["value"]
    assert content["num_patients"] == judged["patient"]["num_patients"]


def test_other_images_are_refused_with_their_numbers(pair: Path) -> None:
    cases = [row["case"] for row in read_csv(pair / "1" / "predictions" / "test.csv")]
    edited(pair / "1" / "predictions" / "test.csv", lambda row: row if row["case"] != cases[0] else None)
    with pytest.raises(RunError, match=r"1 only in 0, 0 only in 1, \d+ in both"):
        read_candidates([pair / "0", pair / "1"])


def test_other_labels_are_refused(pair: Path) -> None:
    names = Run(pair / "0").facts["class_names"]
    edited(pair / "1" / "predictions" / "test.csv", lambda row: row | {"target": names[0]})
    with pytest.raises(RunError, match="test images have another label in 1 than in 0"):
        read_candidates([pair / "0", pair / "1"])


def test_other_classes_are_refused(pair: Path) -> None:
    path = pair / "1" / "config.yaml"
    name = Run(pair / "0").facts["class_names"][0]
    path.write_text(path.read_text(encoding="utf-8").replace(f"- {name}\n", "- cat\n"), encoding="utf-8")
    with pytest.raises(RunError, match=r"knows the classes .*cat"):
        read_candidates([pair / "0", pair / "1"])


def test_an_unfinished_run_is_refused(pair: Path) -> None:
    path = pair / "1" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"stages": ["prepare", "fit"]}), encoding="utf-8")
    with pytest.raises(RunError, match=r"1 is not finished; let the training finish"):
        read_candidates([pair / "0", pair / "1"])


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["0"], "at least two runs, got 1"),
        (["0", "0"], "is given twice"),
        (["0", "2"], "there is no folder"),
        (["0", "0/predictions"], "neither a run nor folds"),
    ],
)
def test_folders_that_hold_nothing_to_compare_are_refused(names: list[str], words: str, runs: Path) -> None:
    with pytest.raises(RunError, match=words):
        read_candidates([runs / name for name in names])


def test_other_training_data_are_told(pair: Path) -> None:
    edited(pair / "1" / "split.csv", lambda row: row | ({"split": "unused"} if row["split"] == "val" else {}))
    assert training_warnings(read_candidates([pair / "0", pair / "0/../1"])) == []
    left_out = [row["index"] for row in read_csv(pair / "1" / "split.csv") if row["split"] == "train"][:3]
    edited(pair / "1" / "split.csv", lambda row: row if row["index"] not in left_out else None)
    (told,) = training_warnings(read_candidates([pair / "0", pair / "1"]))
    assert "0 only in 1, 3 only in 0" in told


def test_unknown_words_are_answered_with_what_there_is(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metric=auc is not known. Did you mean 'auroc'"):
        compare([runs / "0", runs / "1"], metric="auc", pairs="first", out=tmp_path)
    with pytest.raises(ConfigError, match="pairs=some is not known"):
        compare([runs / "0", runs / "1"], metric="auroc", pairs="some", out=tmp_path)
