"""One volume cut into the slices that are kept, each with the orientation, spacing and window of its volume.

How a slice is shown (the radiological convention):

| axis | index grows toward | first row | last row | first column | last column |
|---|---|---|---|---|---|
| axial | superior | anterior | posterior | patient's right | patient's left |
| coronal | anterior | superior | inferior | patient's right | patient's left |
| sagittal | patient's right | superior | inferior | anterior | posterior |

so the patient's right is on the viewer's left of axial and coronal slices.

Legend of axes: X right, Y anterior, Z superior; H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scanlens.data.image_io import MAX_PIXELS
from scanlens.data.sides import sides_of
from scanlens.data.volumes import MAX_VOXELS, VolumeHeader, content_shares, read_header, read_voxels, robust_window
from scanlens.errors import ConfigError, ImageError, did_you_mean
from scanlens.types import RawImage, Sides

Axis = Literal["axial", "coronal", "sagittal"]
_AXES = {"sagittal": 0, "coronal": 1, "axial": 2}  # place in (X, Y, Z)


@dataclass(frozen=True, slots=True)
class Volume:
    """Voxels (X, Y, Z) in RAS+ order, the window that all slices share, and what lies at the edges of a slice."""

    voxels: NDArray[Any]
    window: tuple[float, float]
    spacing_mm: tuple[float, float, float]
    sides: Sides | None = None


@dataclass(frozen=True, slots=True)
class Slices:
    """Slices of one volume.

    Args:
        kept: their indices.
        num_dropped: as empty.
        is_placed: whether the file says how it lies in space.
    """

    kept: list[int]
    num_dropped: int
    is_placed: bool


class VolumeSlicer:
    """Which slices of a volume are images, and what they look like; settings as `NiftiSource` explains them.

    Raises:
        ConfigError: names every setting that makes no sense.
    """

    def __init__(
        self,
        *,
        axis: Axis = "axial",
        every: int = 1,
        slice_range: Sequence[float] | None = None,
        min_content: float = 0.02,
        frame: int = 0,
        max_voxels: int = MAX_VOXELS,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._range = _checked_range(slice_range, axis=axis, every=every, min_content=min_content, frame=frame)
        self.axis_name, self.axis, self.min_content = axis, _AXES[axis], min_content
        self._every, self._frame, self._max_voxels, self._max_pixels = every, frame, max_voxels, max_pixels

    def header(self, path: Path, *, frame: int | None = None) -> VolumeHeader:
        """The header of one file, of a size that is allowed.

        Raises:
            ImageError: the file is no volume that can be read, or too large.
        """
        header = read_header(path, frame=self._frame if frame is None else frame, max_voxels=self._max_voxels)
        height, width = (length for place, length in enumerate(header.shape) if place != self.axis)
        if height * width > self._max_pixels:
            raise ImageError(f"its slices have {height} x {width} pixels, over the limit of {self._max_pixels}")
        return header

    def load(self, path: Path) -> Volume:
        """The voxels of one file.

        Raises:
            ImageError: as `header`, or the file is cut off or damaged.
        """
        return self._loaded(self.header(path))

    def slices(self, header: VolumeHeader, volume: Volume | None = None) -> Slices:
        """The slices that are kept; voxels are read only if `min_content` asks for it and `volume` does not bring them.

        Raises:
            ImageError: the file is cut off or damaged.
        """
        count = header.shape[self.axis]
        low, high = self._range
        inside = [index for index in range(count) if low <= (index + 0.5) / count <= high][:: self._every]
        if self.min_content <= 0 or not inside:
            return Slices(inside, 0, header.is_placed)
        volume = self._loaded(header) if volume is None else volume
        shares_N = content_shares(volume.voxels, volume.window, axis=self.axis)
        kept = [index for index in inside if shares_N[index] >= self.min_content]
        return Slices(kept, len(inside) - len(kept), header.is_placed)

    def image(self, volume: Volume, index: int) -> RawImage:
        """One slice (H, W) as the head of this module says, in the volume's own values.

        Its `value_range` is the window of the whole volume (`is_windowed`), its `spacing_mm` that of rows and columns.
        """
        column_mm, row_mm = (size for place, size in enumerate(volume.spacing_mm) if place != self.axis)
        pixels_HW = as_shown(volume.voxels, self.axis, index)
        return RawImage(pixels_HW, "gray", volume.window, (row_mm, column_mm), is_windowed=True, sides=volume.sides)

    def _loaded(self, header: VolumeHeader) -> Volume:
        voxels = read_voxels(header, frame=self._frame)
        return Volume(voxels, robust_window(voxels), header.spacing_mm, sides_of_slices(header, self.axis))


def as_shown(voxels: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """One slice (H, W) of a RAS+ volume (X, Y, Z) as the head of this module says; a copy."""
    plane = np.moveaxis(voxels, axis, 0)[index]  # (Y, Z), (X, Z) or (X, Y), each growing to right, front, up
    return np.ascontiguousarray(plane[::-1, ::-1].T)


def sides_of_slices(header: VolumeHeader, axis: int) -> Sides | None:
    """What lies at the edges of the slices along an axis (place in X, Y, Z), by the affine; None if the file has none."""
    if not header.is_placed:
        return None
    to_dicom = np.array([-1.0, -1.0, 1.0])  # left and back grow there
    across, down = ((-to_dicom * header.affine[:3, place]).tolist() for place in range(3) if place != axis)
    return sides_of(across, down)


def from_shown(plane_HW: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `as_shown`: the plane of a RAS+ volume, (Y, Z), (X, Z) or (X, Y), whose slice looks like this."""
    return plane_HW.T[::-1, ::-1]


def _checked_range(
    slice_range: Sequence[float] | None, *, axis: str, every: int, min_content: float, frame: int
) -> tuple[float, float]:
    """First and last share of the extent, after all settings of slices have been looked at."""
    low, high = (0.0, 1.0) if slice_range is None else (*map(float, slice_range), *(np.nan, np.nan))[:2]
    mistakes = []
    if axis not in _AXES:
        mistakes.append(
            f"data.axis: axial, coronal or sagittal is expected, '{axis}' came. {did_you_mean(axis, _AXES)}"
        )
    if every < 1:
        mistakes.append(f"data.every: at least 1 is expected, {every} came.")
    if not 0 <= low < high <= 1 or (slice_range is not None and len(slice_range) != 2):
        mistakes.append(f"data.slice_range: two rising shares in [0, 1] are expected, {slice_range} came.")
    if not 0 <= min_content <= 1:
        mistakes.append(f"data.min_content: a share in [0, 1] is expected, {min_content} came.")
    if frame < 0:
        mistakes.append(f"data.frame: 0 or more is expected, {frame} came.")
    if mistakes:
        raise ConfigError(mistakes)
    return low, high
