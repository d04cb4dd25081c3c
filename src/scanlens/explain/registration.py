"""A map that lies beside the evidence, the same way in every image, and how it is moved onto it.

Learned filters need not be centered: a network may answer to a lesion two cells to its left, always, and a map at the
resolution of its layer then points there. Integrated gradients work on the pixels themselves and do not have this
offset, so it can be measured without any mask: as the median way from the peaks of the map to the peaks of smoothed
integrated gradients. Whether to move is decided elsewhere, by whether it helps on images that had no part in measuring.

Legend: B images, C channels, H rows, W columns; N images of a data set. Positions are (row, column) in pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Integrated gradients of many images, against which maps are held.

    Args:
        map_NHW: signed, one value a pixel.
        is_blank_N: those that say nothing about where.
    """

    map_NHW: NDArray[np.float64]
    is_blank_N: NDArray[np.bool_]

    def peaks(self, *, sigma_px: float) -> Peaks:
        """Where the smoothed maps are largest, peak_N2; not a number for a blank one.

        Args:
            sigma_px: of the Gaussian that smooths them, see `sigma_for`.
        """
        smooth = [gaussian_filter(map_HW, sigma_px, mode="nearest") for map_HW in self.map_NHW]
        return _peaks(smooth, self.is_blank_N)


def reference_of(model: nn.Module, x_NCHW: Tensor, target_N: Tensor) -> Reference:
    """Integrated gradients of every image for its class; slow: two dozen passes an image and more."""
    maps, blank = [], []
    for explanation in _explained(IntegratedGradients(), model, x_NCHW, target_N):
        maps.append(explanation.map_BHW.numpy().astype(np.float64))
        blank.append(explanation.is_blank_B.numpy())
    return Reference(np.concatenate(maps), np.concatenate(blank))


def map_peaks(explainer: Explainer, model: nn.Module, x_NCHW: Tensor, target_N: Tensor) -> tuple[Peaks, Geometry]:
    """Where the map of each image is largest, peak_N2 (not a number where it points nowhere), and where its cells lie."""
    found = list(_explained(explainer, model, x_NCHW, target_N))
    peaks = [_peaks(one.map_BHW.numpy(), one.is_blank_B.numpy()) for one in found]
    return np.concatenate(peaks), found[0].geometry


def sigma_for(geometry: Geometry) -> float:
    """Half a cell, at least a pixel: how much the reference is smoothed."""
    return max(1.0, max(geometry.jump_yx) / 2)


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


def _explained(explainer: Explainer, model: nn.Module, x_NCHW: Tensor, target_N: Tensor) -> Iterator[Explanation]:
    """Batch by batch; at least one, so that no images are refused by the method itself."""
    for start in range(0, max(1, len(x_NCHW)), BATCH):
        chosen = slice(start, start + BATCH)
        yield explainer.explain(model, x_NCHW[chosen], target_N[chosen])


def _peaks(maps: Iterable[NDArray[np.floating]], is_blank_N: NDArray[np.bool_]) -> Peaks:
    found = [None if blank else peak_yx(map_HW) for map_HW, blank in zip(maps, is_blank_N, strict=True)]
    return np.array([(np.nan, np.nan) if one is None else one for one in found], dtype=np.float64).reshape(-1, 2)
