"""Rows of small pictures side by side, for looking at what an audit found.

Equal arrays give equal bytes, no picture holds metadata, and the notice lies below each. Axes: H, W pixels; C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scanlens.report.pictures import finished_png

TILE = 96
GAP = 4
GROUND = 40  # gray between tiles, of 255
_MARK = (213, 94, 0)


def row_png(images: Sequence[NDArray[np.floating]], path: Path) -> None:
    """Write pictures side by side, each enlarged or reduced to a square of 96 pixels.

    Args:
        images: (C, H, W) in [0, 1]; of one channel gray, of three red, green and blue, of others the first.
        path: of the PNG.

    Raises:
        ValueError: if there are none.
    """
    if not images:
        raise ValueError("at least one picture is expected")
    sheet = np.full((TILE, len(images) * (TILE + GAP) - GAP, 3), GROUND, np.uint8)
    for place, one in enumerate(images):
        left = place * (TILE + GAP)
        sheet[:, left : left + TILE] = _tile(one)
    finished_png(sheet, path)


def marked_png(image_CHW: NDArray[np.floating], mask_HW: NDArray[np.bool_], path: Path) -> None:
    """Write one picture of 96 x 96 pixels with a region in orange, seen through.

    Args:
        image_CHW: as in `row_png`.
        mask_HW: the region.
        path: of the PNG.
    """
    region = Image.fromarray(mask_HW).resize((TILE, TILE), Image.Resampling.NEAREST)
    tinted = _tile(image_CHW).astype(np.float64)
    tinted[np.asarray(region)] = 0.5 * tinted[np.asarray(region)] + 0.5 * np.array(_MARK)
    finished_png(np.rint(tinted).astype(np.uint8), path)


def _tile(image_CHW: NDArray[np.floating]) -> NDArray[np.uint8]:
    shown = image_CHW if image_CHW.shape[0] == 3 else np.repeat(image_CHW[:1], 3, axis=0)
    pixels = np.rint(np.clip(np.moveaxis(shown, 0, -1), 0, 1) * 255).astype(np.uint8)
    return np.asarray(Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.BICUBIC))
