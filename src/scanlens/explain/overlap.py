"""How far the region that a map marks is the lesion: intersection over union.

A threshold moves this number, and a map stretched to [0, 1] always has something above any threshold; so the threshold is
chosen on other images (validation), or there is none: as many pixels are marked as the lesion has.

Legend: H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlens.explain.evidence_order import pixel_order, regions

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Of the largest positive value of a map; one of them is chosen on validation."""


def above(map_HW: ArrayLike, share_of_peak: float) -> NDArray[np.bool_]:
    """Where a map exceeds this share of its largest positive value; nowhere if it has none."""
    signed_HW = np.asarray(map_HW, dtype=np.float64)
    top = float(signed_HW.max())
    return signed_HW > share_of_peak * top if top > 0 else np.zeros(signed_HW.shape, dtype=bool)


def as_large_as(map_HW: ArrayLike, mask_HW: ArrayLike, covered_HW: ArrayLike, *, seed: int) -> NDArray[np.bool_]:
    """The strongest pixels of a map, as many as the mask has; equals are taken at random."""
    inside_HW = np.asarray(mask_HW) != 0
    order_P = pixel_order(map_HW, covered_HW, seed=seed)
    return regions(order_P, [float(inside_HW.mean())], (inside_HW.shape[0], inside_HW.shape[1]))[0]


def intersection_over_union(region_HW: ArrayLike, mask_HW: ArrayLike) -> float:
    """0 to 1; 0 for two empty regions.

    Raises:
        ValueError: if their sizes differ.
    """
    a, b = np.asarray(region_HW) != 0, np.asarray(mask_HW) != 0
    if a.shape != b.shape:
        raise ValueError(f"region {a.shape} and mask {b.shape} must have the same size.")
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def best_threshold(maps: Sequence[ArrayLike], masks: Sequence[ArrayLike]) -> float | None:
    """Of `THRESHOLDS` the one with the largest mean overlap; the lowest of equals. None without maps."""
    if not maps:
        return None
    means = [
        float(np.mean([intersection_over_union(above(m, share), mask) for m, mask in zip(maps, masks, strict=True)]))
        for share in THRESHOLDS
    ]
    return THRESHOLDS[int(np.argmax(means))]
