"""Letters, marks and scale bars burnt into a picture, counted without reading them.

A mark is a small connected patch near the brightest value of the picture, as tall as a letter, with dark above and below.
Marks of about one height side by side are a line of text; it takes three of them, so that single specks do not count.
Text over the anatomy is not seen, nor dark letters on a bright ground. Text can name a patient: whoever publishes
pictures has to look at what is found, and at what is not.

Legend of axes: H rows, W columns, M marks; boxes_M4 holds first row, end row, first column, end column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

MIN_MARKS = 3  # of one line
_MOST_PIXELS_A_SIDE = 1024
_BRIGHT, _DARK = 0.45, 0.25  # shares of the range of the picture
_MIN_HEIGHT, _MAX_HEIGHT = 4, 48  # pixels
_MAX_HEIGHT_SHARE = 0.2  # of the rows
_MOST_WIDE = 2.5  # of the height; an M, or two letters that touch
_MARGIN = 2  # rows above and below a mark that must be dark
_DARK_AROUND = 0.85
_MOST_MARKS = 2000


def num_text_marks(gray_HW: NDArray[np.float32]) -> int:
    """Letter-like marks that stand in lines of at least three; 0 where there is no text to be seen.

    Args:
        gray_HW: full size, any scale.
    """
    return len(_text_boxes(_reduced(gray_HW)))


def text_mask(gray_HW: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(H, W): the boxes of those marks, one pixel wider on each side.

    Args:
        gray_HW: any scale, at most 1,024 pixels a side: letters count as they are, however large they once were.
    """
    mask_HW = np.zeros(gray_HW.shape, bool)
    for top, end, left, right in _text_boxes(gray_HW):
        mask_HW[max(0, top - 1) : end + 1, max(0, left - 1) : right + 1] = True
    return mask_HW


def _text_boxes(gray_HW: NDArray[np.float32]) -> NDArray[np.int64]:
    """boxes_M4 of marks in lines."""
    low, high = float(gray_HW.min()), float(gray_HW.max())
    nothing = np.zeros((0, 4), np.int64)
    if high <= low:
        return nothing
    boxes_M4 = _marks(gray_HW, bright=low + _BRIGHT * (high - low), dark=low + _DARK * (high - low))
    return boxes_M4[_stands_in_line(boxes_M4)] if MIN_MARKS <= len(boxes_M4) <= _MOST_MARKS else nothing


def _reduced(gray_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    factor = -(-max(gray_HW.shape) // _MOST_PIXELS_A_SIDE)
    return gray_HW if factor == 1 else np.asarray(Image.fromarray(gray_HW).reduce(factor))


def _marks(gray_HW: NDArray[np.float32], *, bright: float, dark: float) -> NDArray[np.int64]:
    label_HW, _ = ndimage.label(gray_HW >= bright, structure=np.ones((3, 3), bool))
    found = ndimage.find_objects(label_HW)
    boxes_M4 = np.array([(rows.start, rows.stop, cols.start, cols.stop) for rows, cols in found], dtype=np.int64)
    heights, widths = boxes_M4[:, 1] - boxes_M4[:, 0], boxes_M4[:, 3] - boxes_M4[:, 2]
    tallest = min(_MAX_HEIGHT, _MAX_HEIGHT_SHARE * gray_HW.shape[0])
    is_letter = (heights >= _MIN_HEIGHT) & (heights <= tallest) & (widths <= _MOST_WIDE * heights)
    boxes_M4 = boxes_M4[is_letter]
    return boxes_M4[_share_around(gray_HW <= dark, boxes_M4) >= _DARK_AROUND]


def _share_around(is_dark_HW: NDArray[np.bool_], boxes_M4: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of dark pixels in strips above and below each box (left and right are other letters), one pixel away."""
    height = len(is_dark_HW)
    sums_HW = np.pad(is_dark_HW.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    top, end, left, right = boxes_M4.T
    above = np.stack([np.maximum(top - 1 - _MARGIN, 0), np.maximum(top - 1, 0), left, right], axis=1)
    below = np.stack([np.minimum(end + 1, height), np.minimum(end + 1 + _MARGIN, height), left, right], axis=1)
    return (_sums(sums_HW, above) + _sums(sums_HW, below)) / np.maximum(_areas(above) + _areas(below), 1)


def _sums(sums_HW: NDArray[np.int64], boxes_M4: NDArray[np.int64]) -> NDArray[np.int64]:
    top, end, left, right = boxes_M4.T
    return sums_HW[end, right] - sums_HW[top, right] - sums_HW[end, left] + sums_HW[top, left]


def _areas(boxes_M4: NDArray[np.int64]) -> NDArray[np.int64]:
    return (boxes_M4[:, 1] - boxes_M4[:, 0]) * (boxes_M4[:, 3] - boxes_M4[:, 2])


def _stands_in_line(boxes_M4: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Marks with at least two neighbors of about their height, on their line, one after the other."""
    top, end, left, right = (column[:, None] for column in boxes_M4.T)
    height = end - top
    shared = np.minimum(end, end.T) - np.maximum(top, top.T)
    gap = np.maximum(left, left.T) - np.minimum(right, right.T)
    is_alike = np.maximum(height, height.T) <= 1.6 * np.minimum(height, height.T)
    is_near = (shared >= 0.6 * np.maximum(height, height.T)) & (gap <= 1.5 * np.minimum(height, height.T)) & (gap > -2)
    joined = is_alike & is_near
    np.fill_diagonal(joined, False)
    _, line_M = connected_components(joined, directed=False)
    return np.bincount(line_M)[line_M] >= MIN_MARKS
