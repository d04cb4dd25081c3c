"""The highlighted region of a map, and regions of the same shape elsewhere on the same kind of ground.

Legend: H rows and W columns of the image; h, w those of the rectangle that the map covers; N regions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Mask = NDArray[np.bool_]

# How a region may be moved, the strictest first: whether it may be cut at the edge of what the map covers (and go on at
# the opposite one), the share of its pixels that may stay in the highlighted region, and the largest difference in the
# share that lies on the body. Scattered regions can neither be moved uncut nor without any overlap.
_WAYS = (
    (False, 0.0, 0.05),
    (False, 0.0, 0.1),
    (False, 0.0, 0.2),
    (True, 0.0, 0.05),
    (True, 0.0, 0.1),
    (True, 0.0, 0.2),
    (True, 0.1, 0.1),
    (True, 0.1, 0.2),
    (True, 0.1, 1.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class Placements:
    """A region moved to other places.

    Args:
        regions_NHW: the moved regions; fewer than asked for, or none, where there is no room.
        shifts_N2: rows and columns that each was moved by, around the rectangle that the map covers.
        body_share: share of the region itself that lies on the body.
        body_shares_N: the same of each moved one.
        may_be_cut: whether regions that reach over the edge go on at the opposite one.
        overlap: largest share of pixels that a moved region shares with the highlighted one.
    """

    regions_NHW: Mask
    shifts_N2: NDArray[np.int64]
    body_share: float
    body_shares_N: NDArray[np.float64]
    may_be_cut: bool
    overlap: float


def top_region(map_HW: ArrayLike, covered_HW: ArrayLike, *, share: float, seed: int) -> Mask:
    """The strongest positive evidence: `share` of the covered pixels, or fewer where fewer are positive.

    Of pixels with equal values some are drawn at random, so that no corner of a flat map is preferred.

    Args:
        map_HW: signed map.
        covered_HW: where the map has a value.
        share: of the covered pixels, in (0, 1).
        seed: of the draw.

    Returns:
        region_HW; nowhere True if the map is nowhere positive.
    """
    signed_HW, covered = np.asarray(map_HW, dtype=np.float64), np.asarray(covered_HW, dtype=bool)
    is_positive_HW = covered & np.isfinite(signed_HW) & (signed_HW > 0)
    num = min(max(1, round(share * int(covered.sum()))), int(is_positive_HW.sum()))
    lot = np.random.default_rng(seed).random(signed_HW.size)
    order = np.lexsort((lot, -np.where(is_positive_HW, signed_HW, -np.inf).ravel()))
    region = np.zeros(signed_HW.size, dtype=bool)
    region[order[:num]] = True
    return region.reshape(signed_HW.shape)


def placed_elsewhere(
    region_HW: Mask, covered_HW: Mask, body_HW: Mask, *, num: int, seed: int, same_ground: bool = True
) -> Placements:
    """The same shape at up to `num` other places, drawn at random among those that the map covers.

    A place counts if the moved region does not touch the highlighted one and lies as much on the body, within 5 % of its
    pixels. Where there are not `num` of them this is relaxed step by step, as `_WAYS` says; what was needed is told.

    Args:
        region_HW: the region; at least one pixel, all covered.
        covered_HW: what the map covers, a rectangle.
        body_HW: see `ground.body`.
        num: how many.
        seed: of the draw.
        same_ground: False lets regions lie on any ground; to see what that changes.
    """
    window = covered_window(covered_HW)
    shape_hw, size = region_HW[window], int(region_HW.sum())
    on_body_hw = _sums_when_moved(shape_hw, body_HW[window]) / size
    overlap_hw = _sums_when_moved(shape_hw, shape_hw) / size
    uncut_hw = _stays_whole(shape_hw)
    apart_hw = np.abs(on_body_hw - on_body_hw[0, 0]) if same_ground else np.zeros_like(on_body_hw)
    for may_be_cut, most_overlap, most_apart in _WAYS:
        fits_hw = (uncut_hw | may_be_cut) & (overlap_hw <= most_overlap) & (apart_hw <= most_apart)
        if fits_hw.sum() >= num:
            break
    found = np.flatnonzero(fits_hw)
    drawn = np.random.default_rng(seed).choice(found, min(num, len(found)), replace=False)
    shifts_N2 = np.stack(np.unravel_index(drawn, shape_hw.shape), axis=1).astype(np.int64)
    return Placements(
        np.array([moved(region_HW, covered_HW, shift) for shift in shifts_N2]).reshape(-1, *region_HW.shape),
        shifts_N2,
        float(on_body_hw[0, 0]),
        on_body_hw.ravel()[drawn],
        may_be_cut,
        float(overlap_hw.ravel()[drawn].max(initial=0.0)),
    )


def moved(values_HW: NDArray, covered_HW: Mask, shift: NDArray[np.int64]) -> NDArray:
    """Values of the covered rectangle, moved by (rows, columns) around its edges; 0 outside of it."""
    window = covered_window(covered_HW)
    found_HW = np.zeros_like(values_HW)
    found_HW[window] = np.roll(values_HW[window], tuple(shift), axis=(0, 1))
    return found_HW


def covered_window(covered_HW: Mask) -> tuple[slice, slice]:
    """Rows and columns of the rectangle that a map covers."""
    rows, columns = (np.flatnonzero(covered_HW.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _sums_when_moved(shape_hw: Mask, values_hw: NDArray) -> NDArray[np.float64]:
    """Sum of the values over the shape, for every cyclic shift of the shape; whole numbers, for flags."""
    spectrum = np.conj(np.fft.rfft2(shape_hw.astype(np.float64))) * np.fft.rfft2(values_hw.astype(np.float64))
    return np.rint(np.fft.irfft2(spectrum, s=shape_hw.shape))


def _stays_whole(shape_hw: Mask) -> Mask:
    """For every cyclic shift, whether the shape stays in one piece, that is, is not moved over an edge."""
    along = []
    for size, places in zip(shape_hw.shape, np.nonzero(shape_hw), strict=True):
        shift = np.arange(size)
        along.append((shift < size - places.max()) | (size - shift <= places.min()))
    return along[0][:, None] & along[1][None, :]
