"""Sources list and read small trees with the folders of the real data sets, and say what does not fit."""

from __future__ import annotations

import gzip
import importlib
import inspect
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from fakes import blood_cells, blood_smear, brain_tumor_mri, dementia_mri, lgg_flair, malaria, mnist
from fakes.pictures import save_color, save_gray, save_square_mask
from scanlens.data.sources.auto import folder_or_phantom
from scanlens.data.sources.folder import FolderSource
from scanlens.data.sources.listing import files_below
from scanlens.data.sources.mnist import MnistSource
from scanlens.data.sources.table import TableSource
from scanlens.errors import ConfigError, DataError, ImageError
from scanlens.paths import config_dir
from scanlens.types import Record

OWN_PRESETS = [
    "blood_cells", "blood_smear", "blood_smear_context", "brain_tumor_mri", "dementia_mri", "dicom", "folder", "lgg_flair",
    "malaria", "microscopy", "mnist", "mri", "nifti", "table",
]  # fmt: skip


def settings_of(name: str) -> dict[str, Any]:
    """The part `data` of conf/data/<name>.yaml; a preset that sets more than its data names that part."""
    config = yaml.safe_load((config_dir() / "data" / f"{name}.yaml").read_text(encoding="utf-8"))
    config.pop("defaults")
    return config.get("data", config)


def preset(name: str, **settings: Any) -> Any:
    """The source of conf/data/<name>.yaml, built from its target and its settings alone."""
    config = settings_of(name)
    module, _, attribute = config.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), attribute)(**(config | settings))


def targets(source: Any) -> dict[str | None, int]:
    return dict(Counter(record.target for record in source.records()))


def splits(source: Any) -> dict[str | None, int]:
    return dict(Counter(record.split for record in source.records()))


def record_of(source: Any, name: str) -> Record:
    return next(record for record in source.records() if record.id == name)


# Presets


@pytest.mark.parametrize("name", OWN_PRESETS)
def test_a_preset_lists_every_setting_of_its_source_and_no_other(name: str) -> None:
    config = settings_of(name)
    module, _, attribute = config["_target_"].rpartition(".")
    arguments = set(inspect.signature(getattr(importlib.import_module(module), attribute)).parameters)
    assert set(config) - {"_target_"} == arguments


@pytest.mark.parametrize("name", OWN_PRESETS)
def test_the_first_line_of_a_preset_is_its_command(name: str) -> None:
    text = (config_dir() / "data" / f"{name}.yaml").read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if not line.startswith("# @package"))
    assert first.startswith("# python train.py ")
    assert f"data={name}" in first


