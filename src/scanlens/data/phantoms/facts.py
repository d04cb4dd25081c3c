"""What a phantom hands out beside its pixels: the mask of what was drawn, its size and its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scanlens.data.phantoms.shapes import Plane
from scanlens.errors import did_you_mean

Facts = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class PhantomImage:
    """One synthetic picture and what is known about it.

    Args:
        pixels: (H, W) uint16 in 0..4095 for MRI, (H, W, 3) uint8 for microscopy.
        mask_HW: 1 where the lesion (or the white cell) is, else 0; uint8.
        facts: what was drawn: scanner, lesion size and place; see `mask_facts`.
        nucleus_HW: 1 where the nucleus of the white cell is; None for MRI.
    """

    pixels: NDArray[np.generic]
    mask_HW: NDArray[np.uint8]
    facts: Facts = field(default_factory=dict)
    nucleus_HW: NDArray[np.uint8] | None = None


def mask_facts(mask_HW: NDArray[np.uint8], *, noun: str) -> Facts:
    """Size and place of what the mask shows.

    Args:
        mask_HW: 0 or 1.
        noun: what it is; the keys are <noun>_area_px, <noun>_radius_px (of the circle of this area), <noun>_y and
            <noun>_x (center of mass, in pixels, the center of the first pixel is 0), <noun>_y_rel and <noun>_x_rel
            (the same, 0..1 from edge to edge). An empty mask has area and radius 0 and no place.
    """
    rows, columns = np.nonzero(mask_HW)
    area = len(rows)
    facts: Facts = {
        f"{noun}_area_px": area,
        f"{noun}_radius_px": round(float(np.sqrt(area / np.pi)), 2),
    }
    if area:
        for axis, places, length in (("y", rows, mask_HW.shape[0]), ("x", columns, mask_HW.shape[1])):
            center = float(places.mean())
            facts[f"{noun}_{axis}"] = round(center, 3)
            facts[f"{noun}_{axis}_rel"] = round((center + 0.5) / length, 5)
    return facts


def mask_of(cover: Plane) -> NDArray[np.uint8]:
    """1 where at least half of the pixel is covered; the most covered pixel if the shape is smaller than a pixel."""
    mask_HW = (cover >= 0.5).astype(np.uint8)
    if not mask_HW.any():
        mask_HW.flat[int(cover.argmax())] = 1
    return mask_HW


def check_request(*, class_name: str, classes: Sequence[str], slice_index: int, num_slices: int) -> None:
    """Raise ValueError if this picture cannot be drawn."""
    if class_name not in classes:
        raise ValueError(f"there is no phantom class '{class_name}'. {did_you_mean(class_name, classes)}")
    if not 0 <= slice_index < num_slices:
        raise ValueError(f"slice_index must be 0 to num_slices - 1 = {num_slices - 1}, got {slice_index}")
