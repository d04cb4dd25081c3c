"""Correlation of thumbnails, also of one that was turned or mirrored.

A square has eight such transformations (the dihedral group): four turns, each mirrored or not.

Legend of axes: N images, H rows, W columns (as many as rows), D = H * W pixels, P pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAME, MIRRORED = 0, 1
TRANSFORMATIONS = (
    "same",
    "mirrored",  # left to right
    "rotated 90",  # counterclockwise, as all of these
    "rotated 180",
    "rotated 270",
    "mirrored, rotated 90",
    "mirrored, rotated 180",  # upside down, mirrored top to bottom
    "mirrored, rotated 270",
)
_MIRRORED_FIRST = (False, True, False, False, False, True, True, True)
_QUARTER_TURNS = (0, 0, 1, 2, 3, 1, 2, 3)


def transformed(thumbs_NHW: NDArray[np.float32], transformation: int) -> NDArray[np.float32]:
    """The same pictures mirrored, then turned, as the entry of `TRANSFORMATIONS` with this number says."""
    seen = thumbs_NHW[:, :, ::-1] if _MIRRORED_FIRST[transformation] else thumbs_NHW
    return np.rot90(seen, _QUARTER_TURNS[transformation], axes=(1, 2))


def standardized(thumbs_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flattened (N, D), mean 0 and length 1, so that a dot product is a correlation; zeros where nothing varies."""
    flat_ND = thumbs_NHW.reshape(len(thumbs_NHW), int(np.prod(thumbs_NHW.shape[1:]))).astype(np.float32)
    flat_ND -= flat_ND.mean(axis=1, keepdims=True)
    length_N1 = np.linalg.norm(flat_ND, axis=1, keepdims=True)
    flat_ND *= np.where(length_N1 > 1e-6, 1 / np.maximum(length_N1, 1e-6), 0).astype(np.float32)
    return flat_ND


def correlations(
    thumbs_NHW: NDArray[np.float32],
    rows_R: NDArray[np.int64],
    columns_C: NDArray[np.int64],
    transformation: int = SAME,
) -> NDArray[np.float32]:
    """Correlations (R, C) of images that were transformed with images that were not; only these are read.

    Args:
        thumbs_NHW: thumbnails, in memory or mapped.
        rows_R: numbers of the images that are transformed.
        columns_C: numbers of the images that they are compared with.
        transformation: place in `TRANSFORMATIONS`.
    """
    units_RD = standardized(transformed(np.asarray(thumbs_NHW[rows_R]), transformation))
    return units_RD @ standardized(np.asarray(thumbs_NHW[columns_C])).T
