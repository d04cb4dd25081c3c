"""Sources under pseudonyms: the same images in the same order, under other names; and words of libraries without quotes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scanlens.data.hidden_names import HiddenNames, name_of_file
from scanlens.data.privacy_plan import PrivacyPlan, is_of_dicom
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.data.reasons import words_of
from scanlens.errors import ConfigError, DataError
from scanlens.provenance import shown_command
from scanlens.types import RawImage, Record


class Two:
    """Two pictures, told apart by their one gray value."""

    name, notes, color = "two", ["a note"], "gray"

    def records(self) -> list[Record]:
        meta = {"volume": "doe.nii", "slice": 3, "site": "A"}
        return [Record("z/doe.png", "/home/doe.png", "ill", "Doe", "train", meta=meta), Record("a.png", "/a.png")]

    def read(self, record: Record) -> RawImage:
        return RawImage(np.full((2, 2), {"z/doe.png": 1, "a.png": 2}[record.id], np.uint8), "gray", (0, 255))

    def read_mask(self, record: Record) -> np.ndarray | None:
        return np.ones((2, 2), np.uint8) if record.id == "a.png" else None


def test_images_are_the_same_in_the_same_order_under_other_names() -> None:
    source, known = HiddenNames(Two()), Pseudonyms()
    first, second = source.records()
    assert (first.id, first.patient) == (known.of(name_of_file("z/doe.png")), known.of("Doe"))
    assert first.meta == {"volume": known.of(name_of_file("doe.nii")), "slice": 3, "site": "A"}
    assert (first.target, first.split, second.patient) == ("ill", "train", None)
    assert [int(source.read(record).pixels[0, 0]) for record in (first, second)] == [1, 2]
    assert [source.read_mask(record) is None for record in (first, second)] == [True, False]
    assert (source.name, source.notes, source.color) == ("two", ["a note"], "gray")


def test_a_file_called_like_a_patient_has_another_pseudonym() -> None:
    assert Pseudonyms().of("Doe") != Pseudonyms().of(name_of_file("Doe"))


def test_patients_who_are_pseudonyms_already_stay() -> None:
    class Dicom(Two):
        def records(self) -> list[Record]:
            meta = {"volume": "5e1e5", "series": "5e1e5", "slice": 0}
            return [Record("doe.dcm", "/doe.dcm", patient="abc", meta=meta)]

    (only,) = HiddenNames(Dicom(), hides_patients=False).records()
    assert (only.patient, only.meta["volume"]) == ("abc", "5e1e5")


@pytest.mark.parametrize(
    ("names", "of_dicom", "of_others"), [("auto", True, False), ("keep", False, False), ("hide", True, True)]
)
def test_names_are_hidden_as_the_plan_says(names: str, of_dicom: bool, of_others: bool) -> None:
    plan = PrivacyPlan(names=names)  # type: ignore[arg-type]
    assert (plan.hides(is_dicom=True), plan.hides(is_dicom=False)) == (of_dicom, of_others)
    with pytest.raises(ConfigError, match="Did you mean 'hide'"):
        PrivacyPlan(names="hid")  # type: ignore[arg-type]


def test_the_source_of_dicom_files_is_known_by_its_name() -> None:
    from scanlens.data.sources.dicom import DicomSource

    assert is_of_dicom({"_target_": f"{DicomSource.__module__}.{DicomSource.__qualname__}"})
    assert not is_of_dicom({"_target_": "scanlens.data.sources.folder.FolderSource"})


def test_words_of_a_library_lose_what_they_quote() -> None:
    told = words_of(
        ValueError(f"bad value 'Doe^Jane' or b'MRN' in {Path('/home/doe/a.nii')}"), path=Path("/home/doe/a.nii")
    )
    assert told == "bad value ... or ... in the file"
    assert words_of(KeyError()) == "KeyError"
    assert len(words_of(ValueError("x" * 400))) == 150


def test_what_is_passed_on_of_an_error_is_told_apart() -> None:
    assert DataError("3 images, such as 'doe.png'", public="3 images").public == "3 images"
    assert DataError("no image").public == "no image"


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("seed=3", "seed=3"),
        ("data=mri", "data=mri"),
        ("data.root=scans", "data.root=..."),
        ("data.labels={file: doe.csv, by: file}", "data.labels=..."),
        ("data.labels.file=doe.csv", "data.labels.file=..."),
        ("+callbacks.anomaly_run=/home/doe/r", "+callbacks.anomaly_run=..."),
        ("run=/home/doe/outputs/r", "run=r"),
        ("runs=/home/doe/a,/home/doe/b", "runs=a,b"),
        ("--multirun", "--multirun"),
    ],
)
def test_commands_are_shown_without_places(word: str, shown: str) -> None:
    assert shown_command(["/home/doe/train.py", word]) == f"train.py {shown}"
