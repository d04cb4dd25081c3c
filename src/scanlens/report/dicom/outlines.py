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
_MOST_RAW_POINTS = 4000
_TOLERANCE = 0.1  # pixels


def outlines_of(
    cover_HW: NDArray[np.floating], *, level: float = 0.5, most: int = MAX_OUTLINES
) -> tuple[tuple[NDArray[np.float64], ...], int]:
    """Lines around what is above a level, the largest first, and how many more there would be.

    Args:
        cover_HW: such as the share of a pixel that a region covers; NaN counts as 0.
        level: of the lines.
        most: lines that are given.

    Returns:
        Each line (N, 2): x and y in pixels, closed, at most MAX_POINTS points, within [0, W] and [0, H].
    """
    height, width = cover_HW.shape
    padded = np.pad(np.nan_to_num(np.asarray(cover_HW, dtype=np.float64)), 1)
    found = sorted(find_contours(padded, level), key=lambda one: -area_of(one))
    lines = [_line(one, height, width) for one in found[:most]]
    return tuple(one for one in lines if len(one) >= 4), max(0, len(found) - most)


def area_of(line_N2: NDArray[np.float64]) -> float:
    """Area inside a closed line, in square pixels."""
    x_N, y_N = line_N2.T
    return float(abs(np.dot(x_N[:-1], y_N[1:]) - np.dot(x_N[1:], y_N[:-1])) / 2)


def _line(points_N2: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    step = -(-len(points_N2) // _MOST_RAW_POINTS)  # simplifying takes time as the square of the number
    thinned = np.concatenate([points_N2[:-1:step], points_N2[-1:]])
    tolerance, fewer = _TOLERANCE, approximate_polygon(thinned, _TOLERANCE)
    while len(fewer) > MAX_POINTS:
        tolerance *= 4
        fewer = approximate_polygon(fewer, tolerance)
    xy_N2 = np.clip(fewer[:, ::-1] - 1 + 0.5, 0, (width, height))  # without the padding; from centers to corners
    is_closed = len(xy_N2) > 0 and bool((xy_N2[0] == xy_N2[-1]).all())
    return xy_N2 if is_closed else np.concatenate([xy_N2, xy_N2[:1]])
