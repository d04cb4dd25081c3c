"""Few tumors, many normals: which remedy a run uses, from the class counts of its training split alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancePlan:
    """What is done about unequal class counts.

    Args:
        class_weights: the loss of each image is weighted by n / (K * images of its class).
        sampler: images are drawn with replacement so that all classes come equally often.
        focal_gamma: exponent of the focal loss (Lin et al. 2017), 0 or more; None for plain cross entropy.
        logit_adjustment: strength tau of logit adjustment (Menon et al. 2021), above 0; None for none.

    Raises:
        ValueError: for two remedies that would correct the same imbalance twice.
    """

    class_weights: bool = False
    sampler: bool = False
    focal_gamma: float | None = None
    logit_adjustment: float | None = None

    def __post_init__(self) -> None:
        remedies = {
            "class_weights": self.class_weights,
            "sampler": self.sampler,
            "logit_adjustment": self.logit_adjustment is not None,
        }
        chosen = [name for name, is_chosen in remedies.items() if is_chosen]
        if len(chosen) > 1:
            raise ValueError(
                f"balance: {' and '.join(chosen)} would correct the same imbalance twice. Keep one of them, "
                "such as balance=class_weights."
            )
        if self.focal_gamma is not None and self.focal_gamma < 0:
            raise ValueError(f"balance.focal_gamma must be 0 or more, got {self.focal_gamma}. The paper uses 2.")
        if self.logit_adjustment is not None and self.logit_adjustment <= 0:
            raise ValueError(
                f"balance.logit_adjustment must be above 0, got {self.logit_adjustment}. The paper uses 1."
            )


def class_counts(target_N: NDArray[np.integer], num_classes: int) -> NDArray[np.int64]:
    """Images of each class, (K,).

    Raises:
        ValueError: for targets outside 0 .. K-1, such as -1 for an image without a class.
    """
    target = np.asarray(target_N, dtype=np.int64)
    num_wrong = int(np.count_nonzero((target < 0) | (target >= num_classes)))
    if num_wrong:
        raise ValueError(
            f"balance: {num_wrong} of {len(target)} training images have none of the {num_classes} classes. "
            "Name all classes, or use balance=none."
        )
    return np.bincount(target, minlength=num_classes)


def sampling_weights(target_N: NDArray[np.integer], class_names: Sequence[str]) -> NDArray[np.float64]:
    """The probability with which each image is drawn, (N,), so that every class is drawn equally often.

    Raises:
        ValueError: if a class has no image (names the class).
    """
    counts_K = class_counts(target_N, len(class_names))
    empty = [name for name, count in zip(class_names, counts_K, strict=True) if count == 0]
    if empty:
        raise ValueError(f"balance.sampler: class {', '.join(map(repr, empty))} has no training image to draw from.")
    return (1.0 / (len(class_names) * counts_K))[np.asarray(target_N, dtype=np.int64)]
