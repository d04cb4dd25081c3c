"""Groups of images that show nearly the same: copies, re-saved copies, mirrored copies, neighboring slices.

Two images are near-duplicates if their thumbnails of 48 x 48 correlate by more than a threshold; groups are whatever
hangs together through such pairs. Brightness and contrast do not matter, since a correlation does not see them. Pixels
are compared, so copies that were saved again, resized or renamed are found, which comparing bytes misses.

Where all images are aligned alike (heads registered to one template), unrelated ones correlate too, and most of the set
would hang together. A group that holds too large a share of the set is therefore taken apart at a higher threshold.

The cost grows with the square of the number of images: about half a minute on one core for 20,000.

Legend of axes: N images, H rows, W columns, D pixels of a thumbnail; R, C images of a block; P pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scanlens.types import RawImage

THUMBNAIL_SIZE = 48
_BLOCK = 2048
_THRESHOLD_STEP = 0.01
_LONG_SERIES = 40  # images of one head are no reason to doubt the threshold, also where they are much of a small set
_HIGHEST_THRESHOLD = 0.99  # what correlates even more is one picture, however many there are


def thumbnails(images: Iterable[RawImage]) -> NDArray[np.float32]:
    """Gray thumbnails (N, 48, 48), stretched to a square: mean of the channels, and of the area a pixel stands for."""
    made = [_thumbnail(image) for image in images]
    return np.stack(made) if made else np.zeros((0, THUMBNAIL_SIZE, THUMBNAIL_SIZE), np.float32)


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """What hangs together.

    Args:
        group_N: group of each image, numbered from 0 in order of first appearance.
        taken_apart: number of images and final threshold of each group that was too large a share of the set.
    """

    group_N: NDArray[np.int64]
    taken_apart: list[tuple[int, float]]

    @property
    def notes(self) -> list[str]:
        """What was assumed, for the summary of the run."""
        return [
            f"{num} images correlate so much that near-duplicates among them were told apart at {threshold:.2f} instead "
            f"of the usual threshold. If they are of one patient, say so (data.patient_pattern, data.sidecar)."
            for num, threshold in self.taken_apart
        ]


def near_duplicate_groups(
    thumbs_NHW: NDArray[np.float32],
    *,
    threshold: float = 0.95,
    mirrored_threshold: float = 0.97,
    largest_share: float = 0.1,
) -> NearDuplicates:
    """Images that hang together through pairs of near-duplicates.

    Args:
        thumbs_NHW: as `thumbnails` makes them. One that is the same gray everywhere is nobody's duplicate.
        threshold: two images belong together if their thumbnails correlate by more.
        mirrored_threshold: the same, with one of the two flipped left to right; higher, since heads are symmetric.
        largest_share: groups that hold a larger share of the images are taken apart, with thresholds raised for them
            alone in steps of 0.01 up to 0.99; 1 for never. Groups of up to 40 images, if these are at most a third of
            all, are left as they are.

    Raises:
        ValueError: a number outside 0 to 1, or thumbnails that are not (N, H, W).
    """
    if thumbs_NHW.ndim != 3:
        raise ValueError(f"thumbnails of shape (N, H, W) are expected, {thumbs_NHW.shape} came.")
    limits = {"threshold": threshold, "mirrored_threshold": mirrored_threshold, "largest_share": largest_share}
    for name, value in limits.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name}: a number above 0, at most 1, is expected; {value} came.")
    num = len(thumbs_NHW)
    most = max(2, int(largest_share * num), min(_LONG_SERIES, num // 3))
    group_N, taken_apart = _groups(thumbs_NHW, threshold, mirrored_threshold, most)
    _, first_N, group_N = np.unique(group_N, return_index=True, return_inverse=True)
    return NearDuplicates(np.argsort(np.argsort(first_N))[group_N].astype(np.int64), taken_apart)


def _groups(
    thumbs_NHW: NDArray[np.float32], threshold: float, mirrored_threshold: float, most: int
) -> tuple[NDArray[np.int64], list[tuple[int, float]]]:
    """Groups of at most `most` images if higher thresholds can do it, in any numbering, and what was taken apart."""
    group_N = np.arange(len(thumbs_NHW))
    for top, left, is_similar_RC in _similar_blocks(thumbs_NHW, threshold, mirrored_threshold):
        group_N = _joined(group_N, is_similar_RC, top, left)
    taken_apart: list[tuple[int, float]] = []
    higher = threshold + _THRESHOLD_STEP
    if higher <= _HIGHEST_THRESHOLD + 1e-9:
        for group in np.flatnonzero(np.bincount(group_N) > most):
            members = np.flatnonzero(group_N == group)
            inner, inner_apart = _groups(thumbs_NHW[members], higher, max(higher, mirrored_threshold), most)
            group_N[members] = inner + group_N.max() + 1
            reached = max((one for _, one in inner_apart), default=higher)
            if len(np.unique(inner)) > 1:
                taken_apart.append((len(members), reached))
    return group_N, taken_apart


def _thumbnail(image: RawImage) -> NDArray[np.float32]:
    pixels = image.pixels.astype(np.float32)
    gray_HW = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    small = Image.fromarray(gray_HW).resize((THUMBNAIL_SIZE, THUMBNAIL_SIZE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def _similar_blocks(
    thumbs_NHW: NDArray[np.float32], threshold: float, mirrored_threshold: float
) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Blocks (R, C) of who is similar to whom, with their first row and column; the upper triangle is enough."""
    units_ND = standardized(thumbs_NHW)
    mirrored_ND = standardized(thumbs_NHW[:, :, ::-1])
    for top in range(0, len(units_ND), _BLOCK):
        rows = units_ND[top : top + _BLOCK]
        for left in range(top, len(units_ND), _BLOCK):
            columns = slice(left, left + _BLOCK)
            is_copy_RC = rows @ units_ND[columns].T > threshold
            yield top, left, is_copy_RC | (rows @ mirrored_ND[columns].T > mirrored_threshold)


