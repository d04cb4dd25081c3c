"""DICOM files give the values, windows, spacings and patients of their headers; hostile ones a reason."""

from __future__ import annotations

import gzip
import os
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

from fakes.commands import train
from scanlens.data.dicom_pixels import read_frame
from scanlens.data.preprocess import Preprocess
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.data.sources.dicom import DicomSource
from scanlens.errors import ConfigError, DataError, ImageError
from scanlens.runs import Run
from scanlens.types import RawImage

RAMP = np.arange(100, 112, dtype=np.uint16).reshape(3, 4)


def data_set(pixels: NDArray[Any] = RAMP, **elements: Any) -> Dataset:
    """A minimal image; pixels (H, W), (frames, H, W) or (H, W, 3)."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.PatientName, ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "Doe^Jane", "SECRET-1", "1.2", "1.2.3"
    ds.Modality = "MR"
    is_color = pixels.ndim == 3 and pixels.shape[2] == 3
    ds.Rows, ds.Columns = pixels.shape[:2] if is_color else pixels.shape[-2:]
    if pixels.ndim == 3 and not is_color:
        ds.NumberOfFrames = len(pixels)
    ds.SamplesPerPixel = 3 if is_color else 1
    if is_color:
        ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation = "RGB" if is_color else "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    return ds


def write(path: Path, pixels: NDArray[Any] = RAMP, **elements: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set(pixels, **elements).save_as(path, enforce_file_format=True)
    return path


def test_sixteen_bits_are_kept_and_percentiles_are_the_range(tmp_path: Path) -> None:
    raw = read_frame(write(tmp_path / "a"))
    assert raw.pixels.dtype == np.uint16
    np.testing.assert_array_equal(raw.pixels, RAMP)
    assert raw.value_range == pytest.approx(tuple(np.percentile(RAMP, [0.5, 99.5])))
    assert (raw.is_windowed, raw.spacing_mm) == (True, None)


def test_rescale_gives_units_and_the_window_is_in_units(tmp_path: Path) -> None:
    raw = read_frame(
        write(tmp_path / "a", RescaleSlope=2, RescaleIntercept=-200, WindowCenter=[10.5, 99], WindowWidth=[11, 1])
    )
    np.testing.assert_array_equal(raw.pixels, (RAMP.astype(np.float32) * 2 - 200))
    assert raw.value_range == (5.0, 15.0)  # center - 0.5 and width - 1, as C.11.2.1.2.1 has it
    scaled = Preprocess(size=8, keeps_aspect=False)(raw)
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)
    exact = write(tmp_path / "b", WindowCenter=105, WindowWidth=4, VOILUTFunction="LINEAR_EXACT")
    assert read_frame(exact).value_range == (103.0, 107.0)
    assert read_frame(exact, window="percentile").value_range == pytest.approx(tuple(np.percentile(RAMP, [0.5, 99.5])))


@pytest.mark.parametrize("width, center", [(0, 105), (1, 105), (10, 9000), (-5, 105)])
def test_a_window_that_shows_nothing_gives_way_to_percentiles(tmp_path: Path, width: int, center: int) -> None:
    raw = read_frame(write(tmp_path / "a", WindowCenter=center, WindowWidth=width))
    assert raw.value_range == pytest.approx(tuple(np.percentile(RAMP, [0.5, 99.5])))


def test_monochrome1_is_mirrored_with_its_window(tmp_path: Path) -> None:
    dark = dict(PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    raw = read_frame(write(tmp_path / "a", WindowCenter=105, WindowWidth=5, **dark))
    np.testing.assert_array_equal(raw.pixels, 4095 - RAMP)
    assert raw.value_range == (4095 - 106.5, 4095 - 102.5)
    scaled = read_frame(write(tmp_path / "b", RescaleSlope=2, RescaleIntercept=0, **dark))
    np.testing.assert_array_equal(scaled.pixels, -2 * RAMP.astype(np.float32))


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_padding_is_the_darkest_and_not_counted(tmp_path: Path, photometric: str) -> None:
    pixels = RAMP.copy()
    pixels[0, :2] = 60000, 60005
    path = write(
        tmp_path / "a", pixels, PixelPaddingValue=60000, PixelPaddingRangeLimit=60010,
        PhotometricInterpretation=photometric,
    )  # fmt: skip
    raw = read_frame(path)
    others = np.sort(raw.pixels.ravel())
    assert (raw.pixels[0, :2] == others[0]).all()
    low, high = raw.value_range
    assert high - low < 12


def test_negative_padding_of_signed_pixels(tmp_path: Path) -> None:
    pixels = RAMP.astype(np.int16)
    pixels[0, 0] = -2000
    raw = read_frame(write(tmp_path / "a", pixels, PixelPaddingValue=-2000))
    assert raw.pixels.min() == 101


def test_spacing_comes_from_the_first_place_that_says_it(tmp_path: Path) -> None:
    assert read_frame(write(tmp_path / "a", PixelSpacing=[0.5, 0.25])).spacing_mm == (0.5, 0.25)
    assert read_frame(write(tmp_path / "b", ImagerPixelSpacing=[2, 3])).spacing_mm == (2.0, 3.0)
    assert read_frame(write(tmp_path / "c", PixelSpacing=[0, 1])).spacing_mm is None


def multi_frame(path: Path) -> Path:
    """Three frames at 2, 0 and 1 cm, each with its own slope."""
    groups = []
    for position, slope in ((20, 1), (0, 2), (10, 3)):
        frame = Dataset()
        frame.PlanePositionSequence = Sequence([Dataset()])
        frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, position]
        frame.PixelValueTransformationSequence = Sequence([Dataset()])
        frame.PixelValueTransformationSequence[0].RescaleSlope = slope
        frame.PixelValueTransformationSequence[0].RescaleIntercept = 0
        groups.append(frame)
    shared = Dataset()
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([Dataset()])
    shared.PixelMeasuresSequence[0].PixelSpacing = [1.5, 2.5]
    return write(
        path,
        np.stack([RAMP, RAMP + 1, RAMP + 2]),
        PerFrameFunctionalGroupsSequence=Sequence(groups),
        SharedFunctionalGroupsSequence=Sequence([shared]),
    )


def test_each_frame_is_a_slice_with_its_own_position_and_slope(tmp_path: Path) -> None:
    multi_frame(tmp_path / "a" / "m")
    source = DicomSource(root=str(tmp_path))
    assert [r.id for r in source.records()] == ["a/m#f0002", "a/m#f0003", "a/m#f0001"]
    assert [r.meta["position_mm"] for r in source.records()] == [0, 10, 20]
    for record, factor, shift in zip(source.records(), (2, 3, 1), (1, 2, 0), strict=True):
        raw = source.read(record)
        np.testing.assert_array_equal(raw.pixels, (RAMP.astype(np.float32) + shift) * factor)
        assert raw.spacing_mm == (1.5, 2.5)


def test_slices_lie_along_the_normal_and_each_nth_is_taken(tmp_path: Path) -> None:
    for place, z in enumerate((3.0, 1.0, 2.0, 0.0)):  # sagittal: the normal is x
        write(
            tmp_path / f"{place}.dcm", InstanceNumber=place, ImagePositionPatient=[z, 0, 0],
            ImageOrientationPatient=[0, 1, 0, 0, 0, 1],
        )  # fmt: skip
    assert [r.id for r in DicomSource(root=str(tmp_path)).records()] == ["3.dcm", "1.dcm", "2.dcm", "0.dcm"]
    assert [r.id for r in DicomSource(root=str(tmp_path), every=2).records()] == ["3.dcm", "2.dcm"]


def test_without_positions_the_instance_number_orders(tmp_path: Path) -> None:
    for place, number in enumerate((10, 9, 1)):
        write(tmp_path / f"{place}.dcm", InstanceNumber=number)
    assert [r.id for r in DicomSource(root=str(tmp_path)).records()] == ["2.dcm", "1.dcm", "0.dcm"]


def test_repeated_instances_are_dropped_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "x", SOPInstanceUID="1.5")
    write(tmp_path / "y", SOPInstanceUID="1.5")
    source = DicomSource(root=str(tmp_path))
    assert [r.id for r in source.records()] == ["x"]
    assert "1 files repeat an image (SOPInstanceUID) of another file and were left out." in source.notes


@pytest.mark.parametrize(
    "by, keys", [("patient", "P0 P1"), ("study", "1.0 1.1"), ("series", "2.0 2.1"), ("file", "s/0.dcm s/1.dcm")]
)
def test_labels_by_any_key_and_patients_are_hashes(tmp_path: Path, by: str, keys: str) -> None:
    for i in range(3):
        write(
            tmp_path / "s" / f"{i}.dcm", PatientID=f"P{i}", IssuerOfPatientID="H", StudyInstanceUID=f"1.{i}",
            SeriesInstanceUID=f"2.{i}",
        )  # fmt: skip
    first, second = keys.split()
    (tmp_path / "labels.csv").write_text(f"k,l\n{first},ill\n{second},well\n")
    labels = {"file": "labels.csv", "by": by, "key": "k", "label": "l"}
    source = DicomSource(root=str(tmp_path), labels=labels)
    assert [r.target for r in source.records()] == ["ill", "well", None]
    assert source.class_names == ["ill", "well"]
    assert source.records()[0].patient == Pseudonyms().of("H\0P0")
    assert "1 of 3 images have no row in data.labels.file, so no class." in source.notes
    assert not [r for r in source.records() if "P0" in repr(r) or "Doe" in repr(r)]


def test_sites_are_known_by_machine_by_institution_hashed_and_by_a_column_of_the_labels(tmp_path: Path) -> None:
    for i, house in enumerate(("St. Elsewhere", "ST. ELSEWHERE ", "")):
        write(
            tmp_path / f"{i}.dcm", PatientID=f"P{i}", InstitutionName=house, Manufacturer="ACME <b>", SeriesInstanceUID=f"2.{i}",
            ManufacturerModelName="One/3T",
        )  # fmt: skip
    (tmp_path / "labels.csv").write_text("k,l,site\nP0,ill,East\nP1,well,West\nP2,well,West\n")
    labels: dict[str, str | list[str]] = {"file": "labels.csv", "by": "patient", "key": "k", "label": "l"}
    found = [r.meta for r in DicomSource(root=str(tmp_path), labels={**labels, "meta": ["site"]}).records()]
    assert [one["site"] for one in found] == ["East", "West", "West"]
    expected = Pseudonyms().of("st. elsewhere")
    assert [one["institution"] for one in found] == [expected, expected, ""]
    assert {(one["manufacturer"], one["model"]) for one in found} == {("ACME b", "One/3T")}
    assert "lsewhere" not in repr(found)
    assert "site" not in DicomSource(root=str(tmp_path), labels=labels).records()[0].meta


def test_file_names_that_hold_the_patient_are_told_without_naming_anyone(tmp_path: Path) -> None:
    write(tmp_path / "SECRET-1" / "a.dcm")
    write(tmp_path / "other" / "b.dcm", PatientID="12")
    source = DicomSource(root=str(tmp_path))
    assert source.notes == [], "by default such names are hidden"
    notes = " ".join(source.notes_if_named)
    assert "1 names of files hold the PatientID" in notes
    assert "SECRET-1" not in notes


def test_labels_that_fit_nothing_and_wrong_settings_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm")
    (tmp_path / "labels.csv").write_text("k,l\nnobody,ill\n")
    labels = {"file": "labels.csv", "by": "patient", "key": "k", "label": "l"}
    with pytest.raises(DataError, match=r"no row of column 'k' is a patient"):
        DicomSource(root=str(tmp_path), labels=labels)
    with pytest.raises(ConfigError, match=r"labels.by: patient, study, series or file is expected, 'person' came"):
        DicomSource(root=str(tmp_path), labels=labels | {"by": "person"})
    with pytest.raises(ConfigError, match=r"series_description_pattern '\(' is not a regular expression"):
        DicomSource(root=str(tmp_path), series_description_pattern="(")


def test_series_are_chosen_and_empty_patients_are_noted(tmp_path: Path) -> None:
    write(tmp_path / "a", SeriesDescription="T2 FLAIR", PatientID="")
    write(tmp_path / "b", SeriesDescription="localizer")
    write(tmp_path / "c", SeriesDescription="FLAIR", Modality="CT")
    source = DicomSource(root=str(tmp_path), modality="MR", series_description_pattern="(?i)flair")
    assert [(r.id, r.patient) for r in source.records()] == [("a", None)]
    assert "2 images are of other modalities or series and were left out." in source.notes
    assert "1 of 1 images have no known patient (PatientID is empty or unreadable)." in source.notes


def test_color_stays_color_and_gray_is_brought_to_it(tmp_path: Path) -> None:
    pixels = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    write(tmp_path / "a", pixels)
    write(tmp_path / "b")
    source = DicomSource(root=str(tmp_path))
    raw, gray = map(source.read, source.records())
    np.testing.assert_array_equal(raw.pixels, pixels)
    assert (raw.color, raw.value_range, raw.is_windowed) == ("rgb", (0.0, 255.0), False)
    assert (source.color, gray.pixels.shape, gray.is_windowed) == ("rgb", (3, 4, 3), True)


def test_the_fingerprint_changes_with_files_and_settings(tmp_path: Path) -> None:
    write(tmp_path / "a")
    first = DicomSource(root=str(tmp_path)).fingerprint()
    assert DicomSource(root=str(tmp_path)).fingerprint() == first
    assert DicomSource(root=str(tmp_path), window="percentile").fingerprint() != first
    write(tmp_path / "b")
    assert DicomSource(root=str(tmp_path)).fingerprint() != first


# Hostile files


def nested(depth: int) -> bytes:
    """An undefined-length sequence in a sequence in a sequence ..."""
    one = b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    return b"\0" * 128 + b"DICM" + one * depth


def hostile(folder: Path) -> dict[str, str]:
    """Files by name, and what their reason says."""
    good = write(folder / "good.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(good[:-9])
    (folder / "header_cut.dcm").write_bytes(good[:300])
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "text.dcm").write_text("no scan at all\n" * 30)
    (folder / "nested.dcm").write_bytes(nested(20_000))
    (folder / "bomb.dcm.gz").write_bytes(gzip.compress(b"\0" * 3_000_000))
    write(folder / "huge.dcm", Rows=65535, Columns=65535)
    write(folder / "frames.dcm", NumberOfFrames=2_000_000_000)
    os.mkfifo(folder / "pipe.dcm")
    j2k = data_set()
    j2k.file_meta.TransferSyntaxUID = JPEG2000Lossless
    return {
        "cut.dcm": "damaged|cut off", "empty.dcm": "0 bytes", "text.dcm": "not a DICOM file",
        "nested.dcm": "nested too deep", "bomb.dcm.gz": "more than 1000000 bytes",
        "huge.dcm": "65535 x 65535 pixels, over the limit", "frames.dcm": "2000000000 frames", "pipe.dcm": "pipe",
        "header_cut.dcm": "no rows and columns|damaged|cut off",
    }  # fmt: skip


def test_hostile_files_cost_one_line_each(tmp_path: Path) -> None:
    reasons = hostile(tmp_path)
    (tmp_path / "away.dcm").symlink_to("/dev/zero")
    (tmp_path / "README").write_text("words")
    source = DicomSource(root=str(tmp_path), max_bytes=1_000_000)
    ids = {r.id for r in source.records()}
    assert {"good.dcm"} < ids <= {"good.dcm", *reasons}
    for name, words in reasons.items():
        with pytest.raises(ImageError, match=words) as caught:
            read_frame(tmp_path / name, max_bytes=1_000_000)
        assert "\n" not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)
    assert any(note.startswith("1 links") for note in source.notes)


def test_a_file_without_preamble_is_read_if_it_is_an_image(tmp_path: Path) -> None:
    ds = data_set()
    del ds.file_meta
    ds.save_as(tmp_path / "bare", implicit_vr=True, little_endian=True, enforce_file_format=False)
    source = DicomSource(root=str(tmp_path))
    np.testing.assert_array_equal(source.read(source.records()[0]).pixels, RAMP)


def test_a_missing_decoder_names_the_syntax_and_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import JPEG2000LosslessDecoder

    monkeypatch.setattr(JPEG2000LosslessDecoder, "_available", {})
    ds = data_set()
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    ds["PixelData"].is_undefined_length = True
    ds.PixelData = b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\4\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
    ds.save_as(tmp_path / "a", enforce_file_format=True)
    with pytest.raises(ImageError, match=r"JPEG 2000 .*Lossless.*pip install 'scanlens\[dicom\]'"):
        read_frame(tmp_path / "a")


# Real files


def real_files() -> Path:
    root = os.environ.get("SCANLENS_TEST_DATA")
    if not root:
        pytest.skip("SCANLENS_TEST_DATA is not set")
    return Path(root, "dicom").resolve()


REAL: dict[str, tuple[Any, ...]] = {
    "single/CT_small.dcm": ((128, 128), "float32", (-861.0, 785.0), (0.661468, 0.661468)),
    "single/MR2_J2KI.dcm": ((1024, 1024), "float32", (0.000061 * 0 + 0.0, 1999.0), None),
    "single/examples_overlay.dcm": ((300, 484), "uint16", (55.0, 844.0), (0.72314, 0.72314)),
    "single/examples_ybr_color.dcm": ((240, 320, 3), "uint8", (0.0, 255.0), None),
    "single/image_dfl.dcm": ((512, 512), "uint8", (0.0, 255.0), None),
    "single/JPEG2000.dcm": ((1024, 256), "float32", None, (2.26, 2.26)),
    "single/SC_rgb_small_odd.dcm": ((3, 3, 3), "uint8", (0.0, 255.0), (33.333333, 33.333333)),
    "single/SC_rgb_jpeg_dcmtk.dcm": ((100, 100, 3), "uint8", (0.0, 255.0), (1.0, 1.0)),
    "single/decimal_rescale.dcm": ((96, 128), "float32", None, (1.125, 1.125)),
    "single/siemens_dwi_0.dcm.gz": ((896, 896), "uint16", None, (1.796875, 1.796875)),
    "single/slicethickness_empty_string.dcm": ((384, 384), "uint16", (-34.0, 399.0), (0.520833, 0.520833)),
    "multiframe/philips_enhanced_fmap_IM_0027.dcm": ((64, 64), "float32", None, (4.0, 4.0)),
    "multiframe/emri_small.dcm": ((64, 64), "uint16", None, None),
    "same-slice-nine-transfer-syntaxes/1.dcm": ((384, 384), "uint16", (-56.5, 1581.5), (3.25, 3.25)),
    "single/MR_small.dcm": ((64, 64), "float32", (-200.0, 1399.0), (0.3125, 0.3125)),
}
BROKEN = {
    "MR_truncated.dcm": "damaged|cut off", "badVR.dcm": "number of frames is no number",
    "meta_missing_tsyntax.dcm": "no rows and columns", "no_meta.dcm": "not a DICOM file", "rtplan.dcm": "it is no image",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_files_have_the_shape_range_and_spacing_of_their_headers(name: str) -> None:
    shape, dtype, value_range, spacing_mm = REAL[name]
    raw = read_frame(real_files() / name)
    assert (raw.pixels.shape, str(raw.pixels.dtype)) == (shape, dtype)
    if value_range is not None:
        assert raw.value_range == pytest.approx(value_range)
    if spacing_mm is not None:
        assert raw.spacing_mm == pytest.approx(spacing_mm, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_broken_real_files_say_what_is_wrong(name: str) -> None:
    with pytest.raises(ImageError, match=BROKEN[name]):
        read_frame(real_files() / "broken" / name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "pattern, frames, count",
    [("same-slice*/*.dcm", 1, 9), ("multiframe/emri*.dcm", 10, 5), ("single/MR_small*.dcm", 1, 6)],
)
def test_all_encodings_give_the_same_pixels(pattern: str, frames: int, count: int) -> None:
    files = sorted(real_files().glob(pattern))
    assert len(files) >= count
    for frame in range(frames):
        expected = read_frame(files[0], frame)
        for file in files[1:]:
            found = read_frame(file, frame)
            np.testing.assert_array_equal(found.pixels, expected.pixels, err_msg=file.name)
            assert found.value_range == expected.value_range


@pytest.mark.slow
def test_mutated_real_files_are_read_or_refused_in_time(tmp_path: Path) -> None:
    # JPEG streams go through C++ decoders: what they do with damage is theirs; here is what pydicom and we read.
    names = ["single/MR_small.dcm", "single/MR_small_RLE.dcm", "single/image_dfl.dcm", "multiframe/emri_small_RLE.dcm"]
    seeds = [(real_files() / name).read_bytes() for name in [*names, "single/SC_rgb_small_odd.dcm"]]
    seeds += [multi_frame(tmp_path / "m").read_bytes(), write(tmp_path / "s").read_bytes()]
    path, outcomes = tmp_path / "fuzzed", []
    edits = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), min_size=1, max_size=6)

    @settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(seeds), edits, st.one_of(st.none(), st.floats(0, 1)), st.booleans())
    def fuzz(seed: bytes, changes: list[tuple[float, bytes]], cut: float | None, is_early: bool) -> None:
        data = bytearray(seed)
        for place, new in changes:
            at = 132 + int(place * ((min(3000, len(data)) if is_early else len(data)) - 132))
            data[at : at + len(new)] = new
        path.write_bytes(data if cut is None else data[: int(cut * len(data))])
        started = time.monotonic()
        try:
            outcomes.append(isinstance(read_frame(path, max_pixels=1_000_000), RawImage))
        except ImageError:
            outcomes.append(False)
        assert time.monotonic() - started < 5

    fuzz()
    assert len(outcomes) >= 2000
    assert any(outcomes)


@pytest.mark.slow
def test_a_run_on_a_series_finishes_and_names_nobody(tmp_path: Path) -> None:
    import pydicom

    rows, root = ["patient,label"], tmp_path / "scans"
    root.mkdir()
    files = sorted((real_files() / "series-ge-epi").glob("*.dcm"))
    for person in range(16):
        label = "upper" if person % 2 else "lower"
        rows.append(f"SECRET-{person:02d},{label}")
        for place, file in enumerate(files[8:11] if person % 2 else files[2:5]):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ds = pydicom.dcmread(file)
                ds.PatientID, ds.PatientName = f"SECRET-{person:02d}", f"Hidden^Name{person:02d}"
                ds.SOPInstanceUID, ds.SeriesInstanceUID = generate_uid(), f"1.2.{person}"
                ds.save_as(root / f"{person:02d}_{place}")
    (root / "labels.csv").write_text("\n".join(rows))
    shutil.copy(real_files() / "broken" / "MR_truncated.dcm", root / "broken.dcm")
    done = train(
        "model=lenet", "data=dicom", f"data.root={root}",
        "data.labels={file: labels.csv, by: patient, key: patient, label: label}", "preprocess.size=32",
        "audit.on_leak=warn",  # these people are copies of one scan, which would keep them together
        "trainer.max_epochs=1", "callbacks.num_explained_cases=2", "callbacks.bootstrap_resamples=20",
        "callbacks.explain_every_n_epochs=0", "run_id=r", f"paths.cache={tmp_path / 'cache'}", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "outputs" / "r")
    assert len({row["patient"] for row in run.split_rows}) == 16
    assert run.report_file.stat().st_size > 10_000
    for file in run.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"SECRET-" not in content, file
            assert b"Hidden" not in content, file
    assert "SECRET-" not in done.stdout + done.stderr
