"""Maps of slices as one NIfTI volume on the voxels of the volume they explain, so that any viewer lays it over the scan.

Legend of axes: X right, Y anterior, Z superior; H rows, W columns of a slice as it is shown.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Image
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from scanlens.data.volume_slices import from_shown
from scanlens.data.volumes import VolumeHeader
from scanlens.files import write_bytes

MAX_OVERLAY_VOXELS = 128_000_000  # half a GiB of float32
_RAS = axcodes2ornt(("R", "A", "S"))


class VolumeOverlay:
    """Collects maps of slices; what no map speaks of stays NaN.

    A volume that does not say how it lies in space gives a map that does not either: viewers then place both alike.

    Args:
        header: of the volume.
        axis: place in (X, Y, Z) along which it was cut.

    Raises:
        ValueError: if the volume has more than `MAX_OVERLAY_VOXELS` voxels.
    """

    def __init__(self, header: VolumeHeader, *, axis: int) -> None:
        if np.prod(header.shape) > MAX_OVERLAY_VOXELS:
            raise ValueError(
                f"a map of {' x '.join(map(str, header.shape))} voxels is over the limit of {MAX_OVERLAY_VOXELS}"
            )
        self._header, self._axis = header, axis
        self._voxels = np.full(header.shape, np.nan, dtype=np.float32)

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Rows and columns of a slice as it is shown."""
        width, height = (length for place, length in enumerate(self._header.shape) if place != self._axis)
        return height, width

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Of rows and columns of a slice as it is shown."""
        column_mm, row_mm = (size for place, size in enumerate(self._header.spacing_mm) if place != self._axis)
        return row_mm, column_mm

    def put(self, index: int, map_HW: NDArray[np.float32]) -> None:
        """The map of one slice, in its own pixels (see `Preprocess.placed_back`)."""
        np.moveaxis(self._voxels, self._axis, 0)[index] = from_shown(map_HW)

    def write(self, path: Path, *, about: str) -> None:
        """One .nii.gz: float32, the orientation, affine and codes of the volume. Equal maps give equal bytes.

        Args:
            path: ends with .nii.gz.
            about: for the header's description, at most 79 characters of ASCII.
        """
        stored = self._header.header
        affine = stored.get_best_affine()
        back = ornt_transform(_RAS, io_orientation(affine))
        image = Nifti1Image(apply_orientation(self._voxels, back).astype(np.float32), affine)
        image.header.set_xyzt_units("mm")
        image.header.set_intent("estimate", name="log-odds")
        image.header["descrip"] = about.encode("ascii", "replace")[:79]
        image.set_qform(stored.get_qform(coded=True)[0], int(stored["qform_code"]))
        image.set_sform(stored.get_sform(coded=True)[0], int(stored["sform_code"]))
        write_bytes(path, _zipped(image.to_bytes()))


def _zipped(content: bytes) -> bytes:
    import gzip

    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as stream:
        stream.write(content)
    return buffer.getvalue()
