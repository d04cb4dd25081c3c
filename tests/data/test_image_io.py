"""`read_image` and `read_mask`: exact values of files written here, and one-line reasons for what cannot be read."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from scanlens.data.image_io import as_color, read_image, read_mask
from scanlens.errors import ImageError
from scanlens.types import RawImage

RAMP_HW = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOR_HWC = np.stack([RAMP_HW, 255 - RAMP_HW, RAMP_HW // 2], axis=2)
DEEP_HWC = COLOR_HWC.astype(np.uint16) * 200 + 7


def png_bytes(pixels: NDArray[np.uint16], color_type: int) -> bytes:
    """A 16-bit PNG, written by hand because Pillow cannot (color type 2 RGB, 4 gray + alpha, 6 RGBA)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def reason_of(path: Path, **limits: int) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(path, **limits)
    reason = str(caught.value)
    assert "\n" not in reason
    assert str(path.parent) not in reason
    return reason


# What can be read, and as what


@pytest.mark.parametrize("extension", ["png", "bmp", "gif", "tif"])
def test_gray_of_8_bits_comes_back_as_written(tmp_path: Path, extension: str) -> None:
    Image.fromarray(RAMP_HW).save(tmp_path / f"a.{extension}")
    raw = read_image(tmp_path / f"a.{extension}")
    np.testing.assert_array_equal(raw.pixels, RAMP_HW)
    assert (raw.pixels.dtype, raw.color, raw.value_range) == (np.uint8, "gray", (0, 255))


@pytest.mark.parametrize("extension", ["png", "bmp", "tif"])
def test_rgb_of_8_bits_comes_back_as_written(tmp_path: Path, extension: str) -> None:
    Image.fromarray(COLOR_HWC).save(tmp_path / f"a.{extension}")
    raw = read_image(tmp_path / f"a.{extension}")
    np.testing.assert_array_equal(raw.pixels, COLOR_HWC)
    assert raw.color == "rgb"


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_gray_of_16_bits_keeps_its_depth_and_the_range_of_its_type(tmp_path: Path, extension: str) -> None:
    twelve_bit = RAMP_HW.astype(np.uint16) * 18
    Image.fromarray(twelve_bit).save(tmp_path / f"a.{extension}")
    raw = read_image(tmp_path / f"a.{extension}")
    np.testing.assert_array_equal(raw.pixels, twelve_bit)
    assert (raw.pixels.dtype, raw.value_range) == (np.uint16, (0, 65535))


def test_big_endian_tiff_comes_in_native_order(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RAMP_HW.astype(">u2") * 100, byteorder=">")
    raw = read_image(tmp_path / "a.tif")
    assert raw.pixels.dtype.isnative
    np.testing.assert_array_equal(raw.pixels, RAMP_HW.astype(np.uint16) * 100)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
def test_rgb_tiff_of_16_bits_keeps_its_depth(tmp_path: Path, planar: str, compression: str | None) -> None:
    stored = DEEP_HWC if planar == "contig" else np.moveaxis(DEEP_HWC, -1, 0)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, compression=compression, metadata=None
    )
    raw = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(raw.pixels, DEEP_HWC)
    assert (raw.color, raw.pixels.dtype) == ("rgb", np.uint16)


def test_rgb_png_of_16_bits_keeps_its_depth(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_bytes(DEEP_HWC, color_type=2))
    raw = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(raw.pixels, DEEP_HWC)
    assert (raw.color, raw.value_range) == ("rgb", (0, 65535))


def test_gray_png_of_16_bits_with_alpha_is_composited_over_black_in_16_bits(tmp_path: Path) -> None:
    gray_alpha = np.array([[[40000, 65535], [40000, 0], [30000, 32768]]], np.uint16)
    (tmp_path / "a.png").write_bytes(png_bytes(gray_alpha, color_type=4))
    assert read_image(tmp_path / "a.png").pixels.tolist() == [[40000, 0, 15000]]


def test_five_measured_channels_stay_five_channels(tmp_path: Path) -> None:
    stack = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", planarconfig="contig", metadata=None)
    raw = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(raw.pixels, stack)
    assert raw.color == "channels"


