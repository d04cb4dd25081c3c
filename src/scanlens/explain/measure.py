"""Does a map point at the lesion? Measured on positive evidence only; a blank map is a miss, never a lucky hit.

Pointing game: Zhang et al. 2018, doi:10.1007/s11263-017-1059-x; relevance mass: Arras et al. 2022,
doi:10.1016/j.inffus.2021.11.008. Other implementations take the first of equal maxima, count strong evidence *against*
the class, or count a blank map as a hit; here equal maxima give the expected value of choosing one at random.

Legend: H rows, W columns of the image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_FLAT_SHARE = 1e-6


def peak_yx(map_HW: ArrayLike) -> tuple[float, float] | None:
    """Row and column of the strongest positive evidence, in pixels; the mean position of equal maxima.

    None if there is no such place: the map is not finite, the same everywhere, or nowhere positive.
    """
    is_peak_HW = _peaks(_as_map(map_HW))
    if is_peak_HW is None:
        return None
    rows, columns = np.nonzero(is_peak_HW)
    return float(rows.mean()), float(columns.mean())


def pointing_hit(map_HW: ArrayLike, mask_HW: ArrayLike, *, tolerance_px: float = 0.0) -> float | None:
    """1 if the strongest positive evidence lies in the mask, 0 if not or if the map is blank.

    Between 0 and 1 if several pixels share the maximum: the share of them that lie in the mask.

    Args:
        map_HW: signed map.
        mask_HW: the lesion; nonzero inside.
        tolerance_px: peaks at most this far from the mask also count. Keep it fixed in pixels or millimeters when
            comparing networks; a tolerance of "one cell" rewards coarse maps.

    Returns:
        The hit, or None if the mask is empty: leave the case out, and count how many were left out.
    """
    signed_HW, inside_HW = _as_map_and_mask(map_HW, mask_HW)
    if not inside_HW.any():
        return None
    is_peak_HW = _peaks(signed_HW)
    return 0.0 if is_peak_HW is None else float(_widened(inside_HW, tolerance_px)[is_peak_HW].mean())


def peak_distance_px(map_HW: ArrayLike, mask_HW: ArrayLike) -> float | None:
    """Distance from the strongest positive evidence to the nearest pixel of the mask; mean over equal maxima.

    None if the mask is empty or the map blank.
    """
    signed_HW, inside_HW = _as_map_and_mask(map_HW, mask_HW)
    is_peak_HW = _peaks(signed_HW)
    if is_peak_HW is None or not inside_HW.any():
        return None
    return float(_distance_px(inside_HW)[is_peak_HW].mean())


def mass_in_mask(map_HW: ArrayLike, mask_HW: ArrayLike) -> float | None:
    """Share of all positive evidence that lies in the mask, 0 to 1; 0 for a blank map, None for an empty mask.

    Compare with `chance`: a map that knows nothing has the mask's share of the image.
    """
    signed_HW, inside_HW = _as_map_and_mask(map_HW, mask_HW)
    if not inside_HW.any():
        return None
    if _peaks(signed_HW) is None:
        return 0.0
    positive_HW = np.maximum(signed_HW, 0)
    return float(positive_HW[inside_HW].sum() / positive_HW.sum())


def chance(mask_HW: ArrayLike, *, tolerance_px: float = 0.0, covered_HW: ArrayLike | None = None) -> float | None:
    """Share of the image that the mask takes up, after widening by the tolerance; None for an empty mask.

    Args:
        mask_HW: the lesion; nonzero inside.
        tolerance_px: as of `pointing_hit`.
        covered_HW: where a peak can lie at all; None for everywhere.
    """
    inside_HW = np.asarray(mask_HW) != 0
    if not inside_HW.any():
        return None
    widened_HW = _widened(inside_HW, tolerance_px)
    return float((widened_HW if covered_HW is None else widened_HW[np.asarray(covered_HW, dtype=bool)]).mean())


def _peaks(signed_HW: NDArray[np.float64]) -> NDArray[np.bool_] | None:
    if signed_HW.size == 0 or not np.isfinite(signed_HW).all():
        return None
    top, bottom = signed_HW.max(), signed_HW.min()
    if top <= 0 or top - bottom <= _FLAT_SHARE * max(abs(top), abs(bottom)):
        return None
    return signed_HW == top


def _widened(inside_HW: NDArray[np.bool_], tolerance_px: float) -> NDArray[np.bool_]:
    if tolerance_px < 0:
        raise ValueError(f"tolerance_px must not be negative; got {tolerance_px}.")
    return inside_HW if tolerance_px == 0 else _distance_px(inside_HW) <= tolerance_px


def _distance_px(inside_HW: NDArray[np.bool_]) -> NDArray[np.float64]:
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(~inside_HW))


def _as_map(map_HW: ArrayLike) -> NDArray[np.float64]:
    signed_HW = np.asarray(map_HW, dtype=np.float64)
    if signed_HW.ndim != 2:
        raise ValueError(f"one map (H, W) is measured at a time; got an array of shape {signed_HW.shape}.")
    return signed_HW


def _as_map_and_mask(map_HW: ArrayLike, mask_HW: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    signed_HW, inside_HW = _as_map(map_HW), np.asarray(mask_HW) != 0
    if signed_HW.shape != inside_HW.shape:
        raise ValueError(f"map {signed_HW.shape} and mask {inside_HW.shape} must have the same size.")
    return signed_HW, inside_HW
