"""The anchor without learning: what the most similar training thumbnail says.

A network that does not beat it has learned nothing that comparing pixels would not give; where it is very good,
training and test images are near-duplicates.

Legend of axes: N training images, M test images, D pixels of a thumbnail.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import f1_score

from scanlens.evaluation.checks import Ints, checked_target

CHUNK = 1024


class Rows(Protocol):
    """Thumbnails as rows of pixels: an array, or anything that can be sliced like one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> NDArray[Any]: ...


def nearest_neighbor_baseline(train_thumbs_ND: Rows, train_target_N: ArrayLike, test_thumbs_MD: Rows) -> Ints:
    """The class of the training image at the least Euclidean distance; the first of several that are equally near.

    Args:
        train_thumbs_ND: thumbnails as rows of pixels (integers up to 16 bits, or floats), such as 32x32 = 1024 columns;
            read a chunk at a time.
        train_target_N: class numbers, 0 or more.
        test_thumbs_MD: as the training thumbnails.

    Raises:
        ValueError: if shapes do not fit or a pixel is not finite.
    """
    _check_thumbs(train_thumbs_ND, test_thumbs_MD)
    train_target = np.asarray(train_target_N)
    top = int(train_target.max(initial=0)) + 1 if np.issubdtype(train_target.dtype, np.integer) else 1
    train_target = checked_target(train_target, num_images=len(train_thumbs_ND), num_classes=top)
    nearest = [_nearest(train_thumbs_ND, test_thumbs_MD[m : m + CHUNK]) for m in range(0, len(test_thumbs_MD), CHUNK)]
    return train_target[np.concatenate(nearest)] if nearest else np.zeros(0, dtype=np.int64)


def nearest_neighbor_scores(
    train_thumbs_ND: Rows,
    train_target_N: ArrayLike,
    test_thumbs_MD: Rows,
    test_target_M: ArrayLike,
) -> dict[str, float]:
    """`accuracy`, `balanced_accuracy` (mean over the classes among the test images) and `macro_f1` of the baseline."""
    predicted_M = nearest_neighbor_baseline(train_thumbs_ND, train_target_N, test_thumbs_MD)
    target_M = np.asarray(test_target_M)
    if target_M.shape != predicted_M.shape or len(target_M) == 0:
        raise ValueError(
            f"test_target_M: expected a class number for each of {len(predicted_M)} images (at least one), "
            f"got shape {target_M.shape}"
        )
    is_right_M = predicted_M == target_M
    return {
        "accuracy": float(is_right_M.mean()),
        "balanced_accuracy": float(np.mean([is_right_M[target_M == k].mean() for k in np.unique(target_M)])),
        "macro_f1": float(f1_score(target_M, predicted_M, average="macro", zero_division=0.0)),
    }


def _check_thumbs(train_ND: Rows, test_MD: Rows) -> None:
    if (
        len(train_ND.shape) != 2
        or len(test_MD.shape) != 2
        or train_ND.shape[1] != test_MD.shape[1]
        or len(train_ND) == 0
    ):
        raise ValueError(
            "expected training and test thumbnails as rows with equally many pixels and at least one training image, "
            f"got shapes {train_ND.shape} and {test_MD.shape}"
        )


def _nearest(train_ND: Rows, test_CD: NDArray[Any]) -> Ints:
    """Row of the nearest training image; in float64, in which 16-bit pixels of a thumbnail are added exactly."""
    test = _finite(test_CD, "test_thumbs_MD")
    best_C = np.full(len(test), np.inf)
    row_C = np.zeros(len(test), dtype=np.int64)
    every_C = np.arange(len(test))
    for start in range(0, len(train_ND), CHUNK):
        train = _finite(train_ND[start : start + CHUNK], "train_thumbs_ND")
        distance_CN = np.square(train).sum(axis=1) - 2 * test @ train.T  # less |test|^2, which is the same for all
        column_C = distance_CN.argmin(axis=1)
        is_nearer_C = distance_CN[every_C, column_C] < best_C
        best_C[is_nearer_C] = distance_CN[every_C, column_C][is_nearer_C]
        row_C[is_nearer_C] = start + column_C[is_nearer_C]
    return row_C


def _finite(thumbs: NDArray[Any], name: str) -> NDArray[np.float64]:
    values = thumbs.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: a pixel is not finite")
    return values
