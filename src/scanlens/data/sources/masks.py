"""Which mask file belongs to which image: by a suffix of the name, or by a folder of masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath


def pair_masks(
    names: Sequence[str], *, suffix: str | None, folder: str | None
) -> tuple[list[str], dict[str, str], list[str]]:
    """Tell images from masks and pair them; extensions may differ between the two.

    Args:
        names: relative names of all image files.
        suffix: `x_mask.tif` is the mask of `x.*` in the same folder, for "_mask".
        folder: `a/masks/x.png` is the mask of `a/x.*`, for "masks".

    Returns:
        Names of the images; image to mask; notes on masks without an image.
    """
    image_of: dict[str, str] = {}  # mask name to the extensionless name of its image
    for name in names:
        path = PurePosixPath(name)
        if suffix and path.stem.endswith(suffix) and path.stem != suffix:
            image_of[name] = str(path.with_name(path.stem.removesuffix(suffix)))
        elif folder and folder in path.parts[:-1]:
            place = path.parts.index(folder)
            image_of[name] = str(PurePosixPath(*path.parts[:place], *path.parts[place + 1 : -1], path.stem))
    images = [name for name in names if name not in image_of]
    mask_of = {stem: mask for mask, stem in image_of.items()}
    pairs = {name: mask_of[stem] for name in images if (stem := _without_extension(name)) in mask_of}
    num_orphans = len(image_of) - len(set(pairs.values()))
    notes = [f"{num_orphans} masks belong to no image and were left out."] if num_orphans else []
    return images, pairs, notes


def _without_extension(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(path.stem))
