"""Images as people see them: windows, shapes in millimeters, and whether there may be text in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.dicom_scans import SC, write_scan
from scanlens.data.dicom_pixels import read_frame
from scanlens.data.display import displayed, in_shape, text_in_pixels
from scanlens.types import RawImage


def test_a_window_decides_what_is_dark_and_bright() -> None:
    pixels = np.array([[0, 100, 150, 200, 4000]], np.uint16)
    assert displayed(RawImage(pixels, "gray", (100, 200), is_windowed=True)).tolist() == [[0, 0, 128, 255, 255]]


def test_eight_bits_and_colors_are_shown_as_they_are() -> None:
    gray = np.array([[3, 250]], np.uint8)
    assert displayed(RawImage(gray, "gray", (0, 255))).tolist() == [[3, 250]]
    rgb = np.array([[[1, 2, 3]]], np.uint8)
    assert displayed(RawImage(rgb, "rgb", (0, 255))).tolist() == [[[1, 2, 3]]]


def test_twelve_bits_in_a_file_of_sixteen_are_not_shown_black() -> None:
    pixels = np.linspace(0, 4095, 10_000).astype(np.uint16).reshape(100, 100)
    shown = displayed(RawImage(pixels, "gray", (0, 65535)))
    assert (shown.min(), shown.max()) == (0, 255)
    assert shown[50, 0] == pytest.approx(128, abs=2)


@pytest.mark.parametrize(
    ("shape", "spacing", "most", "expected"),
    [
        ((30, 40), None, 100, (30, 40)),
        ((30, 40), (0.5, 0.5), 100, (30, 40)),
        ((30, 40), (2.0, 1.0), 100, (60, 40)),  # thick slices: rows are enlarged
        ((30, 40), (1.0, 2.0), 100, (30, 80)),
        ((300, 400), None, 100, (75, 100)),
        ((300, 400), (2.0, 1.0), 100, (100, 67)),
        ((1, 4000), None, 100, (1, 100)),
    ],
)
def test_shapes_are_those_in_millimeters_within_bounds(
    shape: tuple[int, int], spacing: Any, most: int, expected: tuple[int, int]
) -> None:
    pixels = np.arange(shape[0] * shape[1], dtype=np.uint64).reshape(shape).astype(np.uint8)
    found = in_shape(pixels, spacing, most=most)
    assert found.shape == expected
    assert (found is pixels) == (expected == shape)


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({}, ""),
        ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation is YES"),
        ({"BurnedInAnnotation": "NO", "Modality": "US"}, ""),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, "ImageType tells of a secondary image"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "SCREEN SAVE"]}, "or a screen"),
        ({"Modality": "US"}, "often carry text"),
        ({"SOPClassUID": SC}, "often carry text"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4"}, ""),
    ],
)
def test_text_in_the_pixels_is_suspected(tmp_path: Path, elements: dict[str, Any], why: str) -> None:
    found = text_in_pixels(read_frame(write_scan(tmp_path / "a.dcm", np.zeros((3, 4), np.uint16), **elements)))
    assert why in found
    assert bool(found) == bool(why)