@pytest.mark.parametrize("name", sorted(set(OWN_PRESETS) - {"mri", "microscopy"}))
def test_a_preset_without_root_says_what_to_set(name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: .*Set data.root=/path/to/{name}"):
        preset(name)


def test_brain_tumor_mri_has_given_splits_gray_pictures_and_boxes(tmp_path: Path) -> None:
    source = preset("brain_tumor_mri", root=str(brain_tumor_mri.write(tmp_path)))
    assert targets(source) == dict.fromkeys(brain_tumor_mri.CLASSES, 4)
    assert splits(source) == {"train": 12, "test": 4}
    record = record_of(source, "Training/glioma_tumor/image(1).jpg")
    assert source.read(record).pixels.shape == (20, 16)
    expected = np.zeros((20, 16), np.uint8)
    expected[5:15, 6:10] = 1  # a quarter of 16 columns and half of 20 rows around the middle
    np.testing.assert_array_equal(source.read_mask(record), expected)
    assert source.read_mask(record_of(source, "Testing/no_tumor/image(1).jpg")) is None
    assert source.notes == []


def test_brain_tumor_mri_works_without_boxes(tmp_path: Path) -> None:
    root = brain_tumor_mri.write(tmp_path)
    (root / "boxes.csv").unlink()
    source = preset("brain_tumor_mri", root=str(root))
    assert all(record.mask is None for record in source.records())
    assert source.notes == ["data.boxes.file is not under data.root, so no lesion boxes are known."]


def test_dementia_mri_takes_subjects_from_its_table(tmp_path: Path) -> None:
    source = preset("dementia_mri", root=str(dementia_mri.write(tmp_path)))
    assert targets(source) == {
        "Non_Demented": 6, "Very_Mild_Demented": 6, "Mild_Demented": 6, "Moderate_Demented": 2,
    }  # fmt: skip
    record = record_of(source, "Mild_Demented/mild_4.jpg")
    assert (record.patient, record.meta) == ("MI001", {"slice_order": "2"})
    assert source.class_names == ["Non_Demented", "Very_Mild_Demented", "Mild_Demented", "Moderate_Demented"]


def test_dementia_mri_without_its_table_says_that_patients_are_not_known(tmp_path: Path) -> None:
    source = preset("dementia_mri", root=str(dementia_mri.write(tmp_path, with_table=False)))
    assert {record.patient for record in source.records()} == {None}
    assert source.notes == ["data.sidecar.file is not under data.root, so what it says of patients is not known."]


def test_lgg_flair_takes_classes_from_masks_patients_from_folders_and_keeps_sequences(tmp_path: Path) -> None:
    source = preset("lgg_flair", root=str(lgg_flair.write(tmp_path)))
    assert targets(source) == {"no_tumor": 4, "tumor": 8}
    name = "TCGA_CS_4941_19960909"
    record = record_of(source, f"{name}/{name}_2.tif")
    assert (record.patient, record.target) == (name, "tumor")
    raw = source.read(record)
    assert (raw.color, raw.pixels.shape) == ("channels", (16, 16, 3))
    mask_HW = source.read_mask(record)
    assert (int(mask_HW.sum()), int(mask_HW[:4, :4].sum())) == (16, 16)


def test_blood_cells_has_eight_classes_in_color(tmp_path: Path) -> None:
    source = preset("blood_cells", root=str(blood_cells.write(tmp_path)))
    assert targets(source) == dict.fromkeys(blood_cells.PREFIXES, 3)
    assert source.read(source.records()[0]).pixels.shape == (18, 16, 3)


def test_blood_smear_takes_the_smear_for_the_patient(tmp_path: Path) -> None:
    source = preset("blood_smear", root=str(blood_smear.write(tmp_path)))
    assert targets(source) == dict.fromkeys(blood_smear.CLASSES, 4)
    record = record_of(source, "crops/WBC/BloodImage_00002_02.jpg")
    assert record.patient == "JPEGImages/BloodImage_00002.jpg"
    assert record.meta == {"xmin": "1", "ymin": "2", "xmax": "13", "ymax": "14"}


def test_blood_smear_context_cuts_windows_around_the_same_cells(tmp_path: Path) -> None:
    source = preset("blood_smear_context", root=str(blood_smear.write(tmp_path)))
    assert targets(source) == dict.fromkeys(blood_smear.CLASSES, 4)
    name = "JPEGImages/BloodImage_00002.jpg"
    record = record_of(source, f"{name}#1_2_13_14")
    assert (record.patient, record.target, record.path) == (name, "WBC", str(tmp_path / name))
    assert source.read(record).pixels.shape == (30, 30, 3)  # 2.5 times 12
    assert int(source.read_mask(record).sum()) == 144


def test_malaria_reads_patients_from_file_names_as_from_its_table(tmp_path: Path) -> None:
    with_table = preset("malaria", root=str(malaria.write(tmp_path / "a")))
    without = preset("malaria", root=str(malaria.write(tmp_path / "b", with_table=False)))
    assert record_of(with_table, with_table.records()[0].id).patient == "P001"
    assert record_of(without, with_table.records()[0].id).patient == "P1"
    assert {record.patient for record in without.records()} == {"P1", "P2", "P3", "C201", "C202", "C203"}
    assert _partition(with_table.records()) == _partition(without.records())


def _partition(records: list[Record]) -> set[frozenset[str]]:
    """The ids of each patient, whatever the patient is called."""
    members: dict[str | None, set[str]] = {}
    for record in records:
        members.setdefault(record.patient, set()).add(record.id)
    return {frozenset(ids) for ids in members.values()}


def test_mri_takes_folders_once_a_root_is_set_and_names_idle_settings(tmp_path: Path) -> None:
    source = preset("mri", root=str(brain_tumor_mri.write(tmp_path)), num_patients=9, signal=False)
    assert isinstance(source, FolderSource)
    assert source.class_names == list(brain_tumor_mri.CLASSES)
    assert source.color == "gray"
    assert source.notes == [
        "data.num_patients has no effect: it belongs to the phantoms, and data.root is set.",
        "data.signal has no effect: it belongs to the phantoms, and data.root is set.",
    ]


@pytest.mark.parametrize(("kind", "color"), [("mri", "gray"), ("microscopy", "rgb")])
def test_phantoms_are_drawn_until_a_root_is_set(kind: str, color: str) -> None:
    pytest.importorskip("scanlens.data.sources.phantom")
    source = preset(kind, num_patients=6, slices_per_patient=2, size=32, seed=3)
    assert source.root is None
    assert len(source.records()) == 12
    raw = source.read(source.records()[0])
    assert (raw.color, raw.pixels.shape[:2]) == (color, (32, 32))


def test_phantoms_warn_of_settings_of_folders(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("scanlens.data.sources.phantom")
    folder_or_phantom(phantom="mri", num_patients=6, mask_suffix="_mask")
    assert "data.mask_suffix has no effect: the pictures are phantoms until data.root is set." in caplog.text


# Class folders


def test_classes_are_found_sorted_and_records_sorted_by_id(tmp_path: Path) -> None:
    for name in ("tumor/b.png", "tumor/a.png", "healthy/c.PNG"):
        save_gray(tmp_path / name)
    source = FolderSource(root=str(tmp_path))
    assert source.class_names == ["healthy", "tumor"]
    assert [record.id for record in source.records()] == ["healthy/c.PNG", "tumor/a.png", "tumor/b.png"]
    assert Path(source.records()[0].path).is_absolute()


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("train", "val", "test"), ("Training", "Validation", "Testing"), ("TRAIN", "valid", "Test")],
)
def test_split_folders_are_told_by_their_names(tmp_path: Path, train: str, val: str, test: str) -> None:
    for folder in (train, val, test):
        save_gray(tmp_path / folder / "cat" / "1.png")
        save_gray(tmp_path / folder / "dog" / "patient7" / "1.png")
    source = FolderSource(root=str(tmp_path))
    assert source.class_names == ["cat", "dog"]
    assert splits(source) == {"train": 2, "val": 2, "test": 2}