def test_a_fourth_sample_that_is_not_alpha_is_a_channel(tmp_path: Path) -> None:
    stack = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", extrasamples=["unspecified"], metadata=None)
    raw = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(raw.pixels, stack)
    assert raw.color == "channels"


def test_tiff_whose_zero_is_white_is_inverted(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "deep.tif", RAMP_HW.astype(np.uint16), photometric="miniswhite", metadata=None)
    tifffile.imwrite(tmp_path / "flat.tif", RAMP_HW, photometric="miniswhite", metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.tif").pixels, 65535 - RAMP_HW.astype(np.uint16))
    np.testing.assert_array_equal(read_image(tmp_path / "flat.tif").pixels, 255 - RAMP_HW)


def test_floating_point_has_the_unit_range_or_its_own(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "unit.tif", RAMP_HW.astype(np.float32) / 512)
    tifffile.imwrite(tmp_path / "wide.tif", RAMP_HW.astype(np.float64) - 20)
    assert read_image(tmp_path / "unit.tif").value_range == (0.0, 1.0)
    wide = read_image(tmp_path / "wide.tif")
    assert (wide.value_range, wide.pixels.dtype) == ((-20.0, 200.0), np.float32)


def test_signed_pixels_keep_their_values_and_their_own_range(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RAMP_HW.astype(np.int16) - 100)
    raw = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(raw.pixels, RAMP_HW.astype(np.float32) - 100)
    assert raw.value_range == (-100.0, 120.0)


def test_rgb_with_equal_channels_is_gray_unless_channels_are_sequences(tmp_path: Path) -> None:
    Image.fromarray(RAMP_HW).convert("RGB").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").pixels.shape == (3, 4)
    sequences = read_image(tmp_path / "a.png", color="channels")
    assert (sequences.pixels.shape, sequences.color) == ((3, 4, 3), "channels")


def test_jpeg_saved_as_rgb_from_gray_is_gray(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    Image.fromarray(smooth).convert("RGB").save(tmp_path / "a.jpg")
    raw = read_image(tmp_path / "a.jpg")
    assert raw.color == "gray"
    assert np.abs(raw.pixels.astype(int) - smooth).max() <= 3


def test_palette_becomes_its_colors(tmp_path: Path) -> None:
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([255, 0, 0, 0, 200, 0, 0, 0, 30])
    image.save(tmp_path / "a.png", transparency=bytes([255, 0, 128]))
    assert read_image(tmp_path / "a.png").pixels.tolist() == [[[255, 0, 0], [0, 200, 0], [0, 0, 30]]]


def test_one_bit_becomes_0_and_255(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255, 0]], np.uint8)).convert("1").save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").pixels.tolist() == [[0, 255, 0]]


