"""A map that lies beside the evidence, the same way in every image, and how it is moved onto it.

Learned filters need not be centered: a network may answer to a lesion two cells to its left, always, and a map at the
resolution of its layer then points there. Integrated gradients work on the pixels themselves and do not have this
offset, so it can be measured without any mask: as the median way from the peaks of the map to the peaks of smoothed
integrated gradients. Whether to move is decided elsewhere, by whether it helps on images that had no part in measuring.

Legend: B images, C channels, H rows, W columns; N images of a data set. Positions are (row, column) in pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from scanlens.explain.base import Explainer, Explanation
from scanlens.explain.geometry import Geometry, Pair
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.explain.measure import peak_yx

REFERENCE = "smoothed integrated gradients"
LARGEST_SHARE = 1 / 8  # of the shorter side of the image
BATCH = 8
Peaks = NDArray[np.float64]


def map_peaks(explanation: Explanation) -> Peaks:
    """Where each map is largest, peak_B2; not a number for a map that points nowhere."""
    found = [
        None if is_blank else peak_yx(map_HW)
        for map_HW, is_blank in zip(explanation.map_BHW.numpy(), explanation.is_blank_B.tolist(), strict=True)
    ]
    return _as_array(found)


def reference_peaks(
    model: nn.Module,
    x_BCHW: Tensor,
    target_B: Tensor | Sequence[int],
    *,
    sigma_px: float,
    gradients: Explainer | None = None,
) -> Peaks:
    """Where the smoothed integrated gradients of each image are largest, peak_B2.

    Args:
        model: a classifier.
        x_BCHW: images.
        target_B: one class per image.
        sigma_px: of the Gaussian that smooths them; about half a cell of the map that is held against them.
        gradients: another method on pixels in place of integrated gradients.
    """
    explanation = (gradients or IntegratedGradients()).explain(model, x_BCHW, target_B)
    found = [
        None if is_blank else peak_yx(gaussian_filter(map_HW.astype(np.float64), sigma_px, mode="nearest"))
        for map_HW, is_blank in zip(explanation.map_BHW.numpy(), explanation.is_blank_B.tolist(), strict=True)
    ]
    return _as_array(found)


def both_peaks(
    explainer: Explainer, model: nn.Module, x_BCHW: Tensor, target_B: Tensor
) -> tuple[Peaks, Peaks, Geometry]:
    """Peaks of the map and of the reference for many images, peak_N2 each, and the geometry of the map."""
    mapped, referred = [], []
    geometry: Geometry | None = None
    for start in range(0, len(x_BCHW), BATCH):
        chosen = slice(start, start + BATCH)
        explanation = explainer.explain(model, x_BCHW[chosen], target_B[chosen])
        geometry = explanation.geometry
        mapped.append(map_peaks(explanation))
        referred.append(reference_peaks(model, x_BCHW[chosen], target_B[chosen], sigma_px=sigma_for(geometry)))
    if geometry is None:
        raise ValueError("at least one image is needed")
    return np.concatenate(mapped), np.concatenate(referred), geometry


def sigma_for(geometry: Geometry) -> float:
    """Half a cell, at least a pixel: how much the reference is smoothed."""
    return max(1.0, max(geometry.jump_yx) / 2)


def median_shift(map_N2: Peaks, reference_N2: Peaks) -> Pair | None:
    """The median way from the map's peaks to the reference's, (down, right) in pixels; None without a pair of peaks."""
    way_N2 = reference_N2 - map_N2
    way_N2 = way_N2[np.isfinite(way_N2).all(axis=1)]
    if len(way_N2) == 0:
        return None
    down, right = np.median(way_N2, axis=0)
    return float(down), float(right)


def largest_shift(geometry: Geometry, image_hw: tuple[int, int]) -> float:
    """How far off learned filters can put the evidence, down or right in pixels: half of what a cell sees.

    At most an eighth of the image, where a cell sees most of it.
    """
    bound = LARGEST_SHARE * min(image_hw)
    if geometry.receptive_field_yx is None:
        return bound
    return min(bound, (min(geometry.receptive_field_yx) - 1) / 2)


def registered(explainer: Explainer, shift_yx: Pair) -> Explainer:
    """The same method with its maps moved: cells, covered area and legend tell it. (0, 0) puts them back."""
    moved = copy.copy(explainer)
    moved.shift_yx = (float(shift_yx[0]), float(shift_yx[1]))
    return moved


def _as_array(peaks: Sequence[tuple[float, float] | None]) -> Peaks:
    return np.array([(np.nan, np.nan) if one is None else one for one in peaks], dtype=np.float64).reshape(-1, 2)
