"""Labels that other images contradict: the nearest ones, or those that show the very same.

Where pictures of one class do not look alike, neighbors know nothing of labels, and whom they contradict says nothing.
So the neighbors are judged first, and there is no list where they are wrong too often.

Legend of axes: N images, D pixels of a thumbnail, K classes, C images of a chunk.

References:
    Wilson, Asymptotic properties of nearest neighbor rules using edited data, 1972.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlens.evaluation.checks import Floats, Ints, check_length, checked_target
from scanlens.evaluation.nearest import Rows

CHUNK = 1024
MOST_AT_ONCE = 4_000_000  # correlations held in memory
NUM_NEIGHBORS = 10
MIN_MARGIN = 0.6  # share of votes for another class less that for the label
MIN_AGREEMENT = 0.5  # of the way from chance to always right


@dataclass(frozen=True, slots=True)
class DoubtfulLabel:
    """One image whose neighbors are of another class.

    Args:
        index: its row.
        target, suggested: its class, and the one that most neighbors have.
        margin: share of votes for `suggested` less that for `target`, `MIN_MARGIN` to 1.
    """

    index: int
    target: int
    suggested: int
    margin: float


@dataclass(frozen=True, slots=True)
class DoubtfulLabels:
    """What neighbors say.

    Args:
        balanced_accuracy: of the vote of neighbors, mean over classes; None if there is none.
        found: most doubtful first, at most as many as were asked for.
        num_found: in all.
        reason: why there is no list.
    """

    balanced_accuracy: float | None
    found: list[DoubtfulLabel]
    num_found: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LabelConflict:
    """Images that show the same and have several labels.

    Args:
        group: its number.
        indices: all of its images.
        counts: images of each class, by class number.
    """

    group: int
    indices: list[int]
    counts: dict[int, int]


def doubtful_labels(
    thumbs_ND: Rows, target_N: Ints, group_N: Ints, *, num_neighbors: int = NUM_NEIGHBORS, most: int = 1000
) -> DoubtfulLabels:
    """Images whose nearest images of other groups are mostly of one other class.

    Args:
        thumbs_ND: rows of mean 0 and length 1, so that a dot product is a correlation; read a chunk at a time.
        target_N: class numbers, 0 or more.
        group_N: equal numbers for images that belong together; they have no vote on each other.
        num_neighbors: that vote, each with its correlation (none below 0).
        most: listed; all are counted.

    Raises:
        ValueError: if lengths do not fit.
    """
    num = len(thumbs_ND)
    target_N = checked_target(target_N, num_images=num, num_classes=int(target_N.max(initial=0)) + 1)
    check_length(group_N, name="group_N", num_images=num)
    present = np.unique(target_N)
    if len(present) < 2 or len(np.unique(group_N)) <= num_neighbors:
        return DoubtfulLabels(None, [], 0, f"two classes and more than {num_neighbors} groups are needed")
    votes_NK = _votes(thumbs_ND, target_N, group_N, num_neighbors)
    suggested_N = votes_NK.argmax(axis=1)
    every_N = np.arange(num)
    agreement = float(np.mean([(suggested_N[target_N == k] == k).mean() for k in present]))
    if (agreement - 1 / len(present)) / (1 - 1 / len(present)) < MIN_AGREEMENT:
        reason = (
            f"neighbors are right for {100 * agreement:.0f} % of the images (mean over classes) and cannot judge labels"
        )
        return DoubtfulLabels(agreement, [], 0, reason)
    margin_N = votes_NK[every_N, suggested_N] - votes_NK[every_N, target_N]
    doubtful = np.flatnonzero(margin_N >= MIN_MARGIN)
    doubtful = doubtful[np.argsort(-margin_N[doubtful], kind="stable")]
    found = [DoubtfulLabel(int(i), int(target_N[i]), int(suggested_N[i]), float(margin_N[i])) for i in doubtful[:most]]
    return DoubtfulLabels(agreement, found, len(doubtful))


def label_conflicts(group_N: Ints, target_N: Ints) -> list[LabelConflict]:
    """Groups with several labels: first where one image stands against most others, then by number.

    Args:
        group_N: equal numbers for images that show the same; below 0 for an image that is nobody's copy.
        target_N: class numbers, 0 or more; below 0 for unknown.

    Raises:
        ValueError: if the lengths differ.
    """
    check_length(target_N, name="target_N", num_images=len(group_N))
    meant = np.flatnonzero((group_N >= 0) & (target_N >= 0))
    pairs = np.unique(np.stack([group_N[meant], target_N[meant]]), axis=1)
    groups, num_classes = np.unique(pairs[0], return_counts=True)
    found = [_conflict(int(group), meant[group_N[meant] == group], target_N) for group in groups[num_classes > 1]]
    return sorted(found, key=lambda one: (-max(one.counts.values()) / len(one.indices), one.group))


def _conflict(group: int, indices: Ints, target_N: Ints) -> LabelConflict:
    classes, counts = np.unique(target_N[indices], return_counts=True)
    return LabelConflict(group, indices.tolist(), dict(zip(classes.tolist(), counts.tolist(), strict=True)))


def _votes(thumbs_ND: Rows, target_N: Ints, group_N: Ints, num_neighbors: int) -> Floats:
    """Shares of votes (N, K); rows without a neighbor above correlation 0 are zero."""
    is_class_NK = np.eye(int(target_N.max()) + 1)[target_N]
    votes_NK = np.zeros_like(is_class_NK)
    step = max(1, min(CHUNK, MOST_AT_ONCE // len(thumbs_ND)))
    for start in range(0, len(thumbs_ND), step):
        chunk = slice(start, start + step)
        likeness, place = _nearest(thumbs_ND, thumbs_ND[chunk], group_N, group_N[chunk], num_neighbors)
        weight = np.maximum(likeness, 0)
        votes = np.einsum("cn,cnk->ck", weight, is_class_NK[place])
        votes_NK[chunk] = votes / np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    return votes_NK


def _nearest(
    thumbs_ND: Rows, chunk_CD: NDArray[np.float32], group_N: Ints, own_C: Ints, num_neighbors: int
) -> tuple[Floats, Ints]:
    """Correlation and row of the most alike images of other groups, (C, num_neighbors) each."""
    likeness = np.concatenate(
        [chunk_CD @ thumbs_ND[other : other + CHUNK].T for other in range(0, len(thumbs_ND), CHUNK)], axis=1
    ).astype(np.float64)
    likeness[own_C[:, None] == group_N[None, :]] = -np.inf
    place = np.argpartition(-likeness, num_neighbors - 1, axis=1)[:, :num_neighbors]
    return np.take_along_axis(likeness, place, axis=1), place
