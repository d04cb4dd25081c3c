"""From images to patients: one probability and one class for each, where that makes sense.

Legend of axes: N images, K classes, P patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scanlens.evaluation.checks import Floats, Ints, check_length

MAX_MIXED_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class PatientLevel:
    """Predictions of patients.

    Args:
        probabilities_PK: mean of the probabilities of the patient's images.
        target_P: the class that all images of the patient share.
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


def patient_level(
    probabilities_NK: Floats, target_N: Ints, patients: Sequence[str | None]
) -> tuple[PatientLevel | None, str | None]:
    """The patient level, or None and the reason as a clause ("no patient is known, ...").

    Args:
        probabilities_NK: checked probabilities.
        target_N: checked class numbers.
        patients: name of the patient of each image; None or "" if unknown.

    Raises:
        ValueError: if the lengths differ.
    """
    check_length(patients, name="patients", num_images=len(target_N))
    is_known_N = np.array([bool(name) for name in patients], dtype=bool)
    names = list(dict.fromkeys(name for name in patients if name))
    if not names:
        return None, "no patient is known, so that images cannot be joined"
    number = {name: p for p, name in enumerate(names)}
    patient = np.array([number[name] for name in patients if name], dtype=np.int64)
    probabilities, target = probabilities_NK[is_known_N], target_N[is_known_N]
    is_mixed_P = _is_mixed(patient, target, num_patients=len(names))
    reason = _why_not(num_images=len(patient), num_patients=len(names), num_mixed=int(is_mixed_P.sum()))
    if reason:
        return None, reason
    means_PK = _means(probabilities, patient, num_patients=len(names))
    target_P = np.zeros(len(names), dtype=np.int64)
    target_P[patient] = target
    kept = np.flatnonzero(~is_mixed_P)
    level = PatientLevel(
        probabilities_PK=means_PK[kept],
        target_P=target_P[kept],
        patients=[names[p] for p in kept],
        num_images=int((~is_mixed_P)[patient].sum()),
        num_mixed=int(is_mixed_P.sum()),
        num_images_alone=int((~is_known_N).sum()),
    )
    return level, None


def _is_mixed(patient: Ints, target: Ints, *, num_patients: int) -> np.ndarray:
    lowest = np.full(num_patients, np.iinfo(np.int64).max)
    highest = np.full(num_patients, -1)
    np.minimum.at(lowest, patient, target)
    np.maximum.at(highest, patient, target)
    return lowest != highest


def _why_not(*, num_images: int, num_patients: int, num_mixed: int) -> str | None:
    if num_patients == 1:
        return "all images are of one patient"
    if num_patients == num_images:
        return "every patient has a single image, so that the patient level is the image level"
    if num_mixed > MAX_MIXED_SHARE * num_patients:
        return f"{num_mixed} of {num_patients} patients have images of several classes and so no class of their own"
    return "only one patient has images of a single class" if num_patients - num_mixed < 2 else None


def _means(values_NK: Floats, patient: Ints, *, num_patients: int) -> Floats:
    sums_PK = np.zeros((num_patients, values_NK.shape[1]))
    np.add.at(sums_PK, patient, values_NK)
    return sums_PK / np.bincount(patient, minlength=num_patients)[:, None]
