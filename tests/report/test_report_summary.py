"""The closing table of the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from fakes.run_folder import write_json, write_run_folder
from scanlens.errors import RunError
from scanlens.report.summary import console_table


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_run_folder(tmp_path / "outputs" / "run")


def test_the_table_says_what_was_trained_on_what_and_how_well(folder: Path) -> None:
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    metrics = evaluation["splits"]["test"]["slice"]["metrics"]
    metrics["auroc"] = {"value": 0.9712, "low": 0.9361, "high": 0.9942, "reason": None}
    metrics["balanced_accuracy"] = {"value": 0.8333, "low": None, "high": None, "reason": "no resamples"}
    evaluation["splits"]["test"] |= {"patient": None, "patient_reason": "patients are unknown"}
    write_json(folder / "evaluation.json", evaluation)
    (folder / "report").mkdir()
    (folder / "report" / "index.html").touch()
    assert console_table(folder).splitlines() == [
        "data        brain_tumor_mri",
        "images      train 920 · val 184 · test 96  (230 · 46 · 24 patients)",
        "classes     4: glioma (408), meningioma (276), pituitary (336), no_tumor (180)",
        "model       LeNet-5, 431,080 parameters, from scratch",
        "epochs      12, best 9 (val/auroc 0.941) in 3 min 12 s",
        "test                                AUROC                     balanced accuracy",
        "            per image (96)          0.97 (0.94 to 0.99)       0.83",
        "            per patient             not assessed: patients are unknown",
        "            without looking                                   0.25",
        "            1-nearest neighbor                                0.57",
        "explained   6 cases by hires_cam, grad_cam, 2 blank maps",
        "pointing    hires_cam 0.76 (0.65 to 0.87), grad_cam 0.71 (0.58 to 0.84); chance 0.06",
        "warnings    1, see the report",
        "report      outputs/run/report/index.html",
    ]


def test_the_table_stays_within_16_lines_of_100_columns_for_many_long_classes(folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    names = [f"a rather long name of class {i}" for i in range(40)]
    config["facts"] |= {"class_names": names, "counts": {"train": dict.fromkeys(names, 10)}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    write_json(folder / "evaluation.json", {**evaluation, "class_names": names})
    lines = console_table(folder).splitlines()
    assert len(lines) <= 16
    assert max(map(len, lines)) <= 100
    assert lines[2].startswith("classes     40: a rather long name of class 0 (10), ")
    assert lines[2].endswith("…")


def test_what_is_missing_is_said(folder: Path) -> None:
    for name in ("metrics.csv", "explanations/cases.json"):
        (folder / name).unlink()
    write_json(folder / "evaluation.json", {"schema_version": 1, "task": "classification"})
    table = console_table(folder)
    assert "explained   not assessed" in table
    assert "pointing    not assessed" in table
    assert "report      not assessed: not written" in table


def test_reconstruction_has_its_own_lines(tmp_path: Path) -> None:
    table = console_table(write_run_folder(tmp_path / "run", task="reconstruction"))
    assert "test        SSIM 0.87 (0.86 to 0.89), PSNR 26.7 (26.1 to 27.3) dB on 96 images" in table
    assert "anomaly     AUROC 0.81 (0.72 to 0.89)" in table


def test_a_folder_that_is_no_run_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is missing in .* Let the training finish"):
        console_table(tmp_path)
