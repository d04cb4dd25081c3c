"""What a map lies on: the original picture, or the network's input, and where pixels of the network lie on it.

Legend: H rows, W columns of the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scanlens.report.case_sheet.arrays import MapArrays
from scanlens.report.cases import data_uri, picture_pixels
from scanlens.report.folder import mapping
from scanlens.report.pictures import scan_pixels

PREVIEW_SIDE = 384  # of the original below a map; alone it is shown in full


@dataclass(frozen=True, slots=True)
class Ground:
    """A picture that maps are drawn on.

    Args:
        whole: the picture as a data URI.
        below: the same, reduced, to be laid below maps.
        height, width: in units of the drawing: pixels of the picture.
        box_hwyx: rows, columns, first row and first column of the network's input that the picture takes.
        mm_per_unit: None if unknown.
        px_per_unit: pixels of the file, of those along its rows, in one unit.
        sides: letters at the edges; None if unknown.
    """

    whole: str
    below: str
    height: float
    width: float
    box_hwyx: tuple[float, float, float, float]
    mm_per_unit: float | None
    px_per_unit: float
    sides: dict[str, str] | None

    def xy(self, x: float, y: float) -> tuple[float, float]:
        """A place of the network's input, with the first pixel from 0 to 1, on this picture."""
        rows, columns, top, left = self.box_hwyx
        return (x - left) * self.width / columns, (y - top) * self.height / rows

    def size(self, rows: float, columns: float) -> tuple[float, float]:
        """Height and width on this picture of so many pixels of the network's input."""
        return rows * self.height / self.box_hwyx[0], columns * self.width / self.box_hwyx[1]

    def cut(self, values: np.ndarray) -> np.ndarray:
        """What lies on the picture of an array (H, W, ...)."""
        rows, columns, top, left = (round(one) for one in self.box_hwyx)
        return values[top : top + rows, left : left + columns]


def original_ground(folder: Path, image: dict[str, Any]) -> Ground | None:
    """The original of a case; None where the run has none.

    Args:
        folder: explanations of the run.
        image: of the record.

    Raises:
        RunError: if its file is no PNG of a sensible size.
    """
    found, place = mapping(image.get("original")), image.get("place_hwyx")
    pixels = picture_pixels(folder, found.get("file")) if found and place else None
    if pixels is None or place is None:
        return None
    height, width = (round(side) for side in found["size_px"])
    if pixels.height < height or pixels.width < width:
        return None
    shown = pixels.crop((0, 0, width, height))
    columns_px = (image["native_size_px"] or (height, width))[1]
    spacing = image["spacing_mm"]
    return Ground(
        whole=data_uri(shown),
        below=data_uri(_preview(shown), is_preview=True),
        height=height,
        width=width,
        box_hwyx=(place[0], place[1], place[2], place[3]),
        mm_per_unit=None if spacing is None else spacing[1] * columns_px / width,
        px_per_unit=columns_px / width,
        sides=image["sides"],
    )


def network_ground(arrays: MapArrays, image: dict[str, Any]) -> Ground:
    """The network's input of a case."""
    height, width = arrays.map_HW.shape
    uri, mm = data_uri(Image.fromarray(scan_pixels(arrays.scan))), image.get("mm_per_px")
    return Ground(
        whole=uri,
        below=uri,
        height=height,
        width=width,
        box_hwyx=(height, width, 0, 0),
        mm_per_unit=float(mm[1]) if isinstance(mm, list) else None,
        px_per_unit=1.0,
        sides=image["sides"],
    )


def edges_in_words(sides: dict[str, str] | None) -> str | None:
    """ "R left, L right, A above, P below"; None if unknown."""
    places = (("left", "left"), ("right", "right"), ("top", "above"), ("bottom", "below"))
    return None if sides is None else ", ".join(f"{sides[edge]} {word}" for edge, word in places)


def _preview(shown: Image.Image) -> Image.Image:
    small = shown.copy()
    small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    return small
