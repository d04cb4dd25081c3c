"""Lesions drawn into images that have none: soft-edged ellipses whose size and place are known exactly.

They are no tumors: no swelling, no pushed tissue, no texture of their own, and an outline that nature does not draw. What
they can tell is which size and contrast a network notices at all, and whether its map then lies on it.

Legend: C channels, H rows, W columns. Pixel r has its center at r; positions are (row, column) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from scanlens.explain.ground import solid_body
from scanlens.seeds import derived_seed

Plane = NDArray[np.float64]
Bools = NDArray[np.bool_]
LONGEST_ASPECT = 1.6
_EDGE_SHARE = 0.2  # of the diameter over which the border fades, at least a pixel
_LEAST_RING_PX = 8
_GAP_PX = 1.5


@dataclass(frozen=True, slots=True)
class Lesion:
    """One ellipse.

    Args:
        center_yx: its middle, in pixels.
        diameter_px: of the disc of the same area.
        aspect: long over short side, at least 1.
        angle_rad: of the long side against the row axis.
    """

    center_yx: tuple[float, float]
    diameter_px: float
    aspect: float = 1.0
    angle_rad: float = 0.0

    def cover_HW(self, image_hw: tuple[int, int]) -> Plane:
        """How much of each pixel it fills, 0 to 1, with a border that fades."""
        y, x = np.indices(image_hw) - np.reshape(self.center_yx, (2, 1, 1))
        along = y * np.cos(self.angle_rad) + x * np.sin(self.angle_rad)
        across = x * np.cos(self.angle_rad) - y * np.sin(self.angle_rad)
        half = self.diameter_px / 2
        long, short = half * np.sqrt(self.aspect), half / np.sqrt(self.aspect)
        reach = np.hypot(along / long, across / short)
        slope = np.maximum(np.hypot(along / long**2, across / short**2), 1e-9)
        outside_px = np.where(reach > 0, reach * (reach - 1) / slope, -short)
        edge_px = max(1.0, _EDGE_SHARE * self.diameter_px)
        return np.clip(0.5 - outside_px / edge_px, 0.0, 1.0)


def mask_of(cover_HW: Plane) -> Bools:
    """The pixels of a lesion: half covered or more; of one too small for that the pixel that it covers most."""
    inside_HW = cover_HW >= 0.5
    return inside_HW if inside_HW.any() else cover_HW >= cover_HW.max()


def inserted(x_CHW: NDArray[np.floating], cover_HW: Plane, contrast_C: Plane) -> NDArray[np.float32]:
    """The image with a lesion: brighter by its contrast where it lies, with the texture below, clipped to [0, 1].

    Args:
        x_CHW: image in [0, 1].
        cover_HW: of the lesion, 0 to 1.
        contrast_C: change of each channel, -1 to 1.
    """
    changed_CHW = x_CHW + contrast_C[:, None, None] * cover_HW
    return np.clip(changed_CHW, 0.0, 1.0).astype(np.float32)


def lesions_at(places: list[tuple[float, float]], diameters_px: list[float], *, seed: int) -> list[list[Lesion]]:
    """Of each place one lesion of each size; its shape is drawn once, so that sizes differ in nothing else."""
    found = []
    for number, place in enumerate(places):
        rng = np.random.default_rng(derived_seed(seed, number))
        aspect, angle = float(rng.uniform(1.0, LONGEST_ASPECT)), float(rng.uniform(0.0, np.pi))
        found.append([Lesion(place, diameter, aspect, angle) for diameter in diameters_px])
    return found


def places_in(inside_HW: Bools, *, num: int, depth_px: float, seed: int) -> list[tuple[float, float]]:
    """Places drawn uniformly among those that lie at least so deep in the body.

    Where nothing lies so deep, half of its greatest depth is asked for.

    Args:
        inside_HW: the body, at least one pixel.
        num: how many.
        depth_px: distance from the outside (and from the border of the image).
        seed: of the draw.
    """
    depth_HW = distance_transform_edt(np.pad(inside_HW, 1))[1:-1, 1:-1]
    deep_HW = depth_HW >= min(depth_px, depth_HW.max() / 2)
    candidates = np.argwhere(deep_HW)
    rng = np.random.default_rng(seed)
    drawn = candidates[rng.integers(len(candidates), size=num)] + rng.uniform(-0.5, 0.5, (num, 2))
    return [(float(y), float(x)) for y, x in drawn]


def contrast_of(x_CHW: NDArray[np.floating], mask_HW: NDArray[np.generic]) -> Plane | None:
    """How much brighter a marked lesion is than the tissue around it, of each channel: contrast_C; None if it cannot be told.

    Compared are means inside and in a ring around the lesion that is as large as itself, inside of the body; between them lies
    a gap, since borders fade.
    """
    inside_HW = np.asarray(mask_HW) > 0
    distance_HW = distance_transform_edt(~inside_HW)
    around_HW = solid_body(x_CHW) & (distance_HW > _GAP_PX)
    if not inside_HW.any() or around_HW.sum() < _LEAST_RING_PX:
        return None
    near = np.sort(distance_HW[around_HW])
    reach = near[min(len(near), max(_LEAST_RING_PX, int(inside_HW.sum()))) - 1]
    ring_HW = around_HW & (distance_HW <= reach)
    return np.array([plane[inside_HW].mean() - plane[ring_HW].mean() for plane in x_CHW], dtype=np.float64)
