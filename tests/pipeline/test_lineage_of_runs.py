"""Lineage and privacy of whole runs: a classifier on the encoder of a former run, on DICOM files of people."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from fakes.commands import run_command, train
from fakes.dicom_people import SECRETS, write_people, write_slice
from scanlens.data.hidden_names import name_of_file
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.files import read_csv
from scanlens.pipeline.lineage.stored import read_lineage
from scanlens.pipeline.predict import predict
from scanlens.runs import Run

pytestmark = pytest.mark.slow  # whole trainings

KEY = "the secret key of this test"
WORDS = ["data=dicom", "data.labels={file: labels.csv, by: patient, key: patient, label: label}", "preprocess.size=32"]
WORDS += ["trainer.max_epochs=1", "callbacks.num_explained_cases=2", "callbacks.bootstrap_resamples=0", "logger=none"]
START = ["model.weights=outputs/first"]
WORDS += ["callbacks.explain_every_n_epochs=0", "audit.enabled=false", "augment=none"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """outputs/first: an autoencoder; outputs/second: a classifier that starts from it."""
    where = tmp_path_factory.mktemp("people")
    write_people(where / "scans", num=16)
    for words in (["model=autoencoder", "run_id=first"], ["model=encoder_classifier", *START, "run_id=second"]):
        done = trained(where, *words)
        assert done.returncode == 0, done.stderr
        assert not [one for one in (*SECRETS, KEY) if one in done.stdout + done.stderr]
    return where


def trained(where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return train(*words, *WORDS, f"data.root={where / 'scans'}", cwd=where, env={"SCANLENS_PSEUDONYM_KEY": KEY})


def test_nothing_that_a_run_leaves_tells_who_the_people_are(folder: Path) -> None:
    files = [file for file in (folder / "outputs").rglob("*") if file.is_file()]
    assert {"lineage.json", "split.csv", "weights.safetensors", "hashes.u8", "index.html"} <= {f.name for f in files}
    for file in files:
        content = file.read_bytes()
        told = [one for one in (*SECRETS, KEY) if one.encode() in content or one.encode("utf-16-le") in content]
        assert told == [], file
    assert len({row["patient"] for row in read_csv(Run(folder / "outputs" / "first").split_file)}) == 16


def test_headers_give_modality_and_scale_to_the_context_of_cases(folder: Path) -> None:
    """32 rows of 0.75 mm are 24 mm, 32 columns of 0.5 mm 16 mm, which are 21 of 32 columns of the square."""
    text = (folder / "outputs" / "second" / "explanations" / "context.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert found["similar"]["pictures"]["are_shown"] is False
    assert len(found["cases"]) == 2
    for case in found["cases"]:
        native = case["native"]
        assert (native["modality"], native["spacing_mm"], native["is_assumed_square"]) == ("MR", [0.75, 0.5], False)
        assert native["place_hwyx"] == [32, 21, 0, 5]
        assert native["network_pixel_mm"] == pytest.approx([0.75, 16 / 21], rel=1e-5)


def test_the_second_run_remembers_both_and_its_page_says_so(folder: Path) -> None:
    lineage = read_lineage(folder / "outputs" / "second" / "lineage.json")
    assert [(one.run, one.train.num_patients) for one in lineage.generations] == [("second", 12), ("first", 12)]
    assert (lineage.begins_with, lineage.generations[0].data) == ("random", "dicom")
    assert lineage.generations[0].salt != lineage.generations[1].salt
    page = (folder / "outputs" / "second" / "report" / "index.html").read_text(encoding="utf-8")
    told = "Weights started from run first, which was trained on 12 patients (24 images); none of them is in this test split."
    assert told in page
    assert "Weights had seen nothing before." in (folder / "outputs" / "first" / "report" / "index.html").read_text()


@pytest.mark.slow
def test_another_division_is_refused_before_anything_is_trained_and_has_an_override(folder: Path) -> None:
    other = ["model=encoder_classifier", *START, "seed=5", "run_id=third"]
    done = trained(folder, *other)
    assert done.returncode == 1
    assert "of this run were used for training, or for choosing the epoch, in run first" in done.stderr
    assert f"split.file={folder / 'outputs' / 'first' / 'split.csv'}" in done.stderr
    assert not (folder / "outputs" / "third" / "config.yaml").exists()
    again = trained(folder, *other, "lineage.on_seen=warn")
    assert again.returncode == 0, again.stderr
    page = (folder / "outputs" / "third" / "report" / "index.html").read_text(encoding="utf-8")
    assert "lineage.on_seen=warn: " in page
    assert "of this test split had been seen." in page


@pytest.mark.slow
def test_the_same_command_keeps_the_salt_when_it_prepares_again(folder: Path) -> None:
    run = Run(folder / "outputs" / "first")
    before = json.loads(run.lineage_file.read_text(encoding="utf-8"))
    run.config_file.unlink()  # as if it had been stopped before its preparation was whole
    done = trained(folder, "model=autoencoder", "run_id=first")
    assert done.returncode == 0, done.stderr
    assert json.loads(run.lineage_file.read_text(encoding="utf-8")) == before


def test_prediction_marks_what_the_network_was_trained_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SCANLENS_PSEUDONYM_KEY", KEY)
    run = Run(folder / "outputs" / "second")
    split_of = {row["id"]: row["split"] for row in run.split_rows}
    by_split = {
        split_of[Pseudonyms().of(name_of_file(path.name))]: path.name for path in sorted(folder.glob("scans/*.dcm"))
    }
    new = tmp_path / "new"
    new.mkdir()
    for split in ("train", "val", "test"):
        shutil.copy(folder / "scans" / by_split[split], new / f"renamed-{split}")
    trained_on = int(by_split["train"][:2])
    write_slice(new / "another slice", person=trained_on, place=7)
    written = predict(run.folder, [new], num_mapped=0, shows_files=True)
    marks = {row["file"]: row["seen_in_training"] for row in read_csv(written / "predictions.csv")}
    assert marks == {
        "renamed-train": "image",
        "renamed-val": "image",
        "renamed-test": "",
        "another slice": "patient",
    }
    told = [record.message for record in caplog.records if "seen_in_training" in record.message]
    assert len(told) == 1
    assert told[0].startswith("of 4 images, 2 are images that it was trained on and 1 are of patients")


def test_help_names_the_new_settings(tmp_path: Path) -> None:
    program = "from scanlens.cli import main; main()"
    assert "lineage.on_seen=warn" in run_command(["-c", program, "train", "--help"], cwd=tmp_path).stdout
    predicted = run_command(["-c", program, "predict", "--help"], cwd=tmp_path).stdout
    assert "seen_in_training" in predicted
    assert "SCANLENS_PSEUDONYM_KEY" in predicted
    wrong = train("lineage.on_seen=warning", "lineage.onseen=warn", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "lineage.on_seen" in wrong.stderr
    assert "onseen" in wrong.stderr
