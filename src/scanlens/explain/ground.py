"""Where a picture shows something, and where it shows nothing: the empty ground around a head, a limb or a cell.

Taking a piece out of empty ground changes nothing, whatever a network does. Regions are therefore compared on ground of
the same kind.

Legend: C channels, H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, binary_fill_holes, gaussian_filter, label

_SMOOTH_PX = 1.0
_LEAST_TOLERANCE = 0.03  # of the range of the picture: steps of a JPEG, and noise too faint to be measured
_NOISE_FACTOR = 4.0
_LEAST_BORDER = 0.5  # of the border that has to look alike
_MOST_DETAIL = 0.04  # of the range of the picture: empty ground is nearly flat; tissue that fills the frame is not
_LEAST_SHARE = 0.05  # of the picture, for either kind of ground
_LEAST_TOGETHER = 0.9  # of what is shown, in large parts
_BLUR_PX = 1  # by which what is shown grows as it is blurred
_MARGIN_PX = 1


def body(image_CHW: NDArray[np.floating]) -> NDArray[np.bool_]:
    """True where the picture shows something; everywhere if there is no empty ground.

    Empty ground is flat, looks like most of the outermost pixels and hangs together with them: black around a head, white
    around tissue on a glass slide. A picture whose border shows many things (a field of cells) or texture (tissue that fills
    the frame), or whose ground takes less than 5 % or more than 95 %, has none.

    Args:
        image_CHW: finite values.

    Returns:
        body_HW.
    """
    gray_HW = np.asarray(image_CHW, dtype=np.float64).mean(axis=0)
    everything_HW = np.ones(gray_HW.shape, dtype=bool)
    smooth_HW = gaussian_filter(gray_HW, _SMOOTH_PX, mode="nearest")
    border, detail = _border(smooth_HW), _border(gray_HW - smooth_HW)
    level, extent = float(np.median(border)), float(np.ptp(smooth_HW))
    tolerance = max(_LEAST_TOLERANCE * extent, _NOISE_FACTOR * _spread(border))
    is_flat = _spread(detail) <= _MOST_DETAIL * extent
    if not is_flat or np.mean(np.abs(border - level) <= tolerance) < _LEAST_BORDER:
        return everything_HW
    ground_HW = _joined_to_border(np.abs(smooth_HW - level) <= tolerance)
    return ~ground_HW if _LEAST_SHARE <= ground_HW.mean() <= 1 - _LEAST_SHARE else everything_HW


def solid_body(image_CHW: NDArray[np.floating]) -> NDArray[np.bool_]:
    """The body alone, with its dark holes and without what stands beside it, such as writing; everywhere without empty ground.

    Of what the picture shows, those connected parts that are at least half as large as the largest one. Where they are less than
    nine tenths of it, the picture shows many things (cells of a smear) and no body.

    Args:
        image_CHW: finite values.

    Returns:
        body_HW.
    """
    shown_HW = body(image_CHW)
    parts_HW, _ = label(binary_fill_holes(shown_HW))
    sizes = np.bincount(parts_HW.ravel())
    sizes[0] = 0
    large_HW = np.isin(parts_HW, np.flatnonzero(sizes >= max(1, sizes.max() / 2)))
    if large_HW.sum() < _LEAST_TOGETHER * sizes.sum():
        return np.ones(shown_HW.shape, dtype=bool)
    return binary_erosion(large_HW, iterations=_BLUR_PX, border_value=1)


def outside_body(image_CHW: NDArray[np.floating]) -> NDArray[np.bool_]:
    """True on empty ground and on what stands alone in it, a pixel away from the body; nowhere without empty ground.

    Args:
        image_CHW: finite values.

    Returns:
        outside_HW.
    """
    return ~binary_dilation(solid_body(image_CHW), iterations=_BLUR_PX + _MARGIN_PX)


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation of the bulk, by the median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _border(plane_HW: NDArray) -> NDArray:
    return np.concatenate([plane_HW[0], plane_HW[-1], plane_HW[1:-1, 0], plane_HW[1:-1, -1]])


def _joined_to_border(alike_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    numbers_HW, _ = label(alike_HW)
    reached = np.unique(_border(numbers_HW))
    return np.isin(numbers_HW, reached[reached > 0])