def test_a_class_called_test_is_a_class_where_no_train_folder_is(tmp_path: Path) -> None:
    save_gray(tmp_path / "test" / "1.png")
    save_gray(tmp_path / "control" / "1.png")
    source = FolderSource(root=str(tmp_path))
    assert (source.class_names, splits(source)) == (["control", "test"], {None: 2})


def test_split_folders_of_other_names_can_be_given(tmp_path: Path) -> None:
    save_gray(tmp_path / "lernen" / "a" / "1.png")
    save_gray(tmp_path / "pruefen" / "a" / "1.png")
    source = FolderSource(root=str(tmp_path), given_splits={"lernen": "train", "pruefen": "test"})
    assert splits(source) == {"train": 1, "test": 1}
    with pytest.raises(ConfigError, match=r"given_splits.lernen: train, val or test is expected, 'learn' came"):
        FolderSource(root=str(tmp_path), given_splits={"lernen": "learn"})


def test_one_folder_around_everything_is_looked_through(tmp_path: Path) -> None:
    for name in ("archive/Training/yes/1.png", "archive/Training/no/1.png", "archive/Testing/yes/1.png"):
        save_gray(tmp_path / name)
    source = FolderSource(root=str(tmp_path))
    assert (source.class_names, splits(source)) == (["no", "yes"], {"train": 2, "test": 1})
    assert "One folder holds everything" in source.notes[0]


def test_given_class_names_fix_order_and_choice_wherever_the_folders_lie(tmp_path: Path) -> None:
    for name in ("set/train/severe/1.png", "set/train/mild/1.png", "set/test/mild/2.png", "set/train/unclear/1.png"):
        save_gray(tmp_path / name)
    source = FolderSource(root=str(tmp_path), class_names=["severe", "mild"])
    assert source.class_names == ["severe", "mild"]
    assert (targets(source), splits(source)) == ({"severe": 1, "mild": 2}, {"train": 2, "test": 1})
    assert source.notes == ["1 images lie in no class folder and were left out: 1 folders are no classes."]


def test_a_class_that_is_not_on_disk_is_named_with_what_is_there(tmp_path: Path) -> None:
    for name in ("healthy", "mild", "severe"):
        save_gray(tmp_path / name / "1.png")
    with pytest.raises(DataError) as caught:
        FolderSource(root=str(tmp_path), name="retina", class_names=["healthy", "sever"])
    assert str(caught.value) == (
        f"retina: class 'sever' is not on disk under {tmp_path} (found: healthy, mild, severe). Did you mean 'severe'?"
    )


def test_several_folders_can_make_one_class(tmp_path: Path) -> None:
    for name in ("BNE", "SNE", "LY"):
        save_gray(tmp_path / name / "1.png")
    source = FolderSource(root=str(tmp_path), class_folders={"BNE": "neutrophil", "SNE": "neutrophil"})
    assert targets(source) == {"neutrophil": 2, "LY": 1}
    ordered = FolderSource(
        root=str(tmp_path), class_folders={"BNE": "neutrophil"}, class_names=["neutrophil", "LY"], given_splits={}
    )
    assert targets(ordered) == {"neutrophil": 1, "LY": 1}


