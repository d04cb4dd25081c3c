"""Binary views from a few numbers, one image a patient or several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from scanlens.evaluation.binary_view import BinaryView, Predictions, matching_views
from scanlens.evaluation.resampling import group_patients

CLASSES = ["healthy", "tumor"]


def view_of(ill: Sequence[float], healthy: Sequence[float], *, patients: Sequence[str] | None = None) -> BinaryView:
    """Units with these scores, the ill ones first; each a patient of its own unless patients are named."""
    score_U = np.array([*ill, *healthy], dtype=np.float64)
    is_positive_U = np.arange(len(score_U)) < len(ill)
    names = list(patients or [f"p{i}" for i in range(len(score_U))])
    return BinaryView(
        score_U=score_U,
        is_positive_U=is_positive_U,
        is_named_U=score_U > 0.5,
        groups=group_patients(names, is_positive_U.astype(np.int64)),
        images_U=tuple((i,) for i in range(len(score_U))),
        positive="tumor",
        unit="patient" if patients is None else "image",
    )


def predictions_of(score_N: ArrayLike, target_N: ArrayLike, patients: Sequence[str | None]) -> Predictions:
    """Of two classes, with the score as probability of the second."""
    score = np.asarray(score_N, dtype=np.float64)
    return Predictions(np.stack([1 - score, score], axis=1), np.asarray(target_N), patients)


def patients_of(seed: int, *, num_patients: int, num_images: int = 3) -> Predictions:
    """Several images a patient, with about two in five ill and scores that overlap."""
    generator = np.random.default_rng(seed)
    is_ill_P = np.arange(num_patients) % 5 < 2
    latent_N = np.repeat(generator.normal(2.0 * is_ill_P - 1.2, 1.0), num_images)
    score_N = 1 / (1 + np.exp(-latent_N - generator.normal(0, 0.5, len(latent_N))))
    names = [f"p{p}" for p in range(num_patients) for _ in range(num_images)]
    return predictions_of(score_N, np.repeat(is_ill_P.astype(np.int64), num_images), names)


def patient_views(seed: int, *, num_patients: int) -> tuple[BinaryView, BinaryView]:
    """Validation and test at the level of patients."""
    validation, test, reason = matching_views(
        patients_of(seed, num_patients=num_patients),
        patients_of(seed + 1000, num_patients=num_patients),
        class_names=CLASSES,
        positive="tumor",
    )
    assert validation is not None
    assert reason is None
    return validation, test
