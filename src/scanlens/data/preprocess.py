"""From pixels as stored to float32 (C, size, size) in [0, 1]: deterministic, and part of the run.

Legend of axes: H rows, W columns, C channels.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scanlens.errors import ImageError
from scanlens.types import RawImage

LUMA_BT601 = np.array([0.299, 0.587, 0.114], dtype=np.float32)
MAX_NONFINITE_SHARE = 0.5
SQUARE_WITHIN = 0.01  # pixels that differ by less are square: headers round
MOST_STRETCH = 20.0  # a spacing beyond is a mistake of the header
LARGEST_VALUE = 1e37  # of float32, which ends at 3.4e38


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """Intensity, channels and size of every image, the same in training and at prediction.

    Args:
        size: rows and columns of the result in pixels; None lets the network choose.
        channels: 1 or 3 (gray is repeated, color is turned to luma, ITU-R BT.601); None keeps what the data have.
        intensity: how values become [0, 1]. "range" maps the range that the file's type can hold (microscopy, photographs
            of scans); "percentile" maps this image's own percentiles (MRI, whose units mean nothing); "minmax" its
            extremes; "auto" is "range" for 8-bit files, color and images that bring a window (DICOM, slices of a volume),
            "percentile" for everything else.
        lower_percentile: becomes 0 under "percentile", in [0, 100).
        upper_percentile: becomes 1 under "percentile"; what lies beyond is clipped.
        keeps_aspect: pad to a square with zeros rather than stretch. Where the spacing of pixels is known, it is the
            shape in millimeters that is kept, so that thick slices of a reformatted volume do not look squashed.
    """

    size: int | None = None
    channels: int | None = None
    intensity: Literal["auto", "range", "percentile", "minmax"] = "auto"
    lower_percentile: float = 0.5
    upper_percentile: float = 99.5
    keeps_aspect: bool = True

    def __post_init__(self) -> None:
        if self.size is not None and not 8 <= self.size <= 4096:
            raise ValueError(f"preprocess.size must lie between 8 and 4096 pixels, got {self.size}.")
        if self.channels is not None and not 1 <= self.channels <= 64:
            raise ValueError(
                f"preprocess.channels must lie between 1 and 64, got {self.channels}. Use 1 for gray, 3 for color."
            )
        if not 0 <= self.lower_percentile < self.upper_percentile <= 100:
            raise ValueError(
                "preprocess: expected 0 <= lower_percentile < upper_percentile <= 100, got "
                f"{self.lower_percentile} and {self.upper_percentile}."
            )

    def resolved(self, *, size: int, channels: int) -> Preprocess:
        """The same with nothing left to choose."""
        return dataclasses.replace(self, size=self.size or size, channels=self.channels or channels)

    def settings(self) -> dict[str, Any]:
        """All settings as plain values."""
        return dataclasses.asdict(self)

    def __call__(self, image: RawImage) -> NDArray[np.float32]:
        """The image as (C, size, size) float32 in [0, 1].

        Raises:
            ImageError: if there is nothing in it that can be used.
        """
        scaled_HWC = self._scaled(image)
        chosen_HWC = _with_channels(scaled_HWC, self.channels)
        size = self._known_size()
        resized = [
            _resized(chosen_HWC[..., c], size, stretch=self._stretch(image.spacing_mm))
            for c in range(chosen_HWC.shape[2])
        ]
        return np.clip(np.stack(resized), 0.0, 1.0)

    def mask(self, mask_HW: NDArray[np.uint8], *, spacing_mm: tuple[float, float] | None = None) -> NDArray[np.uint8]:
        """A mask of zeros and ones in the geometry of the image; a cell is set if half of it or more is covered.

        A lesion too small for that keeps the pixel it covers most, so that none disappears.
        """
        is_inside = (mask_HW > 0).astype(np.float32)
        cover = _resized(is_inside, self._known_size(), stretch=self._stretch(spacing_mm), box=True)
        placed = cover >= 0.5
        if not placed.any() and (mask_HW > 0).any():
            placed = cover >= cover.max()
        return placed.astype(np.uint8)

    def place_of(
        self, shape_hw: tuple[int, int], *, spacing_mm: tuple[float, float] | None = None
    ) -> tuple[int, int, int, int]:
        """Rows, columns, first row and first column that an image takes of the square; the rest is padding.

        Args:
            shape_hw: rows and columns of the image before.
            spacing_mm: of its pixels.
        """
        return _inner(shape_hw, self._known_size(), self._stretch(spacing_mm))

    def pixel_mm(self, shape_hw: tuple[int, int], spacing_mm: tuple[float, float]) -> tuple[float, float]:
        """Height and width in millimeters of a pixel of the result, for an image of so many rows and columns.

        Args:
            shape_hw: rows and columns of the image before.
            spacing_mm: (row, column) distance of its pixel centers, above 0.
        """
        rows, columns, _, _ = self.place_of(shape_hw, spacing_mm=spacing_mm)
        return shape_hw[0] * spacing_mm[0] / rows, shape_hw[1] * spacing_mm[1] / columns

    def placed_back(
        self, map_SS: NDArray[np.float32], *, shape_hw: tuple[int, int], spacing_mm: tuple[float, float] | None = None
    ) -> NDArray[np.float32]:
        """A map of the network's image in the pixels of the image that it came from, (H, W): bilinear, NaN stays NaN.

        Args:
            map_SS: of the size of the result of this preprocessing; NaN where it says nothing.
            shape_hw: rows and columns of the image before.
            spacing_mm: of its pixels.
        """
        new_h, new_w, top, left = self.place_of(shape_hw, spacing_mm=spacing_mm)
        inner = map_SS[top : top + new_h, left : left + new_w]
        is_known = np.isfinite(inner)
        weight_HW = _enlarged(is_known.astype(np.float32), shape_hw)
        summed_HW = _enlarged(np.where(is_known, inner, np.float32(0)), shape_hw)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(weight_HW >= 0.5, summed_HW / weight_HW, np.float32(np.nan)).astype(np.float32)

    def _stretch(self, spacing_mm: tuple[float, float] | None) -> float | None:
        """Height of a pixel over its width; None to fill the square."""
        return stretch_of(spacing_mm) if self.keeps_aspect else None

    def _known_size(self) -> int:
        if self.size is None:
            raise ValueError("preprocess.size is not settled; call resolved(size=..., channels=...) first")
        return self.size

    def _scaled(self, image: RawImage) -> NDArray[np.float32]:
        """(H, W, C) in [0, 1]; sequences that are no colors are scaled each by itself."""
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is treated as such below
            pixels = image.pixels.astype(np.float32)
        pixels_HWC = pixels[..., None] if pixels.ndim == 2 else pixels
        if min(pixels_HWC.shape) < 1:
            raise ImageError(f"expected at least one pixel, got an image of shape {image.pixels.shape}")
        pixels_HWC = filled(pixels_HWC)
        kind = self._intensity_for(image)
        if kind == "range":
            return _mapped(pixels_HWC, *image.value_range)
        if image.color == "rgb":
            return _mapped(pixels_HWC, *self._limits(pixels_HWC, kind))
        each = [_mapped(one, *self._limits(one, kind)) for one in np.moveaxis(pixels_HWC, -1, 0)]
        return np.stack(each, axis=-1)

    def _intensity_for(self, image: RawImage) -> str:
        if self.intensity != "auto":
            return self.intensity
        has_range = image.is_windowed or image.pixels.dtype in (np.uint8, np.bool_) or image.color == "rgb"
        return "range" if has_range else "percentile"

    def _limits(self, values: NDArray[np.float32], kind: str) -> tuple[float, float]:
        if kind == "minmax":
            return float(values.min()), float(values.max())
        low, high = np.percentile(values, [self.lower_percentile, self.upper_percentile])
        if high <= low:  # most of the picture is background of one value
            return float(values.min()), float(values.max())
        return float(low), float(high)


def stretch_of(spacing_mm: tuple[float, float] | None) -> float:
    """Height of a pixel over its width; 1 where the spacing is unknown, a mistake of the header, or square up to rounding."""
    is_usable = spacing_mm is not None and all(np.isfinite(side) and side > 0 for side in spacing_mm)
    if spacing_mm is None or not is_usable:
        return 1.0
    ratio = spacing_mm[0] / spacing_mm[1]
    is_square = abs(ratio - 1) < SQUARE_WITHIN
    return 1.0 if is_square or not 1 / MOST_STRETCH <= ratio <= MOST_STRETCH else ratio


def filled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels (any shape) in which NaN, infinities and numbers whose difference may be infinite give way to the darkest one.

    Raises:
        ImageError: if more than half of the pixels are so.
    """
    is_finite = np.abs(values) < LARGEST_VALUE  # False for NaN
    if is_finite.all():
        return values
    share = 1.0 - float(is_finite.mean())
    if share > MAX_NONFINITE_SHARE:
        raise ImageError(
            f"{share:.0%} of the pixels are NaN or infinite; at most {MAX_NONFINITE_SHARE:.0%} can be filled"
        )
    return np.where(is_finite, values, np.float32(values[is_finite].min()))


