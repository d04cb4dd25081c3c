"""Whom each image of a group of near-duplicates is most like, and how: what a list of copies shows.

Legend of axes: N images, M images of a batch, H rows, W columns, T transformations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlens.data.correlation import SAME, TRANSFORMATIONS, correlations
from scanlens.data.duplicates import pair_thresholds

NOBODY = -1
_BATCH = 64  # images of small groups that are compared together
_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Partners:
    """For each image the other one of its group that it is most like.

    Args:
        partner_N: number of that image; -1 for an image alone in its group.
        correlation_N: of their thumbnails, the image being transformed so; 0 for an image alone.
        transformation_N: place in `TRANSFORMATIONS` of what turns the image into its partner.
    """

    partner_N: NDArray[np.int64]
    correlation_N: NDArray[np.float32]
    transformation_N: NDArray[np.int64]

    def name(self, index: int) -> str:
        """What turns the image into its partner: "same", "mirrored", "rotated 90" ..."""
        return TRANSFORMATIONS[self.transformation_N[index]]


def best_partners(thumbs_NHW: NDArray[np.float32], group_N: NDArray[np.int64]) -> Partners:
    """The best partner of each image within its group.

    Best is who exceeds the usual threshold of its transformation most (`pair_thresholds`): a symmetric picture and its copy
    are "same", not "mirrored".

    Args:
        thumbs_NHW: square thumbnails, in memory or mapped; those of groups of two and more are read.
        group_N: group of each image, as `near_duplicate_groups` finds them.

    Raises:
        ValueError: if the lengths differ.
    """
    if len(thumbs_NHW) != len(group_N):
        raise ValueError(f"a group for each of {len(thumbs_NHW)} images is expected, {len(group_N)} came.")
    num = len(group_N)
    found = Partners(np.full(num, NOBODY), np.zeros(num, np.float32), np.full(num, SAME))
    best_N = np.full(num, -np.inf, np.float32)
    for batch_M in _batches(group_N):
        for top in range(0, len(batch_M), _BLOCK):
            for left in range(0, len(batch_M), _BLOCK):
                _compare(thumbs_NHW, group_N, batch_M[top : top + _BLOCK], batch_M[left : left + _BLOCK], found, best_N)
    return found


def _batches(group_N: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Numbers of the images of whole groups, of some small groups at a time or of one large one."""
    _, code_N, counts = np.unique(group_N, return_inverse=True, return_counts=True)
    order = np.argsort(code_N, kind="stable")
    order = order[counts[code_N[order]] > 1]
    groups = np.split(order, np.flatnonzero(np.diff(code_N[order])) + 1)
    waiting: list[NDArray[np.int64]] = []
    for members in groups:
        waiting.append(members)
        if sum(map(len, waiting)) >= _BATCH:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _compare(
    thumbs_NHW: NDArray[np.float32],
    group_N: NDArray[np.int64],
    rows_R: NDArray[np.int64],
    columns_C: NDArray[np.int64],
    found: Partners,
    best_N: NDArray[np.float32],
) -> None:
    """Note in `found` and `best_N` where an image of the columns beats the partners of an image of the rows so far."""
    no_pair_RC = (group_N[rows_R][:, None] != group_N[columns_C]) | (rows_R[:, None] == columns_C)
    for transformation, threshold in enumerate(pair_thresholds().tolist()):
        correlation_RC = correlations(thumbs_NHW, rows_R, columns_C, transformation)
        correlation_RC[no_pair_RC] = -np.inf
        column_R = correlation_RC.argmax(axis=1)
        highest_R = correlation_RC[np.arange(len(rows_R)), column_R]
        is_better_R = highest_R - threshold > best_N[rows_R]
        better = rows_R[is_better_R]
        best_N[better] = highest_R[is_better_R] - threshold
        found.partner_N[better] = columns_C[column_R[is_better_R]]
        found.correlation_N[better] = highest_R[is_better_R]
        found.transformation_N[better] = transformation
