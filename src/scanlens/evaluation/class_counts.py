"""How many images and patients there are of each class in each split.

Legend of axes: N images.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from scanlens.evaluation.checks import check_length

FEW_PATIENTS = 5


@dataclass(frozen=True, slots=True)
class Count:
    """Of one split and class; `num_patients` is None where an image has no known patient."""

    split: str
    target: str
    num_images: int
    num_patients: int | None


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Counts of a data set.

    Args:
        counts: by split and class, in the order of their names as given; zeros are told as well.
        images_per_patient: smallest, median and largest number; None where no patient is known.
        num_mixed_patients: with images of several classes.
        few: classes carried by fewer than five patients (images, where patients are not known), with their number.
    """

    counts: list[Count]
    images_per_patient: tuple[int, float, int] | None
    num_mixed_patients: int
    few: dict[str, int]


def class_counts(
    targets: Sequence[str | None],
    patients: Sequence[str | None],
    splits: Sequence[str | None],
    *,
    class_names: Sequence[str],
    split_names: Sequence[str],
) -> ClassCounts:
    """Images and patients by split and class.

    Args:
        targets, patients, splits: of each image; None or "" for unknown, or for an image in no split.
        class_names, split_names: in the order in which to tell them.

    Raises:
        ValueError: if the lengths differ.
    """
    check_length(patients, name="patients", num_images=len(targets))
    check_length(splits, name="splits", num_images=len(targets))
    images, people, nameless = Counter[tuple[str, str]](), defaultdict(set), set()
    for target, patient, split in zip(targets, patients, splits, strict=True):
        for place in ((split or "", target or ""), ("", target or "")) if split else (("", target or ""),):
            images[place] += 1
            if patient:
                people[place].add(patient)
            else:
                nameless.add(place)
    counts = [
        Count(split, name, images[split, name], None if (split, name) in nameless else len(people[split, name]))
        for split in split_names
        for name in class_names
    ]
    carried = {name: images["", name] if ("", name) in nameless else len(people["", name]) for name in class_names}
    per_patient = Counter(patient for patient in patients if patient)
    classes_of = defaultdict(set)
    for target, patient in zip(targets, patients, strict=True):
        if patient and target:
            classes_of[patient].add(target)
    sizes = sorted(per_patient.values())
    return ClassCounts(
        counts,
        (sizes[0], float(median(sizes)), sizes[-1]) if sizes else None,
        sum(len(found) > 1 for found in classes_of.values()),
        {name: num for name, num in carried.items() if num < FEW_PATIENTS},
    )
