"""From images to patients: one probability and one class for each, where that makes sense.

Legend of axes: N images, K classes, P patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scanlens.evaluation.checks import Floats, Ints, check_length
from scanlens.evaluation.patient_rules import MEAN, PatientRule

MAX_MIXED_SHARE = 0.5
MIXED = -1
NEGATIVE_WORDS = (
    "no_tumor", "no_tumour", "notumor", "notumour", "no_lesion", "no_finding", "normal", "healthy", "negative", "benign",
    "control", "uninfected", "clear", "none", "non_demented", "no_dementia", "cognitively_normal",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Patients:
    """Everyone whose name is known.

    Args:
        names: in order of appearance.
        probabilities_PK: of the patient, by the rule.
        target_P: the class of all his images, or the positive class if any is of it; -1 where they are of several.
        num_images_P: how many he has.
    """

    names: list[str]
    probabilities_PK: Floats
    target_P: Ints
    num_images_P: Ints


@dataclass(frozen=True, slots=True)
class PatientLevel:
    """Predictions of the patients that have a class.

    Args:
        probabilities_PK: of the patient, by the rule.
        target_P: the class that all images of the patient share, or the positive class if any image is of it.
        patients: names, in order of appearance.
        num_images: of these patients.
        num_mixed: patients left out because their images are of several classes.
        num_images_alone: images left out because their patient is unknown.
    """

    probabilities_PK: Floats
    target_P: Ints
    patients: list[str]
    num_images: int
    num_mixed: int
    num_images_alone: int


def join_images(
    probabilities_NK: Floats,
    target_N: Ints,
    patients: Sequence[str | None],
    *,
    rule: PatientRule = MEAN,
    positive: int | None = None,
) -> Patients:
    """All patients whose name is known, also those whose images are of several classes.

    Args:
        probabilities_NK: checked probabilities.
        target_N: checked class numbers.
        patients: name of the patient of each image; None or "" if unknown.
        rule: how images become a patient.
        positive: the class of two that one image is enough for; None for none.

    Raises:
        ValueError: if the lengths differ.
    """
    check_length(patients, name="patients", num_images=len(target_N))
    images_of: dict[str, list[int]] = {}
    for place, name in enumerate(patients):
        if name:
            images_of.setdefault(name, []).append(place)
    rows = [rule.pool(probabilities_NK[places], positive=positive) for places in images_of.values()]
    targets = [_class_of(target_N[places], positive) for places in images_of.values()]
    return Patients(
        names=list(images_of),
        probabilities_PK=np.array(rows).reshape(len(rows), probabilities_NK.shape[1]),
        target_P=np.array(targets, dtype=np.int64),
        num_images_P=np.array([len(places) for places in images_of.values()], dtype=np.int64),
    )


def patient_level(
    probabilities_NK: Floats,
    target_N: Ints,
    patients: Sequence[str | None],
    *,
    rule: PatientRule = MEAN,
    positive: int | None = None,
) -> tuple[PatientLevel | None, str | None]:
    """The patient level, or None and the reason as a clause ("no patient is known, ..."); arguments as in `join_images`.

    Raises:
        ValueError: if the lengths differ.
    """
    known = join_images(probabilities_NK, target_N, patients, rule=rule, positive=positive)
    reason = _why_not(known)
    if reason:
        return None, reason
    kept = np.flatnonzero(known.target_P != MIXED)
    level = PatientLevel(
        probabilities_PK=known.probabilities_PK[kept],
        target_P=known.target_P[kept],
        patients=[known.names[p] for p in kept],
        num_images=int(known.num_images_P[kept].sum()),
        num_mixed=len(known.names) - len(kept),
        num_images_alone=len(target_N) - int(known.num_images_P.sum()),
    )
    return level, None


def negative_classes(class_names: Sequence[str]) -> list[int]:
    """Numbers of the classes whose name means that there is nothing (no_tumor, normal, healthy, uninfected ...)."""
    plain = [name.lower().replace(" ", "_").replace("-", "_") for name in class_names]
    return [k for k, name in enumerate(plain) if name in NEGATIVE_WORDS]


def positive_of(class_names: Sequence[str], wanted: str | None) -> int | None:
    """Number of the class that one image is enough for; None if there is none.

    Args:
        class_names: of the run.
        wanted: its name; "auto" for the one beside a class that means nothing (no_tumor, normal, healthy, negative ...);
            None for none.

    Raises:
        ValueError: if there are not two classes, the name is not among them, or "auto" finds no negative one.
    """
    if wanted is None:
        return None
    if len(class_names) != 2:
        raise ValueError(f"it goes with two classes, and there are {len(class_names)}: {', '.join(class_names)}")
    if wanted != "auto" and wanted in class_names:
        return list(class_names).index(wanted)
    negative = negative_classes(class_names)
    if wanted == "auto" and len(negative) == 1:
        return 1 - negative[0]
    told = "which of them means 'nothing' cannot be told" if wanted == "auto" else f"'{wanted}' is none of them"
    raise ValueError(f"the classes are {class_names[0]} and {class_names[1]}, and {told}; name one of them")


def _class_of(target_n: Ints, positive: int | None) -> int:
    if positive is not None and (target_n == positive).any():
        return positive
    return int(target_n[0]) if (target_n == target_n[0]).all() else MIXED


def _why_not(known: Patients) -> str | None:
    num_patients, num_mixed = len(known.names), int((known.target_P == MIXED).sum())
    if num_patients == 0:
        return "no patient is known, so that images cannot be joined"
    if num_patients == 1:
        return "all images are of one patient"
    if num_patients == known.num_images_P.sum():
        return "every patient has a single image, so that the patient level is the image level"
    if num_mixed > MAX_MIXED_SHARE * num_patients:
        return f"{num_mixed} of {num_patients} patients have images of several classes and so no class of their own"
    return "only one patient has images of a single class" if num_patients - num_mixed < 2 else None
