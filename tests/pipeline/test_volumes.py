"""Volumes the whole way: trained, joined by a rule of validation, explained along the slices, predicted as a whole."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from fakes.commands import run_command, train
from fakes.volumes import write_volume, write_volumes
from scanlens.errors import ConfigError, RunError
from scanlens.evaluation.patient_rules import PatientRule
from scanlens.files import read_csv
from scanlens.pipeline.patients import positive_class
from scanlens.pipeline.predict import predict
from scanlens.runs import Run

pytestmark = pytest.mark.slow  # whole trainings

LABELS = "data.labels={file: labels.csv, by: file, key: file, label: diagnosis}"
QUICK = ["preprocess.size=32", "callbacks.num_explained_cases=4", "callbacks.bootstrap_resamples=0", "run_id=r"]
QUICK += ["callbacks.explain_every_n_epochs=0", "logger=none"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Slices have the label of their volume, though only two of eight show it."""
    folder = tmp_path_factory.mktemp("volumes")
    write_volumes(folder / "set", num=64)
    done = train(
        "model=lenet", "data=nifti", f"data.root={folder / 'set'}", LABELS, "split.fractions=[0.4,0.3,0.3]",
        "trainer.max_epochs=6", "augment=none", "callbacks.positive_class=auto", *QUICK, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Run(folder / "outputs" / "r")


def probabilities_of(rows: list[dict[str, str]]) -> np.ndarray:
    return np.array([[float(row["prob_healthy"]), float(row["prob_ill"])] for row in rows])


def rule_of(run: Run) -> PatientRule:
    judged = json.loads(run.evaluation_file.read_text(encoding="utf-8"))
    return PatientRule(judged["patient_rule"]["name"], judged["patient_rule"]["k"])


def test_validation_chooses_a_rule_that_is_used_on_test(trained: Run) -> None:
    judged = json.loads(trained.evaluation_file.read_text(encoding="utf-8"))
    chosen = judged["patient_rule"]
    assert chosen["name"] in ("top_k", "max"), "two slices of eight tell, and their mean hides it"
    assert (chosen["unit"], chosen["positive_class"]) == ("slice", "ill")
    assert chosen["num_val_patients"] == judged["splits"]["val"]["patient"]["num_patients"] >= 12
    scores = {(one["name"], one["k"]): one["val_log_loss"] for one in chosen["candidates"]}
    assert scores[chosen["name"], chosen["k"]] < scores["mean", None]
    assert f"Patient probability: {chosen['words']}" in trained.report_file.read_text(encoding="utf-8")


@pytest.mark.parametrize("split", ["val", "test"])
def test_tables_of_patients_are_the_pooled_tables_of_slices(trained: Run, split: str) -> None:
    slices, rule = read_csv(trained.predictions / f"{split}.csv"), rule_of(trained)
    patients = read_csv(trained.predictions / f"{split}_patients.csv")
    assert [row["patient"] for row in patients] == list(dict.fromkeys(row["patient"] for row in slices))
    for row in patients:
        own = [one for one in slices if one["patient"] == row["patient"]]
        assert int(row["num_images"]) == len(own)
        assert {one["target"] for one in own} == {row["target"]}
        np.testing.assert_allclose(probabilities_of([row])[0], rule.pool(probabilities_of(own), positive=1), atol=1e-7)
        assert row["predicted"] == ["healthy", "ill"][int(probabilities_of([row])[0].argmax())]


def test_explained_slices_are_of_different_volumes_and_have_a_profile(trained: Run) -> None:
    cases = json.loads((trained.explanations / "cases.json").read_text(encoding="utf-8"))["cases"]
    places = {int(row["index"]): (row["volume"], int(row["slice"])) for row in read_csv(trained.volumes_file)}
    at = [places[int(case["case"][-5:])] for case in cases]
    assert len({volume for volume, _ in at}) == len(cases) == 4
    by_case = {row["case"]: row for row in read_csv(trained.predictions / "test.csv")}
    for case, (volume, number) in zip(cases, at, strict=True):
        profile = case["profile"]
        assert (profile["class"], profile["slice"]) == (case["predicted"], number)
        assert profile["slices"] == sorted(n for v, n in places.values() if v == volume)
        shown = profile["probabilities"][profile["slices"].index(number)]
        assert shown == float(by_case[case["case"]][f"prob_{case['predicted']}"])
        assert (trained.explanations / f"{case['case']}_profile.png").is_file()
    page = trained.report_file.read_text(encoding="utf-8")
    assert page.count("Along the volume") == 4
    assert ".nii" not in page.replace("(.nii", ""), "volumes are named nowhere on the page"


def test_a_new_volume_gets_the_numbers_of_training_and_maps_of_its_most_telling_slices(
    trained: Run, tmp_path: Path
) -> None:
    known = next(row for row in read_csv(trained.predictions / "test_patients.csv") if row["predicted"] == "ill")
    shutil.copy(trained.folder.parents[1] / "set" / f"{known['patient']}.nii.gz", tmp_path / "new.nii.gz")
    folder = predict(trained.folder, [tmp_path / "new.nii.gz"], num_mapped=2)
    (row,) = read_csv(folder / "patients.csv")
    assert (row["patient"], row["num_images"], row["predicted"]) == ("new", "8", "ill")
    np.testing.assert_allclose(probabilities_of([row]), probabilities_of([known]), atol=2e-4)  # the cache has 16 bits
    slices = read_csv(folder / "predictions.csv")
    assert [(one["volume"], one["slice"]) for one in slices] == [("new.nii.gz", str(i)) for i in range(8)]
    trained_on = [one for one in read_csv(trained.predictions / "test.csv") if one["patient"] == known["patient"]]
    np.testing.assert_allclose(probabilities_of(slices), probabilities_of(trained_on), atol=2e-4)
    highest = {slices[i]["case"] for i in np.argsort(-probabilities_of(slices)[:, 1])[:2]}
    assert {path.name.removesuffix("_scan.png") for path in folder.glob("*_scan.png")} == highest
    decide_and_lie_on_the_scan(folder, tmp_path / "new.nii.gz", slices)


def decide_and_lie_on_the_scan(folder: Path, scan: Path, slices: list[dict[str, str]]) -> None:
    """The two slices that show the sign are the decisive ones, and the map has the voxels of the scan."""
    rows = read_csv(folder / "slices.csv")
    assert [(row["case"], row["probability"]) for row in rows] == [(one["case"], one["prob_ill"]) for one in slices]
    assert {row["slice"] for row in rows if row["decisive_rank"] in ("1", "2")} <= {"3", "4"}
    assert {row["class"] for row in rows} == {"ill"}
    (overlay,) = folder.glob("*.nii.gz")
    assert overlay.name == f"{slices[0]['case']}_hires_cam.nii.gz"
    laid, read = nibabel.load(overlay), nibabel.load(scan)
    assert laid.shape == read.shape
    np.testing.assert_allclose(laid.affine, read.affine)
    assert not np.isnan(laid.get_fdata()).all(axis=(0, 1)).any(), "every slice was explained"
    assert (folder / f"{slices[0]['case']}_slices.png").is_file()


def test_new_volumes_are_called_as_the_run_calls_its_own(
    trained: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All test volumes as new ones: the calls of volumes are those that evaluation.json counts."""
    known = {row["patient"]: row["target"] for row in read_csv(trained.predictions / "test_patients.csv")}
    for name in known:
        shutil.copy(trained.folder.parents[1] / "set" / f"{name}.nii.gz", tmp_path)
    with caplog.at_level("INFO"):
        folder = predict(trained.folder, [tmp_path], num_mapped=0)
    judged = json.loads(trained.evaluation_file.read_text(encoding="utf-8"))
    point, patients = judged["decisions"]["chosen"], read_csv(folder / "patients.csv")
    called = {row["patient"]: row["called"] == "positive" for row in patients}
    assert point["unit"] == "patient"
    assert [float(row["threshold"]) for row in patients] == pytest.approx([point["threshold"]] * len(known))
    assert sum(called[name] for name in known if known[name] == "ill") == point["test"]["true_positives"]
    assert sum(called[name] for name in known if known[name] == "healthy") == point["test"]["false_positives"]
    slices = read_csv(folder / "predictions.csv")
    assert {row["called"] for row in slices} == {""}, "the threshold is one of patients"
    assert sum(row["refer"] == "yes" for row in slices) == sum(int(row["num_referred"]) for row in patients)
    assert f"Called positive ('ill'): {sum(called.values())} of {len(known)} patients. Run r: The thresh" in caplog.text


def test_what_is_shown_of_a_new_volume_is_calibrated_and_said_to_be(
    trained: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With a temperature of 2, odds become their square root; the columns prob_ stay as the network states them."""
    copy = tmp_path / "hot"
    shutil.copytree(trained.folder, copy, ignore=shutil.ignore_patterns("new", "report", "explanations"))
    judged = json.loads((copy / "evaluation.json").read_text(encoding="utf-8"))
    judged["calibration"]["choice"]["calibrator"] |= {
        "method": "temperature",
        "temperature": 2.0,
        "curves": [],
        "biases": [],
    }
    (copy / "evaluation.json").write_text(json.dumps(judged), encoding="utf-8")
    volume = write_volume(tmp_path / "new.nii", is_ill=True, seed=3)
    with caplog.at_level("INFO"):
        folders = [predict(place, [volume], num_mapped=0) for place in (trained.folder, copy)]
    before, after = (read_csv(folder / "predictions.csv") for folder in folders)
    np.testing.assert_array_equal(probabilities_of(before), probabilities_of(after))
    odds = np.sqrt(np.divide(*probabilities_of(after).T))
    np.testing.assert_allclose([float(row["calibrated_healthy"]) for row in after], odds / (1 + odds), rtol=1e-6)
    (patient,) = read_csv(folders[1] / "patients.csv")
    shown = float(patient[f"calibrated_{patient['predicted']}"])
    assert f"patient or volume of new-00000: {patient['predicted']} (calibrated {shown:.2f}); 8 images" in caplog.text
    assert "calibrated by run hot (temperature 2.00)" in caplog.text


def hostile_volumes(folder: Path) -> dict[str, str]:
    """Files by name, and what their reason says."""
    good = write_volume(folder / "good.nii", is_ill=False, seed=1).read_bytes()
    (folder / "cut.nii").write_bytes(good[:3000])
    (folder / "empty.nii.gz").write_bytes(b"")
    (folder / "text.nii").write_text("no volume at all\n" * 40)
    huge = bytearray(good)
    huge[40:56] = struct.pack("<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1)
    (folder / "huge.nii").write_bytes(huge)
    os.mkfifo(folder / "pipe.nii")
    os.mkfifo(folder / "pipe.dcm")
    (folder / "text.dcm").write_text("words " * 50)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    flat = write_volume(folder / "flat.nii", is_ill=False, seed=2)
    flat.write_bytes(flat.read_bytes()[:352] + b"\0" * (len(good) - 352))
    return {
        "cut.nii": "cut off", "empty.nii.gz": "0 bytes", "text.nii": "not a NIfTI", "huge.nii": "over the limit",
        "pipe.nii": "pipe", "pipe.dcm": "pipe", "text.dcm": "not a DICOM", "broken.png": "", "flat.nii": "no slice",
    }  # fmt: skip


def test_hostile_files_among_pictures_and_volumes_cost_a_reason_each(trained: Run, tmp_path: Path) -> None:
    reasons = hostile_volumes(tmp_path)
    Image.fromarray(np.full((30, 30), 90, np.uint8)).save(tmp_path / "picture.png")
    (tmp_path / "README").write_text("passed over")
    (tmp_path / "away.nii").symlink_to("/etc/hostname")
    started = time.monotonic()
    folder = predict(trained.folder, [tmp_path], num_mapped=1, shows_files=True)
    assert time.monotonic() - started < 30
    rows = read_csv(folder / "predictions.csv")
    told = {row["file"]: row["reason"] for row in rows if row["reason"]}
    assert set(told) == set(reasons)
    for name, words in reasons.items():
        assert words in told[name]
        assert str(tmp_path) not in told[name]
        assert "\n" not in told[name]
    assert {row["file"] for row in rows if not row["reason"]} == {"picture.png", "good.nii"}
    patients = {row["patient"]: row for row in read_csv(folder / "patients.csv")}
    assert "picture.png" not in patients
    assert (patients["good"]["num_images"], patients["good"]["reason"]) == ("8", "")
    assert (patients["cut"]["num_images"], patients["cut"]["predicted"]) == ("0", "")
    assert "cut off" in patients["cut"]["reason"]


def test_volumes_of_one_name_below_two_folders_are_not_joined(trained: Run, tmp_path: Path) -> None:
    for i, place in enumerate(("a", "b")):
        write_volume(tmp_path / place / "scan.nii", is_ill=bool(i), seed=i)
    folder = predict(trained.folder, [tmp_path / "a", tmp_path / "b"], num_mapped=0)
    assert [row["num_images"] for row in read_csv(folder / "patients.csv")] == ["8", "8"]
    assert not list(folder.glob("*.png"))


def dicom_series(folder: Path, *, person: str, num: int = 4, rows: int = 30) -> Path:
    """Slices of one series in files without an extension, out of order."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    for place in range(num):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.PatientID, ds.PatientName, ds.Modality, ds.SeriesInstanceUID = (
            person,
            f"Hidden^{person}",
            "MR",
            f"1.2.{len(person)}",
        )
        ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, float(place)], [1, 0, 0, 0, 1, 0]
        ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, 20, 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 0
        ds.PixelData = np.arange(rows * 20, dtype=np.uint16).tobytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds.save_as(folder / f"IM{num - place}", enforce_file_format=True)
    return folder


def test_dicom_files_of_any_name_are_joined_by_hashed_patients_who_are_named_nowhere(
    trained: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dicom_series(tmp_path / "one", person="SECRET-A")
    dicom_series(tmp_path / "two", person="SECRET-BB", num=2)
    shutil.copy(tmp_path / "two" / "IM1", tmp_path / "two" / "copy")
    with caplog.at_level("INFO"):
        folder = predict(trained.folder, [tmp_path], num_mapped=1, shows_files=True)
    slices, patients = read_csv(folder / "predictions.csv"), read_csv(folder / "patients.csv")
    assert [(row["file"], row["slice"]) for row in slices if not row["reason"]][:4] == [
        (f"one/IM{4 - i}", str(i)) for i in range(4)
    ]
    assert [(row["num_images"], row["num_unreadable"]) for row in patients] == [("4", "0"), ("2", "0")]
    assert [row["file"] for row in slices if "is in another file" in row["reason"]] == ["two/copy"]
    assert all(len(row["patient"]) == 12 for row in patients)
    assert len(list(folder.glob("*_scan.png"))) == 2
    for file in folder.rglob("*"):
        assert b"SECRET" not in file.read_bytes()
        assert b"Hidden" not in file.read_bytes()
    assert "SECRET" not in caplog.text
    assert "was not trained on DICOM volumes; they are read by the defaults" in caplog.text


def test_a_damaged_rule_is_refused_with_the_file(trained: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(trained.folder, copy)
    judged = json.loads((copy / "evaluation.json").read_text())
    (copy / "evaluation.json").write_text(json.dumps(judged | {"patient_rule": {"name": "top_k", "k": 0}}))
    with pytest.raises(RunError, match=r"evaluation.json cannot be understood"):
        predict(copy, [write_volume(tmp_path / "a.nii", is_ill=True, seed=1)], num_mapped=0)


def test_a_positive_class_that_the_data_do_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"positive_class=sick: the classes are healthy and ill, and 'sick' is none"):
        positive_class({"callbacks": {"positive_class": "sick"}}, ["healthy", "ill"])


# Real files


def real_data(folder: str) -> Path:
    root = os.environ.get("SCANLENS_TEST_DATA")
    if not root:
        pytest.skip("SCANLENS_TEST_DATA is not set")
    return Path(root, folder).resolve()


@pytest.mark.slow
def test_a_positive_class_that_the_data_do_not_have_stops_a_run_before_training(tmp_path: Path) -> None:
    write_volumes(tmp_path / "set", num=8)
    words = ["model=lenet", "data=nifti", f"data.root={tmp_path / 'set'}", LABELS, *QUICK]
    done = train(*words, "callbacks.positive_class=sick", cwd=tmp_path)
    assert done.returncode == 2
    assert "callbacks.positive_class=sick: the classes are healthy and ill" in done.stderr


@pytest.mark.slow
def test_every_real_volume_and_dicom_file_gets_a_row_of_its_own_or_a_reason(trained: Run, tmp_path: Path) -> None:
    program = "import sys; from scanlens.cli import main; main(sys.argv[1:])"
    words = [
        "predict",
        f"run={trained.folder}",
        f"path={real_data('volumes')}",
        f"path={real_data('dicom')}",
        "maps=1",
        "names=keep",
    ]
    before = set(trained.folder.glob("new/*"))
    done = run_command(["-c", program, *words], cwd=tmp_path, timeout_s=500)
    assert done.returncode == 0, done.stderr
    (folder,) = set(trained.folder.glob("new/*")) - before
    rows, patients = read_csv(folder / "predictions.csv"), read_csv(folder / "patients.csv")
    told = {row["file"]: row["reason"] for row in rows if row["reason"]}
    assert {"broken/MR_truncated.dcm", "broken/badVR.dcm", "broken/no_meta.dcm", "broken/rtplan.dcm"} <= set(told)
    volumes = {path.name for path in real_data("volumes").glob("*.nii*")}
    assert volumes <= {row["file"] for row in rows if not row["reason"]}
    assert sum(int(row["num_images"]) for row in patients) == sum(not row["reason"] for row in rows) > 500
    assert all(
        abs(sum(float(v) for k, v in row.items() if k.startswith("prob_")) - 1) < 1e-6
        for row in rows
        if not row["reason"]
    )
    epi = [row["slice"] for row in rows if row["file"].startswith("series-ge-epi/")]
    assert epi == [str(place) for place in range(15)]


@pytest.mark.slow
def test_slices_with_and_without_a_tumor_make_patients_if_one_slice_is_enough(tmp_path: Path) -> None:
    root = real_data("lgg-flair-masks")
    words = ["model=lenet", "data=lgg_flair", f"data.root={root}", "trainer.max_epochs=1", *QUICK]
    done = train(*words, "callbacks.positive_class=auto", cwd=tmp_path, timeout_s=400)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "outputs" / "r")
    judged = json.loads(run.evaluation_file.read_text(encoding="utf-8"))
    assert judged["patient_rule"]["positive_class"] == "tumor"
    patients = read_csv(run.predictions / "test_patients.csv")
    slices = read_csv(run.predictions / "test.csv")
    for row in patients:
        has_tumor = any(one["target"] == "tumor" for one in slices if one["patient"] == row["patient"])
        assert row["target"] == ("tumor" if has_tumor else "no_tumor")