def test_opaque_alpha_is_dropped_and_any_other_is_composited_over_black(tmp_path: Path) -> None:
    opaque = np.dstack([COLOR_HWC, np.full((3, 4), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.png").pixels, COLOR_HWC)
    Image.fromarray(np.array([[[200, 100, 50, 0], [200, 100, 50, 51]]], np.uint8)).save(tmp_path / "half.png")
    assert read_image(tmp_path / "half.png").pixels.tolist() == [[[0, 0, 0], [40, 20, 10]]]


def test_a_gray_value_marked_as_transparent_stays_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(RAMP_HW).save(tmp_path / "a.png", transparency=20)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, RAMP_HW)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[..., 0], inks[..., 3] = 255, 51  # all cyan, a fifth of black: red 0, green and blue four fifths
    Image.frombytes("CMYK", (16, 16), inks.tobytes()).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").pixels[0, 0].tolist() == [0, 204, 204]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone_as_pillow_undoes_it(tmp_path: Path, orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(COLOR_HWC).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, expected)


def test_orientation_of_a_deep_tiff_is_undone(tmp_path: Path) -> None:
    deep = RAMP_HW.astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", deep, extratags=[(274, "H", 1, 6, False)], metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, np.rot90(deep, -1))


def test_the_first_of_several_pages_is_read(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in range(3):
            file.write(np.full((3, 4), 100 + page, np.uint16), contiguous=False, metadata=None)
    assert (read_image(tmp_path / "a.tif").pixels == 100).all()


def test_content_counts_and_not_the_extension(tmp_path: Path) -> None:
    Image.fromarray(RAMP_HW).save(tmp_path / "a.tif", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, RAMP_HW)


# Colors asked for


def test_luma_weighs_red_green_and_blue() -> None:
    raw = RawImage(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8), "rgb", (0, 255))
    assert as_color(raw, "gray").pixels.tolist() == [[76, 150, 29]]


def test_gray_repeats_into_rgb_and_gains_an_axis_as_channels() -> None:
    raw = RawImage(RAMP_HW, "gray", (0, 255))
    np.testing.assert_array_equal(as_color(raw, "rgb").pixels, np.dstack([RAMP_HW] * 3))
    assert as_color(raw, "channels").pixels.shape == (3, 4, 1)


def test_measured_channels_cannot_be_had_as_gray() -> None:
    with pytest.raises(ImageError, match="5 channels that are not colors; gray was expected"):
        as_color(RawImage(np.zeros((2, 2, 5), np.uint8), "channels", (0, 255)), "gray")


# What is refused


def test_text_renamed_to_png_is_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("patient,label\n1,glioma\n")
    assert "not an image of a known kind" in reason_of(tmp_path / "a.png")
    assert "patient" not in reason_of(tmp_path / "a.png"), "what a file begins with may be a name"


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert reason_of(tmp_path / "a.png") == "the file is empty (0 bytes)"


def test_a_missing_file_a_folder_and_a_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert reason_of(tmp_path / "none.png") == "the file is not there"
    assert reason_of(tmp_path) == "not a file but a folder"
    assert reason_of(tmp_path / "pipe.png") == "not a file but a pipe or device"


@pytest.mark.parametrize("extension", ["png", "jpg", "bmp", "tif"])
def test_a_truncated_file_says_so(tmp_path: Path, extension: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a.{extension}")
    whole = (tmp_path / f"a.{extension}").read_bytes()
    (tmp_path / f"a.{extension}").write_bytes(whole[: len(whole) * 2 // 3])
    assert "the file is cut off" in reason_of(tmp_path / f"a.{extension}")


@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_a_truncated_deep_tiff_says_so(tmp_path: Path, compression: str | None) -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", noise, compression=compression, rowsperstrip=8)
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[:-40])
    assert "the file is cut off" in reason_of(tmp_path / "a.tif")


def test_large_pictures_are_refused_from_the_header_alone(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((300, 200), np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((300, 200), np.uint16))
    assert reason_of(tmp_path / "a.png", max_pixels=59_999) == (
        "the image has 200 x 300 pixels, over the limit of 59999"
    )
    assert "over the limit" in reason_of(tmp_path / "a.tif", max_pixels=59_999)
    assert "over the limit of 100" in reason_of(tmp_path / "a.tif", max_bytes=100)
    assert read_image(tmp_path / "a.png", max_pixels=60_000).pixels.shape == (300, 200)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 2**20, 2**20, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(bomb)
    assert reason_of(tmp_path / "a.png")


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0.0, np.nan]], np.float32))
    assert "not finite" in reason_of(tmp_path / "a.tif")


def _seed_files() -> list[bytes]:
    files = [png_bytes(DEEP_HWC, 2)]
    for kind, image in {
        "PNG": Image.fromarray(RAMP_HW).convert("P"),
        "JPEG": Image.fromarray(COLOR_HWC),
        "GIF": Image.fromarray(RAMP_HW),
        "BMP": Image.fromarray(COLOR_HWC),
        "TIFF": Image.fromarray(COLOR_HWC),
        "WEBP": Image.fromarray(COLOR_HWC),
    }.items():
        buffer = io.BytesIO()
        image.save(buffer, format=kind)
        files.append(buffer.getvalue())
    for compression in (None, "zlib", "lzw"):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, DEEP_HWC, photometric="rgb", compression=compression)
        files.append(buffer.getvalue())
    return files


SEED_FILES = _seed_files()


@settings(max_examples=250, deadline=None, derandomize=True)
@given(
    which=st.integers(0, len(SEED_FILES) - 1),
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_bytes_give_pixels_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, which: int, damage: list[tuple[float, int]]
) -> None:
    data = bytearray(SEED_FILES[which])
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)
    with contextlib.suppress(ImageError):
        assert read_image(path, max_pixels=100_000).pixels.dtype in (np.uint8, np.uint16, np.float32)


