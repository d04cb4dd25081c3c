"""Facts noted at decoding, against values worked out by hand."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from scanlens.data.image_facts import FACTS, FILE_KINDS, FILE_MODES, image_facts, pixel_hash
from scanlens.data.image_io import read_image
from scanlens.types import RawImage


def named(row: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(FACTS, row.tolist(), strict=True))


def test_facts_of_pixels_by_hand() -> None:
    pixels = np.zeros((4, 5), np.uint8)
    pixels[1:3, 1:4] = 255  # 6 of 20 pixels, none in the outermost ring
    pixels[0, 0] = 51
    found = named(image_facts(RawImage(pixels, "gray", (0, 255), spacing_mm=(0.5, 0.7)), "no such file"))
    assert (found["height"], found["width"], found["channels"], found["bits"]) == (4, 5, 1, 8)
    assert found["low"] == 0
    assert found["high"] == 1
    assert found["mean"] == pytest.approx((6 + 0.2) / 20)
    assert found["border_mean"] == pytest.approx(0.2 / 14)
    assert found["border_spread"] == pytest.approx(np.std([0.2] + [0.0] * 13))
    assert found["spacing_mm"] == 0.5
    assert np.isnan(found["file_bytes"])


@pytest.mark.parametrize("quality", [30, 75, 92])
def test_facts_of_the_file(tmp_path: Path, quality: int) -> None:
    file = tmp_path / "a.jpg"
    Image.fromarray(np.arange(64 * 32, dtype=np.uint8).reshape(64, 32)).save(file, quality=quality)
    found = named(image_facts(read_image(file), str(file)))
    assert found["file_bytes"] == file.stat().st_size
    assert FILE_KINDS[int(found["file_kind"])] == "JPEG"
    assert FILE_MODES[int(found["file_mode"])] == "L"
    assert found["jpeg_quality"] == quality


def test_equal_pixels_have_one_hash_however_they_are_saved(tmp_path: Path) -> None:
    gray_HW = np.random.default_rng(1).integers(0, 256, (20, 30), dtype=np.uint8)
    Image.fromarray(gray_HW).save(tmp_path / "a.png")
    Image.fromarray(gray_HW).convert("RGB").save(tmp_path / "b.tiff", compression="tiff_lzw")
    a, b = (read_image(tmp_path / name, color="rgb") for name in ("a.png", "b.tiff"))
    assert pixel_hash(a) == pixel_hash(b) == pixel_hash(RawImage(gray_HW[..., None], "channels", (0, 255)))
    assert pixel_hash(a) != pixel_hash(RawImage(gray_HW.T.copy(), "gray", (0, 255)))
    assert pixel_hash(RawImage(gray_HW.reshape(30, 20), "gray", (0, 255))) != pixel_hash(a)


def test_a_file_whose_header_cannot_be_read_has_a_size_only(tmp_path: Path) -> None:
    file = tmp_path / "a.raw"
    file.write_bytes(io.BytesIO(b"nothing known").getvalue())
    found = named(image_facts(RawImage(np.ones((2, 2), np.uint16), "gray", (0, 65535)), str(file)))
    assert found["file_bytes"] == 13
    assert np.isnan(found["jpeg_quality"])
    assert np.isnan(found["file_mode"])
