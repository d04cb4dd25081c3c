"""Parts of an image where shortcuts live: corners, borders, boxes that were asked for, and what maps favor.

Legend: B images, C channels, H rows, W columns, S images that a swap takes part of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlens.explain.shortcut_plan import Box

Mask = NDArray[np.bool_]
Image = NDArray[np.floating]
Kind = Literal["corner", "side", "frame", "text", "outside", "favored", "box"]
CORNER, STRIP = 1 / 6, 1 / 12  # of a side
_FAVORED = 0.5  # of the highest mean evidence
_MOST_FAVORED, _LEAST_FAVORED_SHARE, _MOST_FAVORED_SHARE = 2, 0.002, 0.25
_MOST_SHARED = 0.1  # of a region, with where it is moved to


@dataclass(frozen=True, eq=False)
class Region:
    """A part of every image.

    Args:
        name: for a reader, such as "upper left corner".
        kind: what it is.
        find: gives the mask (H, W) of an image (C, H, W).
        fixed_HW: the mask, where it is the same for every image.
        is_narrowed: a swap takes what the region is in all images that take part in it; else what it is in any of them.
    """

    name: str
    kind: Kind
    find: Callable[[Image], Mask]
    fixed_HW: Mask | None = None
    is_narrowed: bool = False

    def masks(self, x_BCHW: Image) -> Mask:
        """The region in each image, (B, H, W)."""
        if self.fixed_HW is not None:
            return np.broadcast_to(self.fixed_HW, (len(x_BCHW), *self.fixed_HW.shape))
        return np.stack([self.find(image_CHW) for image_CHW in x_BCHW])

    def shared(self, masks_SBHW: Mask) -> Mask:
        """What is swapped among S images each, (B, H, W)."""
        join = np.logical_and if self.is_narrowed else np.logical_or
        return np.asarray(join.reduce(masks_SBHW, axis=0))


def fixed(name: str, kind: Kind, mask_HW: Mask) -> Region:
    """A region that is the same in every image."""
    return Region(name, kind, lambda image_CHW: mask_HW, mask_HW)


def places(height: int, width: int) -> list[Region]:
    """The four corners, the four sides, and all sides together as a frame."""
    high, wide = (max(1, round(CORNER * side)) for side in (height, width))
    thick, broad = (max(1, round(STRIP * side)) for side in (height, width))
    top, bottom, left, right = slice(0, high), slice(height - high, None), slice(0, wide), slice(width - wide, None)
    whole = slice(None)
    boxes: list[tuple[str, Kind, slice, slice]] = [
        ("upper left corner", "corner", top, left),
        ("upper right corner", "corner", top, right),
        ("lower left corner", "corner", bottom, left),
        ("lower right corner", "corner", bottom, right),
        ("upper border", "side", slice(0, thick), whole),
        ("lower border", "side", slice(height - thick, None), whole),
        ("left border", "side", whole, slice(0, broad)),
        ("right border", "side", whole, slice(width - broad, None)),
    ]
    found = [fixed(name, kind, _rectangle(height, width, rows, columns)) for name, kind, rows, columns in boxes]
    inside_HW = _rectangle(height, width, slice(thick, height - thick), slice(broad, width - broad))
    return [*found, fixed("all borders", "frame", ~inside_HW)]


def asked_for(boxes: Sequence[Box], height: int, width: int) -> list[Region]:
    """The boxes that a user named."""
    return [fixed(box.name, "box", _rectangle(height, width, *box.pixels(height, width))) for box in boxes]


def favored(mean_HW: Image) -> list[Mask]:
    """Up to two connected areas where the mean evidence of many maps is at least half of its highest value.

    Args:
        mean_HW: mean of the positive evidence over images; an area above a quarter of the image, or below 0.2 % of it, is
            none.
    """
    if not np.isfinite(mean_HW).all() or mean_HW.max() <= 0:
        return []
    label_HW, num = ndimage.label(mean_HW >= _FAVORED * mean_HW.max())
    masks = [label_HW == 1 + k for k in range(num)]
    fitting = [one for one in masks if _LEAST_FAVORED_SHARE <= one.mean() <= _MOST_FAVORED_SHARE]
    return sorted(fitting, key=lambda one: -float(mean_HW[one].sum()))[:_MOST_FAVORED]


def moved(region: Region, *, num: int, seed: int) -> list[Region]:
    """The same region at up to `num` other places, drawn at random, where at most a tenth of it overlaps with itself.

    Nothing for a region that differs from image to image, or fits nowhere else.
    """
    mask_HW = region.fixed_HW
    if mask_HW is None or not mask_HW.any():
        return []
    (rows, columns), (height, width) = ndimage.find_objects(mask_HW.astype(np.int8))[0], mask_HW.shape
    shifts = [
        (down, right)
        for down in range(-rows.start, height - rows.stop + 1)
        for right in range(-columns.start, width - columns.stop + 1)
    ]
    found: list[Region] = []
    for place in np.random.default_rng(seed).permutation(len(shifts)):
        shifted_HW = np.roll(mask_HW, shifts[int(place)], axis=(0, 1))
        if (shifted_HW & mask_HW).sum() <= _MOST_SHARED * mask_HW.sum():
            found.append(fixed(region.name, region.kind, shifted_HW))
        if len(found) == num:
            break
    return found


def _rectangle(height: int, width: int, rows: slice, columns: slice) -> Mask:
    mask_HW = np.zeros((height, width), bool)
    mask_HW[rows, columns] = True
    return mask_HW