# Masks


def test_every_pixel_of_a_mask_that_is_not_black_counts(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1, 255]], np.uint8)).save(tmp_path / "a.png")
    mask = read_mask(tmp_path / "a.png")
    assert (mask.tolist(), mask.dtype) == ([[0, 1, 1]], np.uint8)


def test_a_colored_mask_counts_where_any_color_is(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[0, 0, 0], [0, 0, 9]]], np.uint8)).save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").tolist() == [[0, 1]]


def test_shades_of_jpeg_beside_an_edge_do_not_count(tmp_path: Path) -> None:
    drawn = np.zeros((32, 32), np.uint8)
    drawn[9:21, 9:21] = 255
    Image.fromarray(drawn).save(tmp_path / "a.jpg", quality=60)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.jpg"), drawn // 255)


# Real files of unusual kind

ODD_IMAGES = {
    "16bit.cropped.tif": ((64, 64), "uint16", "gray", (291, 694)),
    "hopper_gray.jpg": ((128, 128), "uint8", "gray", (0, 255)),
    "hopper_orientation_3.jpg": ((128, 128, 3), "uint8", "rgb", (0, 255)),
    "hopper_orientation_6.jpg": ((128, 128, 3), "uint8", "rgb", (0, 255)),
    "i_trns.png": ((64, 64), "uint16", "gray", (0, 255)),
    "microscopy_uint16_ADSAStaphInfection2_A01.tif": ((463, 461), "uint16", "gray", (1976, 65279)),
    "microscopy_uint8_packbits_AS_09125_D03f00d0.tif": ((512, 512), "uint8", "gray", (7, 255)),
    "mr_12bit_as_uint16.png": ((384, 384), "uint16", "gray", (0, 2362)),
    "multipage.tiff": ((10, 10, 3), "uint8", "rgb", (0, 128)),
    "p_16.png": ((128, 128, 3), "uint8", "rgb", (0, 255)),
    "pil_sample_cmyk.jpg": ((100, 100, 3), "uint8", "rgb", (1, 255)),
    "tiff_16bit_RGB.tiff": ((40, 100, 3), "uint16", "rgb", (0, 39661)),
    "tiff_strip_planar_16bit_RGB.tiff": ((40, 100, 3), "uint16", "rgb", (0, 39661)),
    "uncompressed_la.png": ((128, 128), "uint8", "gray", (0, 255)),
}
BROKEN_IMAGES = {
    "broken.png": "not an image of a known kind",
    "truncated_image.png": "the file is cut off",
    "truncated_jpeg.jpg": "the file is cut off",
}


@pytest.fixture
def odd_images() -> Path:
    if not os.environ.get("SCANLENS_TEST_DATA"):
        pytest.skip("SCANLENS_TEST_DATA is not set")
    return Path(os.environ["SCANLENS_TEST_DATA"]) / "odd-images"


@pytest.mark.parametrize("name", ODD_IMAGES)
def test_odd_image_is_read_as_it_is(odd_images: Path, name: str) -> None:
    raw = read_image(odd_images / name)
    found = (raw.pixels.shape, raw.pixels.dtype.name, raw.color, (raw.pixels.min(), raw.pixels.max()))
    assert found == ODD_IMAGES[name]


@pytest.mark.parametrize("name", BROKEN_IMAGES)
def test_broken_image_is_refused_with_its_reason(odd_images: Path, name: str) -> None:
    assert BROKEN_IMAGES[name] in reason_of(odd_images / name)


def test_every_odd_image_is_expected(odd_images: Path) -> None:
    here = {path.name for path in odd_images.iterdir()} - {"README.md", "SHA256SUMS"}
    assert here == {*ODD_IMAGES, *BROKEN_IMAGES}


def test_planar_and_chunky_copies_of_one_picture_are_equal(odd_images: Path) -> None:
    chunky, planar = (read_image(odd_images / f"tiff_{kind}16bit_RGB.tiff").pixels for kind in ("", "strip_planar_"))
    np.testing.assert_array_equal(chunky, planar)
