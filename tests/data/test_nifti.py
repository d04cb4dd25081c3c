"""Slices of NIfTI volumes: values, orientation, spacing, window, who is whose, and what hostile files cost."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fakes.commands import train
from scanlens.data import volume_slices
from scanlens.data.preprocess import Preprocess
from scanlens.data.sources.nifti import NiftiSource
from scanlens.data.volumes import RecentlyUsed, content_shares, robust_window
from scanlens.errors import ConfigError, DataError, ImageError
from scanlens.files import read_csv, write_csv
from scanlens.runs import Run
from scanlens.types import RawImage

SHAPE = (3, 4, 5)  # right, front, up
RAS_XYZ = np.arange(60, dtype=np.int16).reshape(SHAPE)  # voxel (x, y, z) is 20 x + 5 y + z
SPACING_MM = (2.0, 3.0, 4.0)


def write(path: Path, voxels: np.ndarray = RAS_XYZ, *, axes: str = "RAS", kind: Any = None, **scale: float) -> Path:
    """A volume given in RAS+ order, stored along other axes with the affine that says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = kind or nibabel.Nifti1Image
    plain = nibabel.Nifti1Image(voxels, np.diag([*SPACING_MM, 1.0]), dtype=voxels.dtype)
    to = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(axes)
    )
    turned = plain.as_reoriented(to)
    image = kind(np.asarray(turned.dataobj), turned.affine, dtype=voxels.dtype)
    image.header.set_xyzt_units("mm")
    if scale:
        image.header.set_slope_inter(scale["slope"], scale["inter"])
    nibabel.save(image, path)
    return path


def source(root: Path, **settings: Any) -> NiftiSource:
    return NiftiSource(root=str(root), **({"min_content": 0.0} | settings))


def read(of: NiftiSource, name: str) -> RawImage:
    return of.read(next(record for record in of.records() if record.id == name))


def ids(of: NiftiSource) -> list[str]:
    return [record.id for record in of.records()]


def reason_of(root: Path, **settings: Any) -> str:
    """Why the only volume of a folder cannot be read; it is one record."""
    of = source(root, **settings)
    assert len(of.records()) == 1
    with pytest.raises(ImageError) as caught:
        of.read(of.records()[0])
    reason = str(caught.value)
    assert "\n" not in reason
    assert str(root) not in reason
    return reason


# Orientation, spacing and values


@pytest.mark.parametrize("axes", ["RAS", "LAS", "PSR", "LPI", "SAL"])
def test_slices_are_the_same_however_the_axes_were_stored(tmp_path: Path, axes: str) -> None:
    write(tmp_path / "a.nii.gz", axes=axes)
    stored = nibabel.load(tmp_path / "a.nii.gz")
    assert "".join(nibabel.aff2axcodes(stored.affine)) == axes
    axial = read(source(tmp_path), "a.nii.gz#a0001")
    expected = [[20 * x + 5 * y + 1 for x in (2, 1, 0)] for y in (3, 2, 1, 0)]  # right to left, front to back
    np.testing.assert_array_equal(axial.pixels, expected)
    coronal = read(source(tmp_path, axis="coronal"), "a.nii.gz#c0002")
    expected = [[20 * x + 5 * 2 + z for x in (2, 1, 0)] for z in (4, 3, 2, 1, 0)]  # right to left, top to bottom
    np.testing.assert_array_equal(coronal.pixels, expected)
    sagittal = read(source(tmp_path, axis="sagittal"), "a.nii.gz#s0000")
    expected = [[5 * y + z for y in (3, 2, 1, 0)] for z in (4, 3, 2, 1, 0)]  # front to back, top to bottom
    np.testing.assert_array_equal(sagittal.pixels, expected)


def test_marked_corners_land_where_a_radiologist_expects_them(tmp_path: Path) -> None:
    head = np.zeros(SHAPE, np.uint8)
    head[-1, -1, -1] = 1  # right, front, top
    head[0, 0, 0] = 2  # left, back, bottom
    write(tmp_path / "a.nii", head, axes="LAS")
    axial = source(tmp_path)
    assert read(axial, "a.nii#a0004").pixels[0, 0] == 1, "front is up, right is at the left"
    assert read(axial, "a.nii#a0000").pixels[-1, -1] == 2
    coronal = source(tmp_path, axis="coronal")
    assert read(coronal, "a.nii#c0003").pixels[0, 0] == 1, "top is up, right is at the left"
    sagittal = source(tmp_path, axis="sagittal")
    assert read(sagittal, "a.nii#s0002").pixels[0, 0] == 1, "top is up, front is at the left"
    assert read(sagittal, "a.nii#s0000").pixels[-1, -1] == 2