def test_a_folder_without_class_folders_has_images_without_class(tmp_path: Path) -> None:
    save_gray(tmp_path / "1.png")
    source = FolderSource(root=str(tmp_path))
    assert (source.class_names, targets(source)) == ([], {None: 1})


def test_litter_hidden_files_and_other_files_are_not_listed(tmp_path: Path) -> None:
    save_gray(tmp_path / "a" / "1.png")
    save_gray(tmp_path / "__MACOSX" / "a" / "1.png")
    for name in (".1.png", "Thumbs.db", "notes.txt", "labels.csv", "README.md"):
        (tmp_path / "a" / name).write_text("x")
    (tmp_path / ".git").mkdir()
    assert [record.id for record in FolderSource(root=str(tmp_path)).records()] == ["a/1.png"]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    save_gray(tmp_path / "set" / "a" / "1.png")
    save_gray(tmp_path / "elsewhere" / "secret.png")
    (tmp_path / "set" / "a" / "out.png").symlink_to(tmp_path / "elsewhere" / "secret.png")
    (tmp_path / "set" / "a" / "in.png").symlink_to(tmp_path / "set" / "a" / "1.png")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set" / "loop").symlink_to(tmp_path / "set", target_is_directory=True)
    source = FolderSource(root=str(tmp_path / "set"))
    assert [record.id for record in source.records()] == ["a/1.png", "a/in.png"]
    assert source.notes[0].startswith("3 links")


def test_an_unreadable_image_is_listed_and_fails_only_when_read(tmp_path: Path) -> None:
    save_gray(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "2.png").write_bytes(b"")
    source = FolderSource(root=str(tmp_path))
    assert source.color == "gray"
    with pytest.raises(ImageError, match="empty"):
        source.read(source.records()[1])


@pytest.mark.parametrize(("root", "reason"), [("none", "is not there"), ("file", "is a file, not a folder")])
def test_a_wrong_root_says_what_to_do(tmp_path: Path, root: str, reason: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=rf"{reason}. Set data.root .*\(download from https://example.org\)"):
        FolderSource(root=str(tmp_path / root), get_it_from="https://example.org")


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=f"no image was found under {tmp_path}"):
        FolderSource(root=str(tmp_path))


def test_color_is_found_by_looking_and_every_image_is_brought_to_it(tmp_path: Path) -> None:
    save_gray(tmp_path / "a" / "1.jpg", as_rgb=True)
    assert FolderSource(root=str(tmp_path)).color == "gray"
    save_color(tmp_path / "a" / "2.png")
    source = FolderSource(root=str(tmp_path))
    assert source.color == "rgb"
    assert [source.read(record).pixels.shape for record in source.records()] == [(16, 16, 3)] * 2
    gray = FolderSource(root=str(tmp_path), color="gray")
    assert [gray.read(record).pixels.shape for record in gray.records()] == [(16, 16)] * 2
    with pytest.raises(ConfigError, match=r"data.color: gray, rgb, channels or null is expected, 'grey' came"):
        FolderSource(root=str(tmp_path), color="grey")  # type: ignore[arg-type]


# Patients


def test_the_pattern_gives_the_patient_and_the_rest_is_counted(tmp_path: Path) -> None:
    for name in ("a/p01_1.png", "a/p01_2.png", "a/p02_1.png", "a/other.png"):
        save_gray(tmp_path / name)
    source = FolderSource(root=str(tmp_path), patient_pattern=r"(p\d+)_")
    assert [record.patient for record in source.records()] == [None, "p01", "p01", "p02"]
    assert source.notes == ["1 of 4 images have no known patient."]


def test_the_folder_of_an_image_can_be_its_patient(tmp_path: Path) -> None:
    save_gray(tmp_path / "tumor" / "anna" / "1.png")
    source = FolderSource(root=str(tmp_path), class_names=["tumor"], patient_from="folder")
    assert source.records()[0].patient == "anna"


@pytest.mark.parametrize(
    ("pattern", "reason"), [("(p", "is not a regular expression"), (r"p\d", "has 0 groups"), ("(a)(b)", "has 2 groups")]
)
def test_a_pattern_that_cannot_work_is_refused(tmp_path: Path, pattern: str, reason: str) -> None:
    save_gray(tmp_path / "a" / "1.png")
    with pytest.raises(ConfigError, match=reason):
        FolderSource(root=str(tmp_path), patient_pattern=pattern)


