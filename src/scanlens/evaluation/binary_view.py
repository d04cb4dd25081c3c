"""One class that must not be missed against all others: a score and a yes or no for each patient, or each image.

The positive class is called ill in words here, all others healthy. Patients are taken where both splits have them, so
that a threshold chosen on one means the same on the other.

Legend of axes: N images, K classes, U units (patients at the patient level, else images).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlens.evaluation.checks import Floats, Ints, checked_predictions
from scanlens.evaluation.patients import PatientLevel, patient_level
from scanlens.evaluation.resampling import PatientGroups, group_patients

Bools = NDArray[np.bool_]
Unit = Literal["patient", "image"]
Join = Callable[[Floats, Ints, Sequence[str | None]], tuple[PatientLevel | None, str | None]]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The predictions of one split, as they were written.

    Args:
        probabilities_NK: finite, in [0, 1], rows with sum 1; each image once.
        target_N: class numbers in 0..K-1.
        patients: name of the patient of each image; None or "" if unknown.
        groups: name of the group of near-duplicates of each image, used where the patient is unknown; None for none.
    """

    probabilities_NK: ArrayLike
    target_N: ArrayLike
    patients: Sequence[str | None]
    groups: Sequence[str | None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BinaryView:
    """The positive class against all others.

    Args:
        score_U: probability of the positive class, in [0, 1].
        is_positive_U: whether the unit is of the positive class.
        is_named_U: whether the positive class has the highest probability (the first of equal ones).
        groups: which units are resampled together.
        images_U: for each unit the rows of its images in the predictions.
        positive: name of the positive class.
        unit: what a unit is.
    """

    score_U: Floats
    is_positive_U: Bools
    is_named_U: Bools
    groups: PatientGroups
    images_U: tuple[tuple[int, ...], ...]
    positive: str
    unit: Unit

    @property
    def num_positive(self) -> int:
        """Units of the positive class."""
        return int(self.is_positive_U.sum())

    @property
    def num_negative(self) -> int:
        """Units of all other classes."""
        return len(self.is_positive_U) - self.num_positive

    @property
    def has_independent_units(self) -> bool:
        """Whether no two units are of the same patient, or near-duplicates."""
        return self.groups.num_patients == len(self.score_U)


def matching_views(
    validation: Predictions | None,
    test: Predictions,
    *,
    class_names: Sequence[str],
    positive: str,
    join: Join = patient_level,
) -> tuple[BinaryView | None, BinaryView, str | None]:
    """Validation and test at the same level, and why that is not the level of patients (None if it is).

    Args:
        validation: None if there is no such split.
        test: the other split.
        class_names: in the order of the columns.
        positive: the class not to miss.
        join: makes patients of images; `patient_level` with the rule of the run.

    Raises:
        ValueError: names what is at fault: a row, or a class that does not exist.
    """
    if positive not in class_names:
        raise ValueError(f"positive: '{positive}' is none of the classes, which are {', '.join(class_names)}")
    splits = {"validation": validation, "test": test}
    levels = {name: _joined(one, join) for name, one in splits.items() if one is not None}
    why_not = [f"{reason} ({name})" for name, (_, reason) in levels.items() if reason]
    views = {
        name: _view(one, None if why_not else levels[name][0], list(class_names).index(positive), positive)
        for name, one in splits.items()
        if one is not None
    }
    return views.get("validation"), views["test"], "; ".join(why_not) or None


def _joined(split: Predictions, join: Join) -> tuple[PatientLevel | None, str | None]:
    return join(*checked_predictions(split.probabilities_NK, split.target_N), split.patients)


def _view(split: Predictions, level: PatientLevel | None, column: int, positive: str) -> BinaryView:
    probabilities, target = checked_predictions(split.probabilities_NK, split.target_N)
    groups = group_patients(split.patients, target, groups=split.groups)
    images: tuple[tuple[int, ...], ...] = tuple((row,) for row in range(len(target)))
    if level is not None:
        probabilities, target = level.probabilities_PK, level.target_P
        groups = group_patients(level.patients, target)
        rows_of: dict[str, list[int]] = {name: [] for name in level.patients}
        for row, name in enumerate(split.patients):
            rows_of.get(name or "", []).append(row)
        images = tuple(tuple(rows_of[name]) for name in level.patients)
    return BinaryView(
        score_U=probabilities[:, column],
        is_positive_U=target == column,
        is_named_U=probabilities.argmax(axis=1) == column,
        groups=groups,
        images_U=images,
        positive=positive,
        unit="image" if level is None else "patient",
    )
