"""Worse images, passes with dropout and ensembles, end to end on tiny runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.commands import run_command, train
from scanlens import commands
from scanlens.data.module import ScanData
from scanlens.errors import ConfigError, RunError
from scanlens.evaluation.uncertainty import entropy
from scanlens.files import read_csv, write_csv
from scanlens.pipeline import robustness as module
from scanlens.pipeline.candidates import read_candidates
from scanlens.pipeline.compare import compared
from scanlens.pipeline.ensemble import ensemble
from scanlens.pipeline.fold_ensemble import fold_ensemble
from scanlens.pipeline.predict import predict
from scanlens.pipeline.robustness import judged_robustness, robustness
from scanlens.pipeline.run_images import open_data
from scanlens.runs import Run, load_run

pytestmark = pytest.mark.slow  # whole trainings

TINY = ["data=mri", "data.num_patients=36", "data.slices_per_patient=2", "preprocess.size=32", "trainer.max_epochs=2"]
TINY += ["audit.enabled=false", "logger=none"]
TINY += ["explain=none", "callbacks.bootstrap_resamples=50", "trainer.num_threads=1", "model=mlp"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `0` and `1`, of two initial weights and one division."""
    folder = tmp_path_factory.mktemp("robustness")
    words = ["robustness.enabled=true", "robustness.kinds=[rotation]", "uncertainty.mc_passes=5"]
    done = train("-m", "model.dropout=0.2,0.4", *words, *TINY, "run_id=r", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "outputs" / "r"


@pytest.fixture
def copy(runs: Path, tmp_path: Path) -> Path:
    """One of the runs, to be changed."""
    return Path(shutil.copytree(runs / "0", tmp_path / "r"))


def contents(folder: Path, name: str = "robustness.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    return found


def table(folder: Path, start: str) -> np.ndarray:
    names = Run(folder).facts["class_names"]
    rows = read_csv(folder / "predictions" / "test.csv")
    return np.array([[float(row[f"{start}_{name}"]) for name in names] for row in rows])


def test_a_training_judges_the_kinds_that_are_asked_for_and_the_page_shows_them(runs: Path) -> None:
    found, judged = contents(runs / "0"), contents(runs / "0", "evaluation.json")
    assert list(found["kinds"]) == ["rotation"]
    points = found["kinds"]["rotation"]["points"]
    assert [one["strength"] for one in points] == [0, 5, 10, 15, 20, 30]
    assert points[0]["auroc"] == pytest.approx(judged["splits"]["test"]["slice"]["metrics"]["auroc"], abs=1e-4)
    applied = judged["decisions"]["chosen"]["test"]["sensitivity"]
    assert points[0]["sensitivity"]["value"] == pytest.approx(applied["value"])
    assert points[0]["ece"]["value"] == judged["calibration"]["change"]["after"]["ece"]
    page = (runs / "0" / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="robustness"' in page
    assert 'id="uncertainty"' in page
    assert "chart-robustness" in page
    assert (runs / "0" / "robustness" / "rotation.png").is_file()
    patients = {row["patient"] for row in Run(runs / "0").split_rows}
    assert not [name for name in patients if name and name in json.dumps(found)]


def test_the_command_adds_kinds_and_is_deterministic(copy: Path) -> None:
    robustness(copy, kinds=["noise"])
    first = (copy / "robustness.json").read_bytes()
    picture = (copy / "robustness" / "noise.png").read_bytes()
    robustness(copy, kinds=["noise"])
    assert (copy / "robustness.json").read_bytes() == first
    assert (copy / "robustness" / "noise.png").read_bytes() == picture
    assert "Noise" in (copy / "report" / "index.html").read_text(encoding="utf-8")


def test_only_test_images_are_opened(runs: Path, monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    opened: set[int] = set()
    plain = ScanData.image_and_mask
    monkeypatch.setattr(ScanData, "image_and_mask", lambda self, index: opened.add(index) or plain(self, index))
    robustness(copy, kinds=["contrast"])
    assert opened == set(Run(copy).indices("test"))


def test_the_numbers_do_not_depend_on_the_batch(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, network = load_run(copy)
    data = open_data(run)
    whole = judged_robustness(run, network, data, kinds=["motion"])
    monkeypatch.setattr(module, "EVALUATION_BATCH", 3)
    parts = judged_robustness(run, network, data, kinds=["motion"])
    for kind, one in whole["kinds"].items():
        for there, here in zip(one["points"], parts["kinds"][kind]["points"], strict=True):
            for metric in ("auroc", "log_loss", "changed"):
                assert here[metric]["value"] == pytest.approx(there[metric]["value"], abs=1e-5)


def test_predictions_of_other_weights_are_refused(copy: Path) -> None:
    path = copy / "predictions" / "test.csv"
    names = Run(copy).facts["class_names"]
    rows = read_csv(path)
    rows[0] |= {f"prob_{name}": str(float(name == names[0])) for name in names}
    write_csv(path, list(rows[0]), rows)
    with pytest.raises(RunError, match=r"gives other predictions than those in predictions/test\.csv"):
        robustness(copy, kinds=["noise"])


def test_a_run_that_is_not_judged_is_refused(copy: Path) -> None:
    path = copy / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"stages": ["prepare", "fit"]}), encoding="utf-8")
    with pytest.raises(RunError, match="is not finished"):
        robustness(copy, kinds=["noise"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run=r", "kinds=blurr"], "there is no 'blurr'. Did you mean 'blur'"),
        (["run=r", "split=train"], "only split=test is judged"),
        (["kinds=blur"], "needs run="),
    ],
)
def test_mistakes_in_the_command_are_told_before_anything_is_read(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        commands.robustness(words)


def test_passes_with_dropout_stand_beside_the_predictions(runs: Path) -> None:
    for row in read_csv(runs / "0" / "predictions" / "test.csv"):
        assert 0 <= float(row["mutual_information"]) <= float(row["entropy"])
    mean_NK = table(runs / "0", "mean_prob")
    rows = read_csv(runs / "0" / "predictions" / "test.csv")
    np.testing.assert_allclose([float(row["entropy"]) for row in rows], entropy(mean_NK), atol=1e-6)
    found = contents(runs / "0", "evaluation.json")["uncertainty"]
    assert (found["method"], found["members"]) == ("mc_dropout", 5)
    assert list(found["orders"]) == ["max_probability", "mean_probability", "entropy", "mutual_information"]
    assert found["orders"]["max_probability"]["gain"]["value"] == 0
    curve = contents(runs / "0", "evaluation.json")["referral"]["curve"]
    assert found["error_rate"] == pytest.approx(curve["error_rate"])


@pytest.mark.slow
def test_passes_of_a_network_without_dropout_stop_before_training(tmp_path: Path) -> None:
    done = train("model.dropout=0.0", "uncertainty.mc_passes=5", *TINY, "run_id=r", cwd=tmp_path)
    assert done.returncode == 1
    assert "MLP has no dropout" in done.stderr
    assert not (tmp_path / "outputs" / "r" / "checkpoints").exists()


def test_an_ensemble_is_the_mean_and_can_be_compared_with_its_members(runs: Path, tmp_path: Path) -> None:
    out = ensemble([runs / "0", runs / "1"], out=tmp_path / "both")
    mean_NK = (table(runs / "0", "prob") + table(runs / "1", "prob")) / 2
    np.testing.assert_allclose(table(out, "prob"), mean_NK, atol=1e-8)
    judged = contents(out, "evaluation.json")
    assert judged["uncertainty"]["members"] == 2
    assert judged["calibration"]["choice"]["calibrator"]["num_patients"] > 0
    content = compared(
        read_candidates([out, runs / "0", runs / "1"]), metric="log_loss", pairs="first", num_resamples=50
    )
    losses = [one["metrics"]["slice"]["log_loss"]["value"] for one in content["runs"]]
    assert losses[0] == pytest.approx(judged["splits"]["test"]["slice"]["metrics"]["log_loss"]["value"])
    assert losses[0] <= (losses[1] + losses[2]) / 2  # Jensen
    assert content["runs"][0]["model"] == "Ensemble of 2 (MLP)"
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="uncertainty"' in page
    assert str(runs) not in page
    with pytest.raises(RunError, match="is not empty"):
        ensemble([runs / "0", runs / "1"], out=out)
    with pytest.raises(RunError, match="is an ensemble and holds no network"):
        load_run(out)


def test_without_common_validation_images_an_ensemble_chooses_nothing(runs: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(runs / "1", tmp_path / "other"))
    rows = read_csv(other / "predictions" / "val.csv")
    write_csv(other / "predictions" / "val.csv", list(rows[0]), rows[1:])
    out = ensemble([runs / "0", other], out=tmp_path / "both")
    assert not (out / "predictions" / "val.csv").exists()
    assert "no validation split" in contents(out, "evaluation.json")["calibration"]["reason"]


def test_an_ensemble_wants_either_runs_or_folds_with_new_images() -> None:
    for words in ([], ["runs=a,b", "run=c"], ["run=c"], ["runs=a,b", "path=p"], ["run=c", "path=p", "out=o"]):
        with pytest.raises(ConfigError, match="either runs="):
            commands.ensemble(words)


@pytest.mark.slow
def test_folds_are_taken_together_on_new_images_alone(tmp_path: Path) -> None:
    program = "from scanlens.cli import main; main()"
    done = run_command(["-c", program, "folds", "folds=3", *TINY, "run_id=cv"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folds = tmp_path / "outputs" / "cv"
    with pytest.raises(RunError, match="is a cross-validation"):
        ensemble([folds, Path(shutil.copytree(folds, tmp_path / "copy"))], out=tmp_path / "e")
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (48, 48), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "new.png")
    (joined,) = read_csv(fold_ensemble(folds, [tmp_path / "new.png"]) / "predictions.csv")
    singles = [
        read_csv(predict(folds / str(k), [tmp_path / "new.png"], num_mapped=0) / "predictions.csv")[0] for k in range(3)
    ]
    for name in Run(folds / "0").facts["class_names"]:
        mean = np.mean([float(row[f"prob_{name}"]) for row in singles])
        assert float(joined[f"prob_{name}"]) == pytest.approx(mean, abs=1e-6)
