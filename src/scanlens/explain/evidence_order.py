"""Which pixels a map holds to be the most telling, in order; ties are broken at random, never by place.

Choosing "the top 5 %" by a percentile takes everything at once from a map that is mostly zero, or blank. Here exactly
the asked-for number of pixels is taken.

Legend: P pixels, S shares, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Places = NDArray[np.int64]


def pixel_order(map_HW: ArrayLike, covered_HW: ArrayLike | None = None, *, seed: int) -> Places:
    """Flat places of all pixels, the strongest evidence for the class first: order_P.

    Args:
        map_HW: signed map.
        covered_HW: pixels that the map can speak of; the others come last, in random order. None for all.
        seed: of the order among equals.

    Raises:
        ValueError: if the map is not finite, or sizes differ.
    """
    signed_HW = np.asarray(map_HW, dtype=np.float64)
    known_HW = np.ones(signed_HW.shape, dtype=bool) if covered_HW is None else np.asarray(covered_HW, dtype=bool)
    if signed_HW.ndim != 2 or known_HW.shape != signed_HW.shape or not np.isfinite(signed_HW).all():
        raise ValueError(
            f"expected a finite map (H, W) and what it covers; got {signed_HW.shape} and {known_HW.shape}."
        )
    tie_P = np.random.default_rng(seed).permutation(signed_HW.size)
    value_P = np.where(known_HW, signed_HW, 0.0).ravel()
    return np.lexsort((tie_P, -value_P, ~known_HW.ravel()))


def regions(order_P: Places, shares: Sequence[float], image_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The first pixels of the order, as many as each share of the image says: region_SHW.

    At least one pixel and never all of them. What share that really is, is the mean of a region.
    """
    num = len(order_P)
    found = np.zeros((len(shares), num), dtype=bool)
    for row, share in zip(found, shares, strict=True):
        row[order_P[: min(max(1, round(share * num)), num - 1)]] = True
    return found.reshape(len(shares), *image_hw)


def moved_elsewhere(map_HW: ArrayLike, *, seed: int) -> NDArray[np.float64]:
    """The same map, moved around the edges to a random place at least a quarter of a side away along rows or columns.

    The fair opponent of a map is one of the same shapes: scattered pixels are filled in from their neighbors and hardly
    missed, whatever they show.
    """
    signed_HW = np.asarray(map_HW, dtype=np.float64)
    height, width = signed_HW.shape
    rng = np.random.default_rng(seed)
    while True:
        down, right = int(rng.integers(height)), int(rng.integers(width))
        if 4 * min(down, height - down) >= height or 4 * min(right, width - right) >= width:
            return np.roll(signed_HW, (down, right), axis=(0, 1))