def test_a_sidecar_counts_what_it_does_not_know_and_knows_too_much(tmp_path: Path) -> None:
    save_gray(tmp_path / "a" / "1.png")
    save_gray(tmp_path / "a" / "2.png")
    (tmp_path / "who.csv").write_text("file,who\n./a/1.png,P1\na\\9.png,P9\n")
    source = FolderSource(root=str(tmp_path), sidecar={"file": "who.csv", "path": "file", "patient": "who"})
    assert [record.patient for record in source.records()] == ["P1", None]
    assert source.notes == [
        "data.sidecar.file names 1 images that are not on disk.",
        "data.sidecar.file says nothing of 1 of 2 images.",
        "1 of 2 images have no known patient.",
    ]


def test_mistakes_in_a_sidecar_are_named(tmp_path: Path) -> None:
    save_gray(tmp_path / "a" / "1.png")
    (tmp_path / "who.csv").write_text("file,subject\na/1.png,P1\na/1.png,P2\n")
    with pytest.raises(ConfigError, match=r"sidecar.pateint is unknown. Did you mean 'patient'"):
        FolderSource(root=str(tmp_path), sidecar={"file": "who.csv", "path": "file", "pateint": "subject"})
    with pytest.raises(DataError, match=r"column 'subjct' \(sidecar.patient\) .* Did you mean 'subject'"):
        FolderSource(root=str(tmp_path), sidecar={"file": "who.csv", "path": "file", "patient": "subjct"})
    with pytest.raises(DataError, match=r"a/1.png has two patients, P1 and P2"):
        FolderSource(root=str(tmp_path), sidecar={"file": "who.csv", "path": "file", "patient": "subject"})


# Masks


def test_masks_in_a_folder_of_their_own_are_paired(tmp_path: Path) -> None:
    save_gray(tmp_path / "ill" / "1.jpg")
    save_gray(tmp_path / "ill" / "2.jpg")
    save_square_mask(tmp_path / "ill" / "masks" / "1.png", side=3)
    save_square_mask(tmp_path / "ill" / "masks" / "9.png", side=3)
    source = FolderSource(root=str(tmp_path), class_names=["ill"], mask_folder="masks")
    first, second = source.records()
    assert int(source.read_mask(first).sum()) == 9
    assert second.mask is None
    assert source.notes == ["1 masks belong to no image and were left out."]


def test_a_mask_of_another_size_is_an_image_error(tmp_path: Path) -> None:
    save_gray(tmp_path / "a" / "1.png", size=(10, 12))
    save_square_mask(tmp_path / "a" / "1_mask.png", size=(12, 10), side=2)
    source = FolderSource(root=str(tmp_path), mask_suffix="_mask")
    with pytest.raises(ImageError, match="the mask has 10 x 12 pixels, its image 12 x 10"):
        source.read_mask(source.records()[0])


def test_images_without_a_readable_mask_have_no_class(tmp_path: Path) -> None:
    for number in range(3):
        save_gray(tmp_path / f"{number}.png")
    save_square_mask(tmp_path / "0_mask.png", side=2)
    (tmp_path / "1_mask.png").write_bytes(b"no")
    source = FolderSource(
        root=str(tmp_path), mask_suffix="_mask", label_from_mask={"empty": "healthy", "nonempty": "ill"}
    )
    assert source.class_names == ["healthy", "ill"]
    assert [record.target for record in source.records()] == ["ill", None, None]
    assert source.notes == [
        "1 images have a mask that cannot be read, so their class is not known.",
        "1 images have no mask, so their class is not known.",
    ]


def test_several_boxes_of_an_image_make_one_mask(tmp_path: Path) -> None:
    save_gray(tmp_path / "a" / "1.png", size=(10, 10))
    (tmp_path / "b.csv").write_text("f,x,y,w,h\na/1.png,0.1,0.1,0.2,0.2\na/1.png,0.95,0.95,0.3,0.01\n")
    boxes = {"file": "b.csv", "path": "f", "x_center": "x", "y_center": "y", "width": "w", "height": "h"}
    source = FolderSource(root=str(tmp_path), boxes=boxes)
    expected = np.zeros((10, 10), np.uint8)
    expected[0:2, 0:2] = 1
    expected[9, 8:10] = 1
    np.testing.assert_array_equal(source.read_mask(source.records()[0]), expected)
    (tmp_path / "b.csv").write_text("f,x,y,w,h\na/1.png,120,40,20,20\n")
    with pytest.raises(DataError, match=r"b.csv, row 2: a box is given in shares of the image, between 0 and 1"):
        FolderSource(root=str(tmp_path), boxes=boxes)


# Fingerprints