@pytest.mark.parametrize(("axis", "spacing"), [("axial", (3, 2)), ("coronal", (4, 2)), ("sagittal", (4, 3))])
@pytest.mark.parametrize("axes", ["RAS", "PSR"])
def test_spacing_is_that_of_rows_and_columns(tmp_path: Path, axis: str, spacing: Any, axes: str) -> None:
    write(tmp_path / "a.nii", axes=axes)
    of = source(tmp_path, axis=axis)
    assert of.read(of.records()[0]).spacing_mm == pytest.approx(spacing)


def test_spacing_in_microns_becomes_millimeters(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(RAS_XYZ, np.diag([200.0, 300.0, 400.0, 1.0]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "a.nii")
    assert read(source(tmp_path), "a.nii#a0000").spacing_mm == pytest.approx((0.3, 0.2))


def test_an_oblique_volume_keeps_its_grid_and_takes_the_closest_axes(tmp_path: Path) -> None:
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(SPACING_MM)
    nibabel.save(nibabel.Nifti1Image(RAS_XYZ, affine), tmp_path / "a.nii")
    raw = read(source(tmp_path), "a.nii#a0000")
    np.testing.assert_array_equal(raw.pixels, RAS_XYZ[::-1, ::-1, 0].T)
    assert raw.spacing_mm == pytest.approx((3, 2))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
def test_whole_numbers_stay_as_they_are_without_scaling(tmp_path: Path, dtype: Any) -> None:
    top = min(np.iinfo(dtype).max, 60_000)
    voxels = np.linspace(0, top, 60).astype(dtype).reshape(SHAPE)
    write(tmp_path / "a.nii.gz", voxels)
    pixels = read(source(tmp_path), "a.nii.gz#a0000").pixels
    assert pixels.dtype == dtype
    np.testing.assert_array_equal(pixels, voxels[::-1, ::-1, 0].T)


def test_scaling_is_applied(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(RAS_XYZ, np.diag([*SPACING_MM, 1.0]))
    nibabel.save(image, tmp_path / "a.nii")
    with (tmp_path / "a.nii").open("r+b") as file:
        file.seek(112)
        file.write(struct.pack("<ff", 0.5, -3.0))
    raw = read(source(tmp_path), "a.nii#a0001")
    assert raw.pixels.dtype == np.float32
    np.testing.assert_allclose(raw.pixels, RAS_XYZ[::-1, ::-1, 1].T * 0.5 - 3)


@pytest.mark.parametrize("dtype", [">i2", ">f4", "<f8"])
def test_either_byte_order_is_read(tmp_path: Path, dtype: str) -> None:
    header = nibabel.Nifti1Header(endianness=dtype[0])
    header.set_data_dtype(dtype)
    nibabel.save(nibabel.Nifti1Image(RAS_XYZ.astype(dtype), np.eye(4), header), tmp_path / "a.nii")
    pixels = read(source(tmp_path), "a.nii#a0001").pixels
    assert pixels.dtype == (np.int16 if "i" in dtype else np.float32)
    np.testing.assert_array_equal(pixels, RAS_XYZ[::-1, ::-1, 1].T)


def test_nifti_2_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.nii.gz", kind=nibabel.Nifti2Image, axes="LAS")
    np.testing.assert_array_equal(read(source(tmp_path), "a.nii.gz#a0001").pixels, RAS_XYZ[::-1, ::-1, 1].T)


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_of_four_dimensions_one_frame_is_read(tmp_path: Path, ending: str) -> None:
    frames = np.stack([RAS_XYZ, RAS_XYZ + 100, RAS_XYZ + 200], axis=3)
    nibabel.save(nibabel.Nifti1Image(frames, np.eye(4)), tmp_path / f"a.{ending}")
    for frame in range(3):
        pixels = read(source(tmp_path, frame=frame), f"a.{ending}#a0001").pixels
        np.testing.assert_array_equal(pixels, RAS_XYZ[::-1, ::-1, 1].T + 100 * frame)
    assert "it has 3 frames, frame 3 (from 0) was asked for" in reason_of(tmp_path, frame=3)


def test_gzip_is_told_by_content(tmp_path: Path) -> None:
    write(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii").write_bytes((tmp_path / "a.nii.gz").read_bytes())
    (tmp_path / "c.nii.gz").write_bytes(gzip.decompress((tmp_path / "a.nii.gz").read_bytes()))
    of = source(tmp_path)
    for name in ("b.nii", "c.nii.gz"):
        np.testing.assert_array_equal(read(of, f"{name}#a0001").pixels, RAS_XYZ[::-1, ::-1, 1].T)


# Window


def test_all_slices_share_the_window_of_their_volume_and_preprocess_uses_it(tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).normal(100, 20, (10, 10, 10)).astype(np.float32)
    voxels[:, :, 0] = 100.0
    write(tmp_path / "a.nii", voxels)
    of = source(tmp_path)
    images = [of.read(record) for record in of.records()]
    assert {image.value_range for image in images} == {tuple(np.percentile(voxels, [0.5, 99.5]).tolist())}
    low, high = images[0].value_range
    plan = Preprocess(size=10, channels=1, keeps_aspect=False)
    np.testing.assert_allclose(plan(images[0]), (100 - low) / (high - low), atol=1e-5)
    assert all(image.is_windowed for image in images)


def test_nan_is_left_for_preprocess_and_does_not_count_for_the_window(tmp_path: Path) -> None:
    voxels = RAS_XYZ.astype(np.float32)
    voxels[0, 0, 1], voxels[1, 1, 1] = np.nan, np.inf
    write(tmp_path / "a.nii", voxels)
    raw = read(source(tmp_path), "a.nii#a0001")
    assert np.isnan(raw.pixels[-1, -1])
    assert np.isinf(raw.pixels[2, 1])
    assert raw.value_range == pytest.approx(np.percentile(voxels[np.isfinite(voxels)], [0.5, 99.5]))
    assert np.isfinite(Preprocess(size=8, channels=1)(raw)).all()


def test_a_volume_of_nan_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.nii", np.full(SHAPE, np.nan, np.float32))
    assert reason_of(tmp_path, min_content=0.1) == "no voxel is finite: all are NaN or infinite"


def test_a_window_of_mostly_background_falls_back_to_the_extremes() -> None:
    voxels = np.zeros((20, 20, 20), np.uint8)
    voxels[3, 3, 3] = 9
    assert robust_window(voxels) == (0.0, 9.0)


# Which slices


def test_every_nth_slice_of_a_range_is_taken_by_its_center(tmp_path: Path) -> None:
    write(tmp_path / "a.nii", np.ones((2, 2, 10), np.uint8))
    assert ids(source(tmp_path, every=4)) == [f"a.nii#a{i:04d}" for i in (0, 4, 8)]
    assert ids(source(tmp_path, slice_range=[0.25, 0.75])) == [f"a.nii#a{i:04d}" for i in (2, 3, 4, 5, 6, 7)]
    assert ids(source(tmp_path, slice_range=[0.3, 1.0], every=3)) == [f"a.nii#a{i:04d}" for i in (3, 6, 9)]


def test_slices_with_less_content_than_asked_are_left_out_and_counted(tmp_path: Path) -> None:
    voxels = np.zeros((10, 10, 4), np.int16)
    voxels[:, :, 1] = 100
    voxels[0, :4, 2] = 100  # 4 of 100 voxels
    voxels[:, :, 3] = 9  # below a tenth of the window (0, 100)
    write(tmp_path / "a.nii", voxels)
    np.testing.assert_allclose(content_shares(voxels, (0, 100), axis=2), [0, 1, 0.04, 0])
    assert ids(source(tmp_path, min_content=0.04)) == ["a.nii#a0001", "a.nii#a0002"]
    of = source(tmp_path, min_content=0.05)
    assert ids(of) == ["a.nii#a0001"]
    assert "3 slices were left out as empty (data.min_content=0.05)." in of.notes


def test_volumes_without_any_slice_are_an_error_with_the_way_out(tmp_path: Path) -> None:
    write(tmp_path / "a.nii", np.zeros(SHAPE, np.uint8))
    with pytest.raises(DataError, match=r"have no slice that is kept. Lower data.min_content"):
        source(tmp_path, min_content=0.02)


def test_wrong_settings_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        source(tmp_path, axis="axail", every=0, slice_range=[0.5], min_content=2.0, frame=-1)  # type: ignore[arg-type]
    for words in ("Did you mean 'axial'?", "data.every", "data.slice_range", "data.min_content", "data.frame"):
        assert words in str(caught.value)


# Who, what class, which lesion


def test_labels_by_file_with_or_without_ending_and_patients_by_pattern(tmp_path: Path) -> None:
    for name in ("sub-1/t1.nii.gz", "sub-1/t2.nii", "sub-2/t1.nii", "sub-3/t1.nii"):
        write(tmp_path / name)
    rows = [("sub-1/t1.nii.gz", "ill"), ("sub-1/t2", "ill"), ("sub-2/t1.nii", "well"), ("sub-9/t1.nii", "well")]
    write_csv(tmp_path / "labels.csv", ["scan", "dx"], [{"scan": scan, "dx": dx} for scan, dx in rows])
    labels = {"file": "labels.csv", "key": "scan", "label": "dx"}
    of = source(tmp_path, labels=labels, patient_pattern=r"(sub-\d+)")
    found = {record.id.partition("#")[0]: (record.patient, record.target) for record in of.records()}
    assert found == {
        "sub-1/t1.nii.gz": ("sub-1", "ill"), "sub-1/t2.nii": ("sub-1", "ill"), "sub-2/t1.nii": ("sub-2", "well"),
        "sub-3/t1.nii": ("sub-3", None),
    }  # fmt: skip
    assert of.class_names == ["ill", "well"]
    assert of.notes == [
        "1 of 4 volumes have no class in data.labels.file.",
        "data.labels.file names 1 files that are not on disk.",
    ]
    with pytest.raises(DataError, match=r"class 'il' is not in .* Did you mean 'ill'\?"):
        source(tmp_path, labels=labels, class_names=["il", "well"])
    with pytest.raises(ConfigError, match=r"labels.lable is unknown. Did you mean 'label'\?"):
        source(tmp_path, labels={"file": "labels.csv", "key": "scan", "lable": "dx"})


def test_labels_by_patient_of_a_table_of_patients(tmp_path: Path) -> None:
    for name in ("a.nii", "b.nii", "c.nii"):
        write(tmp_path / name)
    whose = [("a.nii", "P1", 50), ("b.nii", "P1", 50), ("c.nii", "P2", 60)]
    write_csv(
        tmp_path / "who.csv", ["scan", "who", "age"], [dict(zip(("scan", "who", "age"), w, strict=True)) for w in whose]
    )
    rows = [{"who": "P1", "dx": "ill", "site": "East"}, {"who": "P2", "dx": "well", "site": "West"}]
    write_csv(tmp_path / "labels.csv", ["who", "dx", "site"], rows)
    of = source(
        tmp_path,
        patients={"file": "who.csv", "path": "scan", "patient": "who", "meta": ["age"]},
        labels={"file": "labels.csv", "by": "patient", "key": "who", "label": "dx", "meta": ["site"]},
    )
    assert {(r.id[0], r.patient, r.target, r.meta["age"], r.meta["site"]) for r in of.records()} == {
        ("a", "P1", "ill", "50", "East"), ("b", "P1", "ill", "50", "East"), ("c", "P2", "well", "60", "West"),
    }  # fmt: skip
    with pytest.raises(DataError, match=r"absent.csv is not there"):
        source(tmp_path, patients={"file": "absent.csv", "path": "scan", "patient": "who"})


def test_class_folders_give_classes_and_a_volume_is_its_own_patient(tmp_path: Path) -> None:
    for name in ("train/ill/a.nii.gz", "train/well/b.nii", "test/ill/c.nii"):
        write(tmp_path / name)
    of = source(tmp_path)
    found = {(record.target, record.patient, record.split) for record in of.records()}
    assert found == {
        ("ill", "train/ill/a", "train"), ("well", "train/well/b", "train"), ("ill", "test/ill/c", "test"),
    }  # fmt: skip
    assert of.notes[0].startswith("3 of 3 volumes have no known patient; each is taken for a patient of its own.")


def test_masks_are_paired_turned_alike_and_cut_alike(tmp_path: Path) -> None:
    lesion = np.zeros(SHAPE, np.float32)
    lesion[2, 3, 1] = 0.5
    write(tmp_path / "a.nii.gz", axes="RAS")
    write(tmp_path / "a_mask.nii", lesion, axes="LPS")
    write(tmp_path / "b.nii")
    of = source(tmp_path, mask_suffix="_mask")
    assert len(of.records()) == 10
    masks = {record.id: of.read_mask(record) for record in of.records()}
    expected = np.zeros((4, 3), np.uint8)
    expected[0, 0] = 1
    np.testing.assert_array_equal(masks["a.nii.gz#a0001"], expected)
    assert masks["a.nii.gz#a0002"].sum() == 0
    assert masks["b.nii#a0001"] is None


def test_a_mask_that_does_not_fit_costs_its_volume_one_line(tmp_path: Path) -> None:
    write(tmp_path / "a.nii")
    write(tmp_path / "a_mask.nii", np.zeros((3, 4, 4), np.uint8))
    assert "its mask has the shape (3, 4, 4), the volume (3, 4, 5)" in reason_of(tmp_path, mask_suffix="_mask")
    nibabel.save(nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), np.eye(4)), tmp_path / "a_mask.nii")
    assert "its mask lies elsewhere in space" in reason_of(tmp_path, mask_suffix="_mask")


def test_the_fingerprint_changes_with_every_file_and_setting(tmp_path: Path) -> None:
    write(tmp_path / "a.nii")
    write(tmp_path / "a_mask.nii", np.zeros(SHAPE, np.uint8))
    prints = [source(tmp_path, mask_suffix="_mask").fingerprint()]
    assert source(tmp_path, mask_suffix="_mask").fingerprint() == prints[0]
    prints.append(source(tmp_path, mask_suffix="_mask", every=2).fingerprint())
    os.utime(tmp_path / "a_mask.nii", ns=(1, 1))
    prints.append(source(tmp_path, mask_suffix="_mask").fingerprint())
    os.utime(tmp_path / "a.nii", ns=(1, 1))
    prints.append(source(tmp_path, mask_suffix="_mask").fingerprint())
    assert len(set(prints)) == 4


# Each volume once


def test_a_volume_is_decoded_once_for_all_its_slices_in_two_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.nii", "b.nii", "c.nii"):
        write(tmp_path / name)
    decoded: list[str] = []
    real = volume_slices.read_voxels

    def counted(header: Any, **settings: Any) -> Any:
        decoded.append(header.path.name)
        return real(header, **settings)

    monkeypatch.setattr(volume_slices, "read_voxels", counted)
    of = source(tmp_path)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(of.read, of.records()))
    assert sorted(decoded) == ["a.nii", "b.nii", "c.nii"]


def test_what_is_used_most_recently_is_kept_and_failures_are_remembered() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        if name == "bad":
            raise ImageError("broken")
        return name.upper()

    recent = RecentlyUsed(make, most=2)
    assert [recent.get(name) for name in "abab"] == ["A", "B", "A", "B"]
    for _ in range(2):
        with pytest.raises(ImageError, match="broken"):
            recent.get("bad")
    assert recent.get("b") == "B"
    assert made == ["a", "b", "bad"]
    recent.get("a")
    assert made == ["a", "b", "bad", "a"]


# Hostile files


def header_bytes(shape: tuple[int, ...], *, code: int = 4, bits: int = 16, offset: float = 352.0) -> bytes:
    """A NIfTI-1 header written field by field."""
    block = bytearray(352)
    struct.pack_into("<i", block, 0, 348)
    struct.pack_into(f"<{1 + len(shape)}h", block, 40, len(shape), *shape)
    struct.pack_into("<hh", block, 70, code, bits)
    struct.pack_into("<8f", block, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<f", block, 108, offset)
    block[344:348] = b"n+1\0"
    return bytes(block)


HOSTILE = {
    "zero bytes": (b"", "empty (0 bytes)"),
    "text": (b"not a volume at all\n" * 40, "not a NIfTI file"),
    "short": (b"\x5c\x01\0\0", "not a NIfTI file"),
    "absurd": (header_bytes((32767, 32767, 32767)), "over the limit of 512000000"),
    "negative": (header_bytes((-5, 4, 4)), "at least 1"),
    "five axes": (header_bytes((2, 2, 2, 1, 3)) + bytes(48), "at most three axes and frames"),
    "cut off": (header_bytes((40, 40, 40)) + bytes(100), "cut off"),
    "far offset": (header_bytes((4, 4, 4), offset=1e9), "begin at byte 1000000000"),
    "nan offset": (header_bytes((4, 4, 4), offset=float("nan")), "damaged"),
    "rgb": (header_bytes((4, 4, 4), code=128, bits=24) + bytes(192), "whole or floating-point numbers"),
    "complex": (header_bytes((4, 4, 4), code=32, bits=64) + bytes(512), "complex numbers"),
    "unknown type": (header_bytes((4, 4, 4), code=999) + bytes(128), "damaged or of an unknown variant"),
    "gzip of nothing": (gzip.compress(b""), "not a NIfTI file"),
    "gzip cut": (gzip.compress(np.random.default_rng(0).bytes(5000))[:60], "cut off"),
    "gzip cut in voxels": (
        gzip.compress(header_bytes((9, 9, 9)) + np.random.default_rng(0).bytes(1458))[:900], "cut off",
    ),
    "gzip short of voxels": (gzip.compress(header_bytes((9, 9, 9)) + bytes(99)), "cut off"),
    "gzip of too little": (gzip.compress(header_bytes((700, 700, 700)) + bytes(99)), "cut off"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_one_record_with_its_reason(case: str, tmp_path: Path) -> None:
    data, reason = HOSTILE[case]
    (tmp_path / "a.nii").write_bytes(data)
    assert reason in reason_of(tmp_path, min_content=0.02)


def test_without_listing_by_content_cut_files_fail_slice_by_slice(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(HOSTILE["gzip cut in voxels"][0])
    of = source(tmp_path)
    assert len(of.records()) == 9
    for record in of.records():
        with pytest.raises(ImageError, match="cut off"):
            of.read(record)


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii.gz")
    data = bytearray(path.read_bytes())
    data[-8] ^= 0xFF
    path.write_bytes(data)
    assert "CRC" in reason_of(tmp_path, min_content=0.02)


def test_a_gzip_bomb_is_unpacked_no_further_than_its_header_asks(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.nii.gz", "wb", compresslevel=1) as file:
        file.write(header_bytes((4, 4, 4)) + bytes(np.arange(128, dtype=np.uint8)))
        for _ in range(256):
            file.write(bytes(2**20))
    tracemalloc.start()
    of = source(tmp_path)
    assert len(of.records()) == 4
    assert of.read(of.records()[0]).pixels.shape == (4, 4)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 8 * 2**20
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(2**26)))
    assert "not a NIfTI file" in reason_of(tmp_path)


def test_an_orientation_that_is_no_matrix_is_refused(tmp_path: Path) -> None:
    block = bytearray(header_bytes((4, 4, 4)) + bytes(128))
    struct.pack_into("<h", block, 254, 1)  # sform_code, with rows of zeros
    (tmp_path / "a.nii").write_bytes(block)
    assert "qform, sform" in reason_of(tmp_path)
    struct.pack_into("<12f", block, 280, *[float("nan")] * 12)
    (tmp_path / "a.nii").write_bytes(block)
    assert "qform, sform" in reason_of(tmp_path)


def test_volumes_that_do_not_say_how_they_lie_are_noted(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(header_bytes((4, 4, 4)) + bytes(range(128)))
    assert any("do not say how they lie in space" in note for note in source(tmp_path).notes)


def test_limits_hold_for_voxels_slices_and_frames(tmp_path: Path) -> None:
    write(tmp_path / "a.nii")
    assert "over the limit of 59" in reason_of(tmp_path, max_voxels=59)
    assert "its slices have 3 x 4 pixels, over the limit of 11" in reason_of(tmp_path, max_pixels=11)
    assert len(source(tmp_path, max_pixels=12, max_voxels=60).records()) == 5


def test_pipes_links_and_other_files_are_no_trouble(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "secret.nii")
    write(tmp_path / "set" / "a.nii")
    os.mkfifo(tmp_path / "set" / "pipe.nii.gz")
    (tmp_path / "set" / "out.nii").symlink_to(tmp_path / "elsewhere" / "secret.nii")
    (tmp_path / "set" / "notes.txt").write_text("x")
    of = source(tmp_path / "set")
    assert {name.partition("#")[0] for name in ids(of)} == {"a.nii", "pipe.nii.gz"}
    with pytest.raises(ImageError, match="a pipe or device"):
        read(of, "pipe.nii.gz")
    assert any(note.startswith("1 links") for note in of.notes)


def test_a_folder_without_volumes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no .nii or .nii.gz file was found"):
        source(tmp_path)


# Real volumes

REAL = {  # axial slices, shape of a slice, spacing of rows and columns, type, window
    "FLAIR.nii.gz": (159, (232, 176), (1.0, 1.0), "uint8"),
    "anatomical.nii": (25, (41, 33), (2.0, 2.0), "int16"),
    "example4d.nii.gz": (24, (96, 128), (2.0, 2.0), "int16"),
    "example_nifti2.nii.gz": (12, (20, 32), (2.0, 2.0), "int16"),
    "functional.nii": (3, (21, 17), (4.0, 4.0), "float32"),
    "reoriented_anat_moved.nii": (22, (26, 21), (4.0, 4.0), "float32"),
    "resampled_anat_moved.nii": (3, (21, 17), (4.0, 4.0), "float32"),
    "someones_anatomy.nii.gz": (56, (67, 57), (2.75, 2.75), "float32"),
    "someones_epi.nii.gz": (33, (61, 53), (3.0, 3.0), "float32"),
}


def real_volumes() -> Path:
    root = os.environ.get("SCANLENS_TEST_DATA")
    if not root:
        pytest.skip("SCANLENS_TEST_DATA is not set")
    return Path(root, "volumes").resolve()


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_volumes_agree_with_nibabel(name: str) -> None:
    count, shape, spacing, dtype = REAL[name]
    of = source(real_volumes())
    records = [record for record in of.records() if record.id.startswith(f"{name}#")]
    assert len(records) == count
    canonical = nibabel.as_closest_canonical(nibabel.load(real_volumes() / name))
    voxels = canonical.get_fdata()
    voxels = voxels[..., 0] if voxels.ndim == 4 else voxels
    window = np.percentile(voxels[np.isfinite(voxels)], [0.5, 99.5])
    for record in records[:: max(1, count // 5)]:
        raw = of.read(record)
        assert (raw.pixels.shape, raw.pixels.dtype.name) == (shape, dtype)
        assert raw.spacing_mm == pytest.approx(spacing, rel=1e-4)
        assert raw.value_range == pytest.approx(window, rel=1e-4)
        np.testing.assert_allclose(raw.pixels, voxels[::-1, ::-1, record.meta["slice"]].T, rtol=1e-5)


@pytest.mark.slow
def test_a_network_is_trained_judged_and_reported_on_real_slices(tmp_path: Path) -> None:
    root, rows = tmp_path / "set", []
    root.mkdir()
    kinds = [("someones_anatomy.nii.gz", "anatomy"), ("someones_epi.nii.gz", "epi")]
    for name, label in kinds:
        for copy in range(4):
            shutil.copy(real_volumes() / name, root / f"p{copy}_{name}")
            rows.append({"scan": f"p{copy}_{name}", "kind": label})
    (root / "broken.nii.gz").write_bytes(b"no volume")
    rows.append({"scan": "broken.nii.gz", "kind": "epi"})
    write_csv(root / "labels.csv", ["scan", "kind"], rows)
    done = train(
        "model=lenet", "data=nifti", f"data.root={root}", "data.every=4", "data.slice_range=[0.2,0.8]",
        "data.labels={file: labels.csv, by: file, key: scan, label: kind}", "data.patient_pattern='(p[0-9])_'",
        "audit.on_leak=warn",  # these patients are copies of one scan, which would keep them together
        f"paths.cache={tmp_path / 'cache'}", "preprocess.size=32", "trainer.max_epochs=1",
        "callbacks.num_explained_cases=2", "callbacks.bootstrap_resamples=20", "callbacks.explain_every_n_epochs=0",
        "run_id=r", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "outputs" / "r")
    assert [row["id"] for row in read_csv(run.quarantine_file)] == ["broken.nii.gz"]
    splits: dict[str, set[str]] = {}
    for row in run.split_rows:
        splits.setdefault(row["patient"], set()).add(row["split"])
    assert sorted(splits) == ["p0", "p1", "p2", "p3"]
    assert all(len(found) == 1 for found in splits.values())
    assert json.loads(run.evaluation_file.read_text(encoding="utf-8"))["task"] == "classification"
    assert run.report_file.stat().st_size > 10_000
