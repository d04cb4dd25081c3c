"""What of a DICOM image is shown: tables, windows and their functions, by hand and against pydicom."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    generate_uid,
)

from scanlens.data.dicom_pixels import read_frame
from scanlens.data.preprocess import Preprocess
from scanlens.errors import ImageError

RAMP = np.arange(100, 112, dtype=np.uint16).reshape(3, 4)
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]


def write(path: Path, pixels: NDArray[Any] = RAMP, *, syntax: Any = ExplicitVRLittleEndian, **elements: Any) -> Path:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = *pixels.shape, 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, int(pixels.dtype.kind == "i")
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    is_little = syntax != ExplicitVRBigEndian
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder("<" if is_little else ">")).tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(
            path, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=is_little, enforce_file_format=True
        )
    return path


def table(entries: list[int] | bytes, *, first: int, bits: int, num: int | None = None, sign: str = "US") -> Sequence:
    one = Dataset()
    one.add_new("LUTDescriptor", sign, [len(entries) if num is None else num, first, bits])
    one.add_new("LUTData", "OW" if isinstance(entries, bytes) else "US", entries)
    return Sequence([one])


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_table_gives_its_entries_and_its_depth_is_the_range(tmp_path: Path, syntax: Any) -> None:
    path = write(
        tmp_path / "a", syntax=syntax, VOILUTSequence=table([7, 50, 900, 4000], first=104, bits=12),
        WindowCenter=105, WindowWidth=4,
    )  # fmt: skip
    raw = read_frame(path)
    np.testing.assert_array_equal(raw.pixels, [[7, 7, 7, 7], [7, 50, 900, 4000], [4000, 4000, 4000, 4000]])
    assert (raw.value_range, raw.is_windowed) == ((0.0, 4095.0), True)
    plain = read_frame(path, window="percentile")
    np.testing.assert_array_equal(plain.pixels, RAMP)


def test_a_table_of_eight_bits_has_more_entries_than_eight_bits_count(tmp_path: Path) -> None:
    pixels = np.array([[0, 300], [511, 4000]], dtype=np.uint16)
    entries = [place // 2 for place in range(512)]
    raw = read_frame(write(tmp_path / "a", pixels, VOILUTSequence=table(entries, first=0, bits=8)))
    np.testing.assert_array_equal(raw.pixels, [[0, 150], [255, 255]])
    assert raw.value_range == (0.0, 255.0)
    packed = bytes(place // 2 for place in range(512))
    raw = read_frame(write(tmp_path / "b", pixels, VOILUTSequence=table(packed, first=0, bits=8)))
    np.testing.assert_array_equal(raw.pixels, [[0, 150], [255, 255]])


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_table_counts_in_units_after_rescaling_and_may_begin_below_zero(tmp_path: Path, syntax: Any) -> None:
    pixels = np.array([[0, 10], [20, 40]], dtype=np.uint16)  # -1000, -980, -960, -920
    path = write(
        tmp_path / "a", pixels, syntax=syntax, RescaleSlope=2, RescaleIntercept=-1000,
        VOILUTSequence=table(list(range(0, 400, 4)), first=2**16 - 1000, bits=10),
    )  # fmt: skip
    np.testing.assert_array_equal(read_frame(path).pixels, [[0, 80], [160, 320]])


def test_a_table_is_mirrored_with_monochrome1_and_spares_padding(tmp_path: Path) -> None:
    pixels = RAMP.copy()
    pixels[0, 0] = 60000
    path = write(
        tmp_path / "a", pixels, VOILUTSequence=table([7, 50, 900, 4000], first=104, bits=12), PixelPaddingValue=60000,
        PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    raw = read_frame(path)
    low, high = raw.value_range
    shares = (raw.pixels.astype(np.float64) - low) / (high - low)
    mirrored = 1 - np.array([4000, 7, 7, 7, 7, 50, 900, 4000, 4000, 4000, 4000, 4000]) / 4095  # the first is padding
    np.testing.assert_allclose(shares.ravel(), mirrored)


@pytest.mark.parametrize(
    "voi",
    [
        table([5, 5, 5], first=100, bits=12),
        table([1, 2], first=100, bits=12, num=40),
        table([1, 2, 3], first=9000, bits=12),
        table([1, 2, 3], first=100, bits=60),
        Sequence([Dataset()]),
        Sequence([]),
    ],
)
def test_a_table_that_shows_nothing_or_makes_no_sense_gives_way_to_the_window(tmp_path: Path, voi: Sequence) -> None:
    raw = read_frame(write(tmp_path / "a", VOILUTSequence=voi, WindowCenter=105, WindowWidth=5))
    assert raw.value_range == (102.5, 106.5)
    np.testing.assert_array_equal(raw.pixels, RAMP)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_every_window_function_shows_what_pydicom_shows(tmp_path: Path, function: str) -> None:
    path = write(tmp_path / "a", WindowCenter=105, WindowWidth=6, VOILUTFunction=function)
    raw = read_frame(path)
    low, high = raw.value_range
    ours = np.clip((raw.pixels.astype(np.float64) - low) / (high - low), 0, 1)
    theirs = apply_windowing(RAMP, dcmread(path)) / 65535
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_sigmoid_is_half_at_its_center(tmp_path: Path) -> None:
    raw = read_frame(write(tmp_path / "a", WindowCenter=105, WindowWidth=8, VOILUTFunction="SIGMOID"))
    np.testing.assert_allclose(raw.pixels, 1 / (1 + np.exp(-(RAMP.astype(float) - 105) / 2)), rtol=1e-6)
    assert raw.value_range == (0.0, 1.0)
    mirrored = read_frame(
        write(
            tmp_path / "b",
            WindowCenter=105,
            WindowWidth=8,
            VOILUTFunction="SIGMOID",
            PhotometricInterpretation="MONOCHROME1",
        )
    )
    scale = Preprocess(size=8, keeps_aspect=False)
    np.testing.assert_allclose(scale(mirrored), 1 - scale(raw), atol=1e-5)


def test_a_jpeg_ls_frame_without_an_end_is_refused_before_its_decoder_reads_beyond_it(tmp_path: Path) -> None:
    import jpeg_ls

    pixels = np.random.default_rng(1).integers(0, 4096, (128, 128)).astype(np.uint16)
    stream = bytes(jpeg_ls.encode_array(pixels))
    for name, frame in (("whole", stream), ("cut", stream[: len(stream) // 2])):
        path = write(tmp_path / name, pixels)
        ds = dcmread(path)
        ds.file_meta.TransferSyntaxUID = JPEGLSLossless
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].is_undefined_length = True
        ds.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read_frame(tmp_path / "whole").pixels, pixels)
    began = time.monotonic()
    with pytest.raises(ImageError, match="cut off: its compressed frame has no end"):
        read_frame(tmp_path / "cut")
    assert time.monotonic() - began < 1


# Real files


def real_files() -> Path:
    root = os.environ.get("SCANLENS_TEST_DATA")
    if not root:
        pytest.skip("SCANLENS_TEST_DATA is not set")
    return Path(root, "dicom").resolve()


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, 10))
def test_a_mosaic_holds_the_slices_of_its_reference_volume_in_every_encoding(number: int) -> None:
    folder = real_files() / "same-slice-nine-transfer-syntaxes"
    volume = np.asarray(nibabel.load(folder / "reference_1.nii").dataobj)
    mosaic = read_frame(folder / f"{number}.dcm").pixels
    assert volume.shape == (64, 64, 35)
    for place in range(35):
        row, column = divmod(place, 6)
        tile = mosaic[64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
        np.testing.assert_array_equal(tile[::-1].T, volume[..., place])
    assert (mosaic[320:, 320:] == 0).all(), "the 36th place is empty"


FUZZ = """
import sys, time
from pathlib import Path
import numpy as np
from scanlens.data.dicom_pixels import read_frame
from scanlens.errors import ImageError
seed, path, num = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), int(sys.argv[3])
rng, read, slowest = np.random.default_rng(7), 0, 0.0
start = seed.rfind(b"\\xe0\\x7f\\x10\\x00")
for _ in range(num):
    data = bytearray(seed)
    for _ in range(rng.integers(1, 7)):
        at = int(rng.integers(start, len(data) - 6))
        data[at : at + 4] = rng.bytes(int(rng.integers(1, 5)))
    path.write_bytes(data if rng.random() < 0.7 else data[: int(rng.integers(start, len(data)))])
    began = time.monotonic()
    try:
        read_frame(path, max_pixels=1_000_000)
        read += 1
    except ImageError:
        pass
    slowest = max(slowest, time.monotonic() - began)
print(num, read, slowest)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_rle.dcm"]
)
def test_damaged_compressed_pixels_are_read_or_refused_in_time_and_the_process_lives(name: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", FUZZ, str(real_files() / "single" / name), str(tmp_path / "fuzzed"), "400"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    num, read, slowest = done.stdout.split()
    assert int(num) == 400
    assert int(read) < 400, "none of the files was damaged"
    assert float(slowest) < 5
