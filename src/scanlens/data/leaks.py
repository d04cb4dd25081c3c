"""Which images of one split have a copy in another.

Legend of axes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlens.types import SPLITS


@dataclass(frozen=True, slots=True)
class Leak:
    """What one split shares with another that is used before it: train, then val, then test.

    Args:
        earlier, later: the two splits.
        num_images: images of the later split that have a partner in the earlier one.
        of: images of the later split.
        groups: the groups that lie in both, ascending.
    """

    earlier: str
    later: str
    num_images: int
    of: int
    groups: list[int]


def find_leaks(group_N: NDArray[np.int64], split_N: Sequence[str | None]) -> list[Leak]:
    """Leaks between each two splits; none for a pair that shares nothing.

    Args:
        group_N: equal numbers for images that belong together; below 0 for an image that belongs to nobody.
        split_N: split of each image; None or "" for an image that is in none.

    Raises:
        ValueError: if the lengths differ.
    """
    if len(group_N) != len(split_N):
        raise ValueError(f"a split for each of {len(group_N)} images is expected, {len(split_N)} came.")
    names_N = np.array([name or "" for name in split_N], dtype=object)
    found = []
    for place, earlier in enumerate(SPLITS):
        for later in SPLITS[place + 1 :]:
            own = group_N[names_N == earlier]
            theirs = group_N[names_N == later]
            shared = np.intersect1d(own[own >= 0], theirs[theirs >= 0])
            if len(shared):
                num = int(np.isin(theirs, shared).sum())
                found.append(Leak(earlier, later, num, len(theirs), shared.tolist()))
    return found


def copies(pixel_hashes_NB: NDArray[np.uint8], *, is_blank_N: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Group of each image whose decoded pixels equal those of another, numbered from 0; -1 for all others.

    Args:
        pixel_hashes_NB: as `image_facts.pixel_hash` makes them, one row an image.
        is_blank_N: images of one value everywhere, which say nothing of who copied whom.
    """
    _, group_N, counts = np.unique(pixel_hashes_NB, axis=0, return_inverse=True, return_counts=True)
    group_N = group_N.reshape(-1).astype(np.int64)
    group_N[(counts[group_N] < 2) | is_blank_N] = -1
    known = group_N >= 0
    _, first, renumbered = np.unique(group_N[known], return_index=True, return_inverse=True)
    group_N[known] = np.argsort(np.argsort(first))[renumbered]
    return group_N
