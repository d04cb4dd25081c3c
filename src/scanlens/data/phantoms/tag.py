"""A planted shortcut: a letter in a corner of the picture, such as a side marker, which has nothing to do with the disease.

It is as bright as the brightest tissue and no brighter, so that scaling by percentiles leaves the rest of the picture as it is.

Legend of axes: H rows (down), W columns (right).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_LETTER = ("####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#")
_HEIGHT = 0.11  # of the side of the picture
_MARGIN = 0.03
_BRIGHT_PERCENTILE = 99.5


def tag_mask(size: int) -> NDArray[np.bool_]:
    """(H, W) of a `size` x `size` picture: where the letter is, in the upper left corner; at least 3 x 2 pixels."""
    rows = max(3, round(_HEIGHT * size))
    columns = max(2, round(_HEIGHT * size * len(_LETTER[0]) / len(_LETTER)))
    letter = np.array([[character == "#" for character in line] for line in _LETTER])
    drawn = letter[np.arange(rows) * letter.shape[0] // rows][:, np.arange(columns) * letter.shape[1] // columns]
    margin = max(1, round(_MARGIN * size))
    mask_HW = np.zeros((size, size), bool)
    mask_HW[margin : margin + rows, margin : margin + columns] = drawn
    return mask_HW


def tagged(pixels_HW: NDArray[np.generic]) -> NDArray[np.generic]:
    """A copy of the picture with the letter on it."""
    found = pixels_HW.copy()
    found[tag_mask(len(pixels_HW))] = np.percentile(pixels_HW.astype(np.float64), _BRIGHT_PERCENTILE)
    return found


def deal_tags(labels: Sequence[str], *, classes: Sequence[str], rate: float, seed: int) -> list[bool]:
    """Which patients bear the letter: of each of these classes the same share, drawn at random; of others none.

    Args:
        labels: class of each patient.
        classes: whose patients may bear it.
        rate: share of them, 0 to 1, as closely as whole patients allow.
        seed: of the draw.
    """
    bears = np.zeros(len(labels), bool)
    for name in sorted(set(classes)):
        members = np.flatnonzero([label == name for label in labels])
        drawn = np.random.default_rng((seed, 103)).permutation(members)
        bears[drawn[: round(rate * len(members))]] = True
    return bears.tolist()