def _mapped(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Linear from low..high to 0..1, clipped; a constant image becomes zero."""
    if high <= low:
        return np.zeros_like(values)
    return np.clip((values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)


def _with_channels(image_HWC: NDArray[np.float32], channels: int | None) -> NDArray[np.float32]:
    have = image_HWC.shape[2]
    if channels is None or channels == have:
        return image_HWC
    if have == 1:
        return np.repeat(image_HWC, channels, axis=2)
    if channels == 1:
        weights = LUMA_BT601 if have == 3 else np.full(have, 1 / have, dtype=np.float32)
        return (image_HWC @ weights)[..., None]
    raise ImageError(f"expected {channels} channels, got {have}; only gray can be repeated")


def _resized(
    plane_HW: NDArray[np.float32], size: int, *, stretch: float | None, box: bool = False
) -> NDArray[np.float32]:
    """Antialiased when shrinking, in float throughout, so that 16 bits stay 16 bits.

    Args:
        plane_HW: one channel.
        size: of the square.
        stretch: height of a pixel over its width; the rest of the square is zero. None fills it.
        box: average areas, for masks, instead of interpolating.
    """
    height, width = plane_HW.shape
    new_h, new_w, top, left = _inner((height, width), size, stretch)
    resized = plane_HW
    if (new_h, new_w) != (height, width):
        method = Image.Resampling.BOX if box else Image.Resampling.BICUBIC
        resized = np.asarray(Image.fromarray(np.ascontiguousarray(plane_HW)).resize((new_w, new_h), method))
    if (new_h, new_w) == (size, size):
        return resized
    padded = np.zeros((size, size), dtype=np.float32)
    padded[top : top + new_h, left : left + new_w] = resized
    return padded


def _inner(shape_hw: tuple[int, int], size: int, stretch: float | None) -> tuple[int, int, int, int]:
    """Rows, columns, first row and first column that the image takes of the square; the rest is padding."""
    if stretch is None:
        return size, size, 0, 0
    height, width = shape_hw
    scale = size / max(height * stretch, width)
    new_h, new_w = max(1, round(height * stretch * scale)), max(1, round(width * scale))
    return new_h, new_w, (size - new_h) // 2, (size - new_w) // 2


def _enlarged(plane_hw: NDArray[np.float32], shape_hw: tuple[int, int]) -> NDArray[np.float32]:
    image = Image.fromarray(np.ascontiguousarray(plane_hw))
    return np.asarray(image.resize((shape_hw[1], shape_hw[0]), Image.Resampling.BILINEAR))