def test_the_fingerprint_changes_with_files_and_settings_and_not_with_the_place(tmp_path: Path) -> None:
    root = brain_tumor_mri.write(tmp_path / "here")
    first = preset("brain_tumor_mri", root=str(root)).fingerprint()
    assert preset("brain_tumor_mri", root=str(root)).fingerprint() == first
    root = root.rename(tmp_path / "there")
    assert preset("brain_tumor_mri", root=str(root)).fingerprint() == first
    assert preset("brain_tumor_mri", root=str(root), color="rgb").fingerprint() != first
    changed = root / "Training" / "no_tumor" / "image(1).jpg"
    os.utime(changed, ns=(1, 1))
    assert preset("brain_tumor_mri", root=str(root)).fingerprint() != first


# Tables


def write_table(root: Path, text: str, *, names: tuple[str, ...] = ("a.png", "b.png", "c.png")) -> str:
    for name in names:
        save_gray(root / name)
    (root / "images.csv").write_text(text, encoding="utf-8-sig")
    return str(root)


def test_a_table_with_semicolons_and_other_column_names_is_read(tmp_path: Path) -> None:
    text = "bild;diagnose;wer;teil;maske;alter\na.png;krank;P1;Training;m/a.png;70\nb.png;gesund;P2;valid;;\nc.png;gesund;;TEST;;5\n"
    save_square_mask(tmp_path / "m" / "a.png", side=4)
    source = TableSource(
        root=write_table(tmp_path, text),
        path="bild",
        target="diagnose",
        patient="wer",
        split="teil",
        mask="maske",
        meta=["alter"],
    )
    first, second, third = source.records()
    assert (first.target, first.patient, first.split, first.meta) == ("krank", "P1", "train", {"alter": "70"})
    assert (second.split, second.mask, third.split, third.patient) == ("val", None, "test", None)
    assert int(source.read_mask(first).sum()) == 16
    assert source.class_names == ["gesund", "krank"]


def test_missing_columns_come_together_with_the_nearest_names(tmp_path: Path) -> None:
    root = write_table(tmp_path, "file,label,patient_id\na.png,x,1\n")
    with pytest.raises(DataError) as caught:
        TableSource(root=root, path="file", target="lable")
    table = tmp_path / "images.csv"
    assert str(caught.value).splitlines() == [
        f"column 'lable' (data.target) is not in {table} (found: file, label, patient_id). Did you mean 'label'?",
        f"column 'patient' (data.patient) is not in {table} (found: file, label, patient_id). Did you mean 'patient_id'?",
    ]


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "link.png", "a/../../secret.png"])
def test_a_path_that_leads_out_of_the_root_names_its_row(tmp_path: Path, path: str) -> None:
    root = tmp_path / "set"
    write_table(root, f"path,label\na.png,x\n{path},x\n")
    save_gray(tmp_path / "secret.png")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=rf"images.csv, row 3: '{path}' leads out of {root}"):
        TableSource(root=str(root), patient=None)


