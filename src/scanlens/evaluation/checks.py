"""What is refused before anything is computed, with the row that is at fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SUM_TOLERANCE = 1e-3


def checked_predictions(probabilities_NK: ArrayLike, target_N: ArrayLike) -> tuple[Floats, Ints]:
    """Both as arrays (float64 and int64), as they came.

    Args:
        probabilities_NK: one row per image, one column per class: finite, in [0, 1], each row with sum 1 (within
            0.001).
        target_N: class numbers in 0..K-1.

    Raises:
        ValueError: names the first row that is at fault.
    """
    probabilities = checked_probabilities(probabilities_NK)
    return probabilities, checked_target(target_N, num_images=len(probabilities), num_classes=probabilities.shape[1])


def checked_probabilities(probabilities_NK: ArrayLike) -> Floats:
    """`probabilities_NK` as float64, as they came: at least one row and two columns, finite, in [0, 1], rows with sum 1.

    Raises:
        ValueError: names the first row that is at fault.
    """
    probabilities = np.asarray(probabilities_NK, dtype=np.float64)
    if probabilities.ndim != 2 or len(probabilities) == 0 or probabilities.shape[1] < 2:
        raise ValueError(
            "probabilities_NK: expected at least one row and two columns (images, classes), "
            f"got shape {probabilities.shape}"
        )
    _check_rows(probabilities)
    return probabilities


def checked_target(target_N: ArrayLike, *, num_images: int, num_classes: int) -> Ints:
    """`target_N` as int64.

    Raises:
        ValueError: if there is not one whole number in 0..K-1 per image.
    """
    given = np.asarray(target_N)
    if given.shape != (num_images,):
        raise ValueError(
            f"target_N: expected one class number for each of {num_images} images, got shape {given.shape}"
        )
    if not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"target_N: expected whole class numbers (an integer array), got {given.dtype}")
    row = _first((given < 0) | (given >= num_classes))
    if row is not None:
        raise ValueError(
            f"target_N: row {row} is {int(given[row])}, expected a class number in 0..{num_classes - 1}. "
            "Are the class names of the run those of the data?"
        )
    return given.astype(np.int64)


def checked_values(values_N: ArrayLike, *, name: str, low: float = -np.inf, high: float = np.inf) -> Floats:
    """One finite number in [low, high] per image, as float64; `name` appears in the error.

    Raises:
        ValueError: names the first row that is at fault.
    """
    values = np.asarray(values_N, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name}: expected one number per image, got shape {values.shape}")
    row = _first(~np.isfinite(values) | (values < low) | (values > high))
    if row is not None:
        raise ValueError(f"{name}: row {row} is {values[row]}, expected a finite number in [{low:g}, {high:g}]")
    return values


def check_length(items: Sequence[object] | NDArray[Any], *, name: str, num_images: int) -> None:
    """One item per image.

    Raises:
        ValueError: if not.
    """
    if len(items) != num_images:
        raise ValueError(f"{name}: expected one entry for each of {num_images} images, got {len(items)}")


def _check_rows(probabilities_NK: Floats) -> None:
    row = _first(~np.isfinite(probabilities_NK).all(axis=1))
    if row is not None:
        raise ValueError(
            f"probabilities_NK: row {row} holds a value that is not finite: {_shown(probabilities_NK[row])}. "
            "The network has diverged: lower the learning rate, or clip gradients harder."
        )
    row = _first(((probabilities_NK < 0) | (probabilities_NK > 1)).any(axis=1))
    if row is not None:
        raise ValueError(
            f"probabilities_NK: row {row} leaves [0, 1]: {_shown(probabilities_NK[row])}. "
            "Give probabilities, not logits."
        )
    sums_N = probabilities_NK.sum(axis=1)
    row = _first(np.abs(sums_N - 1) > SUM_TOLERANCE)
    if row is not None:
        raise ValueError(
            f"probabilities_NK: row {row} has sum {sums_N[row]:.6g}, expected 1: {_shown(probabilities_NK[row])}. "
            "Classes exclude each other here: give softmax probabilities."
        )


def _first(is_wrong: ArrayLike) -> int | None:
    is_wrong_N = np.asarray(is_wrong, dtype=bool)
    return int(np.argmax(is_wrong_N)) if is_wrong_N.any() else None


def _shown(row_K: Floats) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in row_K[:6]) + (", ...]" if len(row_K) > 6 else "]")
