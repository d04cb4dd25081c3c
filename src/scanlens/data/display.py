"""An image as it is shown to people: in its own window, 8 bits, and whether there may be text in it.

Legend of axes: H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scanlens.data.burnt_in_text import MIN_MARKS, num_text_marks
from scanlens.data.preprocess import LUMA_BT601, stretch_of
from scanlens.types import RawImage

_PERCENTILES = (0.5, 99.5)


def displayed(raw: RawImage) -> NDArray[np.uint8]:
    """The image in its window, (H, W) or (H, W, 3); without one, in what its type can hold (8 bits, color) or percentiles 0.5 to 99.5."""
    values = raw.pixels.astype(np.float32)
    if values.ndim == 3:
        values = values[..., :3] if values.shape[2] >= 3 else values[..., 0]
    low, high = raw.value_range if has_own_range(raw) else _percentiles(values)
    share = np.clip((np.nan_to_num(values) - low) / max(high - low, 1e-12), 0, 1)
    return np.rint(255 * share).astype(np.uint8)


def has_own_range(raw: RawImage) -> bool:
    """Whether dark and bright are settled by the image itself, and not by percentiles of its values."""
    return raw.is_windowed or raw.color == "rgb" or raw.pixels.dtype in (np.uint8, np.bool_)


def in_shape(pixels: NDArray[np.uint8], spacing_mm: tuple[float, float] | None, *, most: int) -> NDArray[np.uint8]:
    """A displayed image with square pixels, no longer than `most` on its longest side; untouched where it is so already.

    Args:
        pixels: (H, W) or (H, W, 3).
        spacing_mm: (row, column) distance of pixel centers. The axis with the larger one is enlarged, so that no pixel is lost.
        most: pixels of the longest side.
    """
    height, width = pixels.shape[:2]
    stretch = stretch_of(spacing_mm)
    tall, wide = height * max(stretch, 1.0), width / min(stretch, 1.0)
    factor = min(1.0, most / max(tall, wide))
    size = max(1, round(wide * factor)), max(1, round(tall * factor))
    if size == (width, height):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def text_in_pixels(raw: RawImage) -> str:
    """Why there may be text in the pixels; "" where neither the header nor the picture speaks for it."""
    if raw.burnt_in:
        return raw.burnt_in
    shown = displayed(raw)
    gray = shown if shown.ndim == 2 else shown @ LUMA_BT601
    marks = num_text_marks(gray.astype(np.float32))
    return f"the picture has {marks} marks that look like letters" if marks >= MIN_MARKS else ""


def _percentiles(values: NDArray[np.float32]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = (float(one) for one in np.percentile(finite, _PERCENTILES))
    return (low, high) if high > low else (float(finite.min()), float(finite.max()))