def test_an_absolute_path_inside_the_root_becomes_relative(tmp_path: Path) -> None:
    root = write_table(tmp_path, f"path,label\n{tmp_path}/a.png,x\n")
    assert TableSource(root=root, patient=None).records()[0].id == "a.png"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,label\na.png,x\n./a.png,y\n", "1 images are listed more than once, such as 'a.png'"),
        ("path,label\na.png,x,1\n", "line 2: 2 cells are expected, as in the header; 3 came"),
        ("path,path\na.png,x\n", "names 'path' more than once"),
        ("path,label\n", "has a header but no rows"),
        ("", "is empty; a header"),
        ("path,label\n,x\n", "row 2: the column 'path' is empty"),
        ("path,label\nz.png,x\n", "none of its 1 images is there, for example 'z.png'"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        TableSource(root=write_table(tmp_path, text), patient=None)


def test_an_unknown_split_in_a_table_names_its_row(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,label,part\na.png,x,train\nb.png,x,tset\n")
    with pytest.raises(DataError, match=r"row 3: split 'tset' is unknown. Did you mean 'test'"):
        TableSource(root=root, patient=None, split="part")


def test_a_table_that_is_not_text_or_not_there_is_named(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,label\na.png,x\n")
    with pytest.raises(DataError, match=r"the table .*image.csv is not there. Did you mean 'images.csv'"):
        TableSource(root=root, file="image.csv")
    (tmp_path / "images.csv").write_bytes(b"path,label\n\xff\xfe,x\n")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        TableSource(root=root)


def test_a_table_longer_than_allowed_is_refused(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,label\na.png,x\nb.png,x\n")
    with pytest.raises(DataError, match="has more than 1 rows"):
        TableSource(root=root, patient=None, max_rows=1)


def test_rows_without_class_absent_images_and_other_classes_are_noted(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,label\na.png,x\nb.png,\nc.png,y\nd.png,x\n")
    source = TableSource(root=root, patient=None, class_names=["x"])
    assert [(record.id, record.target) for record in source.records()] == [
        ("a.png", "x"),
        ("b.png", None),
        ("d.png", "x"),
    ]
    assert source.notes == [
        "1 rows have no class.",
        "1 rows are of no class in data.class_names and were left out.",
        "1 of 3 images in data.file are not on disk.",
    ]
    with pytest.raises(ImageError, match="the file is not there"):
        source.read(source.records()[2])


def test_a_class_that_is_not_in_the_table_is_named(tmp_path: Path) -> None:
    root = write_table(tmp_path, "path,label\na.png,severe\n")
    with pytest.raises(DataError, match=r"class 'sever' is not in .* \(found: severe\). Did you mean 'severe'"):
        TableSource(root=root, patient=None, class_names=["sever"])


# MNIST


@pytest.mark.parametrize("gzipped", [True, False])
@pytest.mark.parametrize("dash", ["-", "."])
def test_idx_files_of_any_length_and_both_spellings_are_read(tmp_path: Path, gzipped: bool, dash: str) -> None:
    source = MnistSource(root=str(mnist.write(tmp_path, gzipped=gzipped, dash=dash)))
    records = source.records()
    assert [records[0].id, records[-1].id, len(records)] == ["test/00000", "train/00019", 30]
    assert splits(source) == {"train": 20, "test": 10}
    record = record_of(source, "train/00017")
    assert record.target == "7"
    raw = source.read(record)
    np.testing.assert_array_equal(raw.pixels, np.full((28, 28), 17, np.uint8))
    assert (raw.color, raw.value_range) == ("gray", (0, 255))
    assert source.class_names == [str(digit) for digit in range(10)]
    assert (source.preferred_size, source.look_for_duplicates) == (28, False)
    assert source.read_mask(record) is None


def test_mnist_without_test_files_is_all_train(tmp_path: Path) -> None:
    root = mnist.write(tmp_path)
    for file in root.glob("t10k*"):
        file.unlink()
    source = MnistSource(root=str(root))
    assert splits(source) == {"train": 20}
    assert source.notes == ["There are no t10k files, so no test images are given."]


def test_labels_can_be_given_names(tmp_path: Path) -> None:
    names = [f"kind {label}" for label in range(10)]
    source = MnistSource(root=str(mnist.write(tmp_path)), class_names=names)
    assert record_of(source, "test/00003").target == "kind 3"
    with pytest.raises(DataError, match=r"labels go up to 9, but data.class_names has 2 names"):
        MnistSource(root=str(tmp_path), class_names=["a", "b"])


def _damaged(data: bytes, how: str) -> bytes:
    return {
        "magic": b"\x00\x00\x08\x01" + data[4:],
        "short": data[:-1],
        "long": data + b"\0",
        "none": data[:4] + b"\0\0\0\0" + data[8:16],
        "bomb": data[:4] + b"\xff" * 12 + data[16:],
        "headless": data[:9],
    }[how]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("magic", "is not an idx file of this kind"),
        ("short", "15680 bytes; 15679 came"),
        ("long", "15680 bytes; more came"),
        ("none", "holds no items"),
        ("bomb", "over the limit"),
        ("headless", "is not an idx file of this kind"),
    ],
)
def test_a_damaged_idx_file_says_what_is_wrong(tmp_path: Path, how: str, reason: str) -> None:
    file = mnist.write(tmp_path) / "train-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(_damaged(gzip.decompress(file.read_bytes()), how)))
    with pytest.raises(DataError, match=reason):
        MnistSource(root=str(tmp_path))


def test_a_cut_gzip_and_unequal_counts_are_named(tmp_path: Path) -> None:
    file = mnist.write(tmp_path) / "train-images-idx3-ubyte.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read, perhaps it was cut off"):
        MnistSource(root=str(tmp_path))
    file.write_bytes(gzip.compress(mnist.idx_bytes(np.zeros((3, 28, 28), np.uint8))))
    with pytest.raises(DataError, match="3 train images but 20 labels"):
        MnistSource(root=str(tmp_path))


def test_a_missing_idx_file_is_named(tmp_path: Path) -> None:
    (mnist.write(tmp_path) / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.gz is not under"):
        MnistSource(root=str(tmp_path))


# The real sets


REAL_SETS: dict[str, tuple[str, int, int, int, str, dict[str | None, int]]] = {
    # preset: folder, images, patients, masks, color, given splits
    "brain_tumor_mri": ("brain-tumour-mri", 1692, 0, 1224, "gray", {"train": 1485, "test": 207}),
    "dementia_mri": ("dementia-mri", 2560, 80, 0, "gray", {None: 2560}),
    "lgg_flair": ("lgg-flair-masks", 173, 18, 173, "channels", {None: 173}),
    "blood_cells": ("blood-cells-pbc", 701, 0, 0, "rgb", {None: 701}),
    "blood_smear": ("blood-smear-bccd", 900, 180, 0, "rgb", {None: 900}),
    "blood_smear_context": ("blood-smear-bccd", 900, 180, 900, "rgb", {None: 900}),
    "malaria": ("malaria-cells", 2400, 125, 0, "gray", {None: 2400}),
    "mnist": ("mnist", 12000, 0, 0, "gray", {"train": 10000, "test": 2000}),
}
REAL_CLASSES = {
    "brain_tumor_mri": [512, 471, 252, 457],
    "dementia_mri": [1280, 896, 352, 32],
    "lgg_flair": [72, 101],
    "blood_cells": [51, 128, 63, 119, 49, 61, 135, 95],
    "blood_smear": [197, 519, 184],
    "blood_smear_context": [197, 519, 184],
    "malaria": [1214, 1186],
    "mnist": [1225, 1326, 1183, 1235, 1198, 1090, 1183, 1220, 1149, 1191],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL_SETS)
def test_a_real_set_is_listed_with_its_counts_and_read_whole(name: str) -> None:
    if not os.environ.get("SCANLENS_TEST_DATA"):
        pytest.skip("SCANLENS_TEST_DATA is not set")
    folder, num_images, num_patients, num_masks, color, given = REAL_SETS[name]
    source = preset(name, root=str(Path(os.environ["SCANLENS_TEST_DATA"]) / folder))
    records = source.records()
    counts = targets(source)
    assert (len(records), source.color, splits(source)) == (num_images, color, given)
    assert len({record.patient for record in records if record.patient is not None}) == num_patients
    assert sum(record.mask is not None for record in records) == num_masks
    assert [counts[class_name] for class_name in source.class_names] == REAL_CLASSES[name]
    assert source.notes == []
    for record in records[:: max(1, len(records) // 400)]:
        raw = source.read(record)
        assert raw.color == color
        mask_HW = source.read_mask(record)
        assert mask_HW is None or mask_HW.shape == raw.pixels.shape[:2]


@pytest.mark.slow
def test_patients_of_real_malaria_cells_are_the_same_from_names_and_from_the_table() -> None:
    if not os.environ.get("SCANLENS_TEST_DATA"):
        pytest.skip("SCANLENS_TEST_DATA is not set")
    root = str(Path(os.environ["SCANLENS_TEST_DATA"]) / "malaria-cells")
    assert _partition(preset("malaria", root=root).records()) == _partition(
        preset("malaria", root=root, sidecar=None).records()
    )


def test_pictures_of_fakes_are_seeded(tmp_path: Path) -> None:
    save_gray(tmp_path / "a" / "x" / "1.png")
    save_gray(tmp_path / "b" / "x" / "1.png")
    with Image.open(tmp_path / "a" / "x" / "1.png") as first, Image.open(tmp_path / "b" / "x" / "1.png") as second:
        np.testing.assert_array_equal(np.asarray(first), np.asarray(second))


def test_an_empty_root_is_refused_and_not_taken_for_the_present_folder() -> None:
    with pytest.raises(DataError, match=r"data\.root is empty.*a shell variable may be unset"):
        preset("folder", root="")


def test_cells_that_say_nan_are_empty(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "3.png"):
        Image.new("L", (8, 8), 10).save(tmp_path / name)
    (tmp_path / "images.csv").write_text("path,label,patient\n1.png,a,nan\n2.png,NaN,P1\n3.png,b,\n", encoding="utf-8")
    source = TableSource(root=str(tmp_path), file="images.csv", path="path", target="label", patient="patient")
    assert [(record.target, record.patient) for record in source.records()] == [("a", None), (None, "P1"), ("b", None)]
    assert source.class_names == ["a", "b"]


def test_a_name_that_is_no_text_is_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    Image.new("L", (8, 8), 10).save(tmp_path / "a" / "1.png")
    strange = os.fsencode(tmp_path / "a") + b"/\xff\xfe.png"
    try:
        shutil.copy(tmp_path / "a" / "1.png", strange)
    except OSError:
        pytest.skip("this disk takes no such names")
    notes: list[str] = []
    assert files_below(tmp_path, notes=notes) == ["a/1.png"]
    assert notes == ["1 files were left out: their names are not UTF-8. Rename them."]
