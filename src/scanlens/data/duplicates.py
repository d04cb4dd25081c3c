"""Groups of images that show nearly the same: copies, re-saved copies, mirrored and turned copies, neighboring slices.

Two images are near-duplicates if their thumbnails of 48 x 48 correlate by more than a threshold, as they are or with one of
them mirrored or turned by quarters; groups are whatever hangs together through such pairs. Brightness and contrast do not
matter, since a correlation does not see them. Pixels are compared, so copies that were saved again, resized or renamed are
found, which comparing bytes misses.

Where all images are aligned alike (heads registered to one template), unrelated ones correlate too, and most of the set
would hang together. A group that holds too large a share of the set is therefore taken apart at a higher threshold.

Up to a few thousand images all pairs are compared; beyond, an index chooses who is (`similar_pairs`).

Legend of axes: N images, H rows, W columns, M images of a group, T transformations; R, C images of a block; P pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scanlens.data.correlation import MIRRORED, SAME, TRANSFORMATIONS
from scanlens.data.similar_pairs import EXACT_UP_TO, Look, PairIndex
from scanlens.types import RawImage

THUMBNAIL_SIZE = 48
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
    turned_threshold: float = 0.98,
    largest_share: float = 0.1,
    exact_up_to: int = EXACT_UP_TO,
    seed: int = 0,
) -> NearDuplicates:
    """Images that hang together through pairs of near-duplicates.

    Args:
        thumbs_NHW: as `thumbnails` makes them, in memory or mapped. One that is the same gray everywhere is nobody's duplicate.
        threshold: two images belong together if their thumbnails correlate by more.
        mirrored_threshold: the same, with one of the two flipped left to right; higher, since heads are symmetric.
        turned_threshold: the same, with one of the two turned by quarters, mirrored or not; higher still, since round
            cells have no upright.
        largest_share: groups that hold a larger share of the images are taken apart, with thresholds raised for them
            alone in steps of 0.01 up to 0.99; 1 for never. Groups of up to 40 images, if these are at most a third of
            all, are left as they are.
        exact_up_to: number of images up to which all pairs are compared; beyond, those that an index of seed `seed` proposes.

    Raises:
        ValueError: a number outside 0 to 1, or thumbnails that are not (N, H, H).
    """
    thresholds_T = pair_thresholds(threshold, mirrored_threshold, turned_threshold)
    if not 0 < largest_share <= 1:
        raise ValueError(f"largest_share: a number above 0, at most 1, is expected; {largest_share} came.")
    index = PairIndex(thumbs_NHW, seed=seed, exact_up_to=exact_up_to)
    num = len(index)
    most = max(2, int(largest_share * num), min(_LONG_SERIES, num // 3))
    group_N, taken_apart = _groups(index, thresholds_T, most)
    _, first_N, group_N = np.unique(group_N, return_index=True, return_inverse=True)
    return NearDuplicates(np.argsort(np.argsort(first_N))[group_N].astype(np.int64), taken_apart)


def pair_thresholds(
    threshold: float = 0.95, mirrored_threshold: float = 0.97, turned_threshold: float = 0.98
) -> NDArray[np.float32]:
    """The correlation that a pair must exceed, for each of `TRANSFORMATIONS`; see `near_duplicate_groups`.

    Raises:
        ValueError: a number outside 0 to 1.
    """
    limits = {"threshold": threshold, "mirrored_threshold": mirrored_threshold, "turned_threshold": turned_threshold}
    for name, value in limits.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name}: a number above 0, at most 1, is expected; {value} came.")
    thresholds_T = np.full(len(TRANSFORMATIONS), turned_threshold, np.float32)
    thresholds_T[[SAME, MIRRORED]] = threshold, mirrored_threshold
    return thresholds_T


def _groups(
    index: PairIndex, thresholds_T: NDArray[np.float32], most: int
) -> tuple[NDArray[np.int64], list[tuple[int, float]]]:
    """Groups of at most `most` images if higher thresholds can do it, in any numbering, and what was taken apart."""
    group_N = np.arange(len(index))
    for transformation, limit in enumerate(thresholds_T.tolist()):
        for look in index.looks(transformation):
            group_N = _joined(group_N, index, look, transformation, limit)
    taken_apart: list[tuple[int, float]] = []
    higher = round(float(thresholds_T[SAME]) + _THRESHOLD_STEP, 6)
    if higher <= _HIGHEST_THRESHOLD:
        for group in np.flatnonzero(np.bincount(group_N) > most):
            members = np.flatnonzero(group_N == group)
            inner, inner_apart = _groups(index.among(members), np.maximum(thresholds_T, np.float32(higher)), most)
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


def _joined(
    group_N: NDArray[np.int64], index: PairIndex, look: Look, transformation: int, limit: float
) -> NDArray[np.int64]:
    """Groups after joining the groups of all similar pairs of a look.

    What the projections settle goes first: where everything is alike, that joins everything, and few of the other pairs
    still need the full correlation.
    """
    may_RC = look.most_RC > limit
    if not may_RC.any():
        return group_N
    group_N = _joined_pairs(group_N, look.rows_R, look.columns_C, look.least_RC() > limit)
    may_RC &= group_N[look.rows_R][:, None] != group_N[look.columns_C][None, :]
    kept_R, kept_C = may_RC.any(axis=1), may_RC.any(axis=0)
    rows_R, columns_C = look.rows_R[kept_R], look.columns_C[kept_C]
    if len(rows_R) == 0:
        return group_N
    exact_RC = index.exact(rows_R, columns_C, transformation)
    return _joined_pairs(group_N, rows_R, columns_C, may_RC[np.ix_(kept_R, kept_C)] & (exact_RC > limit))


def _joined_pairs(
    group_N: NDArray[np.int64],
    rows_R: NDArray[np.int64],
    columns_C: NDArray[np.int64],
    is_similar_RC: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Groups after joining those of all similar pairs; one partner for each row and column goes first, to spare millions."""
    has_partner_R, has_partner_C = is_similar_RC.any(axis=1), is_similar_RC.any(axis=0)
    if not has_partner_R.any():
        return group_N
    of_rows_2P = np.stack([rows_R, columns_C[is_similar_RC.argmax(axis=1)]])[:, has_partner_R]
    of_columns_2P = np.stack([rows_R[is_similar_RC.argmax(axis=0)], columns_C])[:, has_partner_C]
    group_N = _merged(group_N, np.concatenate([of_rows_2P, of_columns_2P], axis=1))
    row, column = np.nonzero(is_similar_RC & (group_N[rows_R][:, None] != group_N[columns_C][None, :]))
    return _merged(group_N, np.stack([rows_R[row], columns_C[column]]))


def _merged(group_N: NDArray[np.int64], pairs_2P: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups after joining the groups of each pair of images."""
    if pairs_2P.shape[1] == 0:
        return group_N
    num_groups = int(group_N.max()) + 1
    links = coo_array((np.ones(pairs_2P.shape[1], bool), tuple(group_N[pairs_2P])), shape=(num_groups, num_groups))
    _, joined = connected_components(links, directed=False)
    return joined.astype(np.int64)[group_N]
