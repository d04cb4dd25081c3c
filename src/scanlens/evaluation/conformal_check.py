"""Whether sets of classes hold what they promise, on images that they were not fitted on.

Legend of axes: N images, K classes, P patients (or what stands for them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlens.evaluation.checks import check_length, checked_target
from scanlens.evaluation.intervals import Interval, entry, mean_interval, share_entry, share_interval
from scanlens.evaluation.resampling import PatientGroups, group_patients

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SetJudgement:
    """Sets against the truth; every entry is {value, low, high, reason}.

    Args:
        coverage: share of sets that hold the right class, patients weighing the same: what was promised.
        coverage_of_images: the same, images weighing the same.
        mean_size: classes in a set.
        single: share of sets with one class.
        single_right: share of these whose class is the right one.
        empty: share of sets without a class.
        everything: share of sets with all classes.
        sizes: number of sets with 0..K classes.
        per_class: for each class its `coverage` (patients weighing the same), `mean_size` and `num`.
    """

    coverage: Entry
    coverage_of_images: Entry
    mean_size: Entry
    single: Entry
    single_right: Entry
    empty: Entry
    everything: Entry
    sizes: list[int]
    per_class: Mapping[str, Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "coverage": self.coverage,
            "coverage_of_images": self.coverage_of_images,
            "mean_size": self.mean_size,
            "single": self.single,
            "single_right": self.single_right,
            "empty": self.empty,
            "everything": self.everything,
            "sizes": list(self.sizes),
            "per_class": {name: dict(one) for name, one in self.per_class.items()},
        }


def judge_sets(
    is_in_set_NK: ArrayLike, target_N: ArrayLike, *, class_names: Sequence[str], groups: PatientGroups
) -> SetJudgement:
    """Coverage and size of sets on a split, with intervals over patients.

    Args:
        is_in_set_NK: whether each class is in the set of each image.
        target_N: class numbers in 0..K-1.
        class_names: in the order of the columns.
        groups: the patients of these images.

    Raises:
        ValueError: if shapes or class numbers do not fit.
    """
    in_set_NK = np.asarray(is_in_set_NK)
    if in_set_NK.dtype != np.bool_ or in_set_NK.ndim != 2 or len(in_set_NK) == 0:
        raise ValueError(
            f"is_in_set_NK: expected true or false (images, classes), got {in_set_NK.dtype} {in_set_NK.shape}"
        )
    num_images, num_classes = in_set_NK.shape
    target_N = checked_target(target_N, num_images=num_images, num_classes=num_classes)
    check_length(class_names, name="class_names", num_images=num_classes)
    size_N, every_N = in_set_NK.sum(axis=1), np.ones(num_images, dtype=bool)
    holds_N = in_set_NK[np.arange(num_images), target_N]
    return SetJudgement(
        coverage=_over_patients(holds_N, every_N, groups),
        coverage_of_images=share_entry(holds_N, every_N, groups, absent=""),
        mean_size=_mean(size_N, every_N, groups),
        single=share_entry(size_N == 1, every_N, groups, absent=""),
        single_right=share_entry(holds_N, size_N == 1, groups, absent="no set has a single class"),
        empty=share_entry(size_N == 0, every_N, groups, absent=""),
        everything=share_entry(size_N == num_classes, every_N, groups, absent=""),
        sizes=np.bincount(size_N, minlength=num_classes + 1).tolist(),
        per_class={
            name: {
                "num": int((target_N == k).sum()),
                "coverage": _over_patients(holds_N, target_N == k, groups, absent=f"nothing of class '{name}' here"),
                "mean_size": _mean(size_N, target_N == k, groups, absent=f"nothing of class '{name}' here"),
            }
            for k, name in enumerate(class_names)
        },
    )


def _over_patients(
    holds_N: NDArray[np.bool_], among_N: NDArray[np.bool_], groups: PatientGroups, *, absent: str = ""
) -> Entry:
    """Mean over patients of their share, with Wilson's interval for as many trials as there are patients."""
    if not among_N.any():
        return entry(None, Interval(None, None), remark=absent)
    num_P = np.bincount(groups.patient_N[among_N])
    held_P = np.bincount(groups.patient_N[among_N & holds_N], minlength=len(num_P))
    shares_P = held_P[num_P > 0] / num_P[num_P > 0]
    singles = group_patients([None] * len(shares_P), np.zeros(len(shares_P), dtype=np.int64))
    return entry(float(shares_P.mean()), share_interval(shares_P, np.ones(len(shares_P), dtype=bool), singles))


def _mean(size_N: NDArray[np.int64], among_N: NDArray[np.bool_], groups: PatientGroups, *, absent: str = "") -> Entry:
    if not among_N.any():
        return entry(None, Interval(None, None), remark=absent)
    size = size_N.astype(np.float64)
    return entry(float(size[among_N].mean()), mean_interval(size, groups, among_N=among_N))
