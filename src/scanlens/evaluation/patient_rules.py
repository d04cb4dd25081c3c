"""How the images of a patient become one row of probabilities.

A rule takes, for each class by itself, the mean of the m highest probabilities among the patient's n images, and divides
the row by its sum:

| rule | m |
|---|---|
| mean | n |
| max | 1 |
| top_k, k a whole number | k, or n where the patient has fewer images |
| top_k, k a share below 1 | k times n, rounded up, at least 1 |

Which of equal images counts makes no difference, nor does their order; of one image every rule gives that image's row.
Where one of two classes is named as positive (a lesion that few slices show), the m highest are those of that class, and
the other class gets the rest up to 1: a patient is then as positive as the most positive slices.

Legend of axes: N images, K classes.

References:
    Ilse, Tomczak & Welling 2018, arXiv:1802.04712 (mean and max pooling of instances).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scanlens.evaluation.checks import Floats

RuleName = Literal["mean", "max", "top_k"]


@dataclass(frozen=True, slots=True)
class PatientRule:
    """One rule, as the head of this module defines it.

    Args:
        name: mean, max or top_k.
        k: for top_k: a whole number of images from 1, or a share of them between 0 and 1; None otherwise.

    Raises:
        ValueError: if k does not fit the name.
    """

    name: RuleName = "mean"
    k: int | float | None = None

    def __post_init__(self) -> None:
        if self.name not in ("mean", "max", "top_k"):
            raise ValueError(f"patient rule: mean, max or top_k is expected, got {self.name!r}")
        if (self.name == "top_k") != (self.k is not None):
            raise ValueError(f"patient rule {self.name}: k goes with top_k and only with it, got {self.k!r}")
        if self.k is not None and not _is_k(self.k):
            raise ValueError(
                f"patient rule top_k: k is a whole number from 1 or a share between 0 and 1, got {self.k!r}"
            )

    def num_used(self, num_images: int) -> int:
        """How many of a patient's images count: m of the table."""
        if self.name == "mean":
            return num_images
        if self.name == "max" or self.k is None:
            return 1
        wanted = self.k if isinstance(self.k, int) else math.ceil(round(self.k * num_images, 9))
        return min(num_images, max(1, wanted))

    def pool(self, probabilities_NK: Floats, *, positive: int | None = None) -> Floats:
        """The row (K,) of one patient.

        Args:
            probabilities_NK: of his images, at least one; each row with sum 1.
            positive: number of the class that one image is enough for, of two; None for none.
        """
        highest_NK = -np.sort(-probabilities_NK, axis=0)
        score_K = highest_NK[: self.num_used(len(highest_NK))].mean(axis=0)
        if positive is not None:
            score_K[1 - positive] = 1 - score_K[positive]
        return score_K / score_K.sum()

    def words(self, noun: str = "image") -> str:
        """Such as "mean of the 3 highest slices"."""
        if self.name == "mean":
            return f"mean of all {noun}s"
        if self.name == "max" or self.k == 1:
            return f"highest {noun}"
        count = str(self.k) if isinstance(self.k, int) else f"{100 * (self.k or 0):g} %"
        return (
            f"mean of the {count} highest {noun}s"
            if isinstance(self.k, int)
            else f"mean of the highest {count} of {noun}s"
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "k": self.k}


MEAN = PatientRule()


def _is_k(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value >= 1 if isinstance(value, int) else 0 < value < 1