def standardized(thumbs_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Flattened (N, D), mean 0 and length 1, so that a dot product is a correlation; zeros where nothing varies."""
    flat_ND = thumbs_NHW.reshape(len(thumbs_NHW), int(np.prod(thumbs_NHW.shape[1:]))).astype(np.float32)
    flat_ND = flat_ND - flat_ND.mean(axis=1, keepdims=True)
    length_N1 = np.linalg.norm(flat_ND, axis=1, keepdims=True)
    return np.where(length_N1 > 1e-6, flat_ND / np.maximum(length_N1, 1e-6), 0).astype(np.float32)


def _joined(group_N: NDArray[np.int64], is_similar_RC: NDArray[np.bool_], top: int, left: int) -> NDArray[np.int64]:
    """Groups after joining the groups of all similar pairs of a block.

    One partner for each row and each column goes first: where everything is alike, that joins everything, and the
    millions of other pairs need no look.
    """
    num_rows, num_columns = is_similar_RC.shape
    has_partner_R, has_partner_C = is_similar_RC.any(axis=1), is_similar_RC.any(axis=0)
    rows_2P = np.stack([np.arange(num_rows), is_similar_RC.argmax(axis=1)])[:, has_partner_R]
    columns_2P = np.stack([is_similar_RC.argmax(axis=0), np.arange(num_columns)])[:, has_partner_C]
    offset_21 = np.array([[top], [left]])
    group_N = _merged(group_N, np.concatenate([rows_2P, columns_2P], axis=1) + offset_21)
    row_groups, column_groups = group_N[top : top + num_rows], group_N[left : left + num_columns]
    is_open_RC = is_similar_RC & (row_groups[:, None] != column_groups[None, :])
    return _merged(group_N, np.stack(np.nonzero(is_open_RC)) + offset_21)


def _merged(group_N: NDArray[np.int64], pairs_2P: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups after joining the groups of each pair of images."""
    if pairs_2P.shape[1] == 0:
        return group_N
    num_groups = int(group_N.max()) + 1
    links = coo_array((np.ones(pairs_2P.shape[1], bool), tuple(group_N[pairs_2P])), shape=(num_groups, num_groups))
    _, joined = connected_components(links, directed=False)
    return joined.astype(np.int64)[group_N]
