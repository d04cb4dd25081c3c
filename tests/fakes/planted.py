"""Predictions whose calibration is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from scanlens.evaluation.resampling import PatientGroups, group_patients

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def drawn(num: int, *, num_classes: int = 3, spread: float = 2.0, seed: int = 0) -> tuple[Floats, Ints]:
    """Logits, and classes that come as their softmax says."""
    generator = np.random.default_rng(seed)
    logits_NK = spread * generator.standard_normal((num, num_classes))
    below_N1 = generator.random((num, 1))
    return logits_NK, (softmax(logits_NK, axis=1).cumsum(axis=1) < below_N1).sum(axis=1).clip(max=num_classes - 1)


def singles(target_N: Ints) -> PatientGroups:
    """Every image a patient of its own."""
    return group_patients([f"p{n}" for n in range(len(target_N))], target_N)


def patients_of(target_N: Ints, per_patient: int) -> PatientGroups:
    """Neighbors in the table share a patient."""
    return group_patients([f"p{n // per_patient}" for n in range(len(target_N))], target_N)
