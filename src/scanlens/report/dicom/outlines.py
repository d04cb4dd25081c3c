"""Closed lines around a region, in the coordinates of DICOM graphics.

References:
    DICOM PS3.3 C.10.5.1.2 and C.18.6.1.1: 0 is the outer corner of the first pixel, so that its center is 0.5.

Legend of axes: H rows, W columns, N points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import approximate_polygon, find_contours

MAX_OUTLINES = 16
MAX_POINTS = 2000
_TOLERANCE = 0.1  # pixels


def outlines_of(
    cover_HW: NDArray[np.floating], *, level: float = 0.5, most: int = MAX_OUTLINES
) -> tuple[tuple[NDArray[np.float64], ...], int]:
    """Lines around what is above a level, the longest first, and how many more there would be.

    Args:
        cover_HW: such as the share of a pixel that a region covers; NaN counts as 0.
        level: of the lines.
        most: lines that are given.

    Returns:
        Each line (N, 2): x and y in pixels, closed, at most MAX_POINTS points, within [0, W] and [0, H].
    """
    height, width = cover_HW.shape
    padded = np.pad(np.nan_to_num(np.asarray(cover_HW, dtype=np.float64)), 1)
    lines = [_line(one, height, width) for one in find_contours(padded, level)]
    lines = [one for one in lines if len(one) >= 4]
    lines.sort(key=lambda one: -abs(area_of(one)))
    return tuple(lines[:most]), max(0, len(lines) - most)


def area_of(line_N2: NDArray[np.float64]) -> float:
    """Area inside a closed line, in square pixels."""
    x_N, y_N = line_N2.T
    return float(abs(np.dot(x_N[:-1], y_N[1:]) - np.dot(x_N[1:], y_N[:-1])) / 2)


def _line(points_N2: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    tolerance, fewer = _TOLERANCE, approximate_polygon(points_N2, _TOLERANCE)
    while len(fewer) > MAX_POINTS:
        tolerance *= 2
        fewer = approximate_polygon(points_N2, tolerance)
    xy_N2 = fewer[:, ::-1] - 1 + 0.5  # without the padding; from centers to corners
    xy_N2 = np.clip(xy_N2, 0, (width, height))
    return xy_N2 if len(xy_N2) and (xy_N2[0] == xy_N2[-1]).all() else np.concatenate([xy_N2, xy_N2[:1]])
