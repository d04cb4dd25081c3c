"""Which images belong together, and resamples that keep them together: patients are drawn, with all their images.

Legend of axes: N images, P patients (or what stands for them), R resamples.

References:
    Efron & Tibshirani 1993, chapter 8 (clusters).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlens.evaluation.checks import Floats, Ints, check_length

MAX_ENTRIES = 4_000_000  # of a matrix of weights: 32 MB


@dataclass(frozen=True, slots=True)
class PatientGroups:
    """Which images belong together.

    Args:
        patient_N: number of the unit of each image: its patient, else its group of near-duplicates, else itself.
        strata: units (numbers) that are exchanged with one another by a resample; each unit in exactly one.
        num_known: patients that are known by name; they are the first units.
        num_images_alone: images without a known patient.
        num_units_alone: groups, and images by themselves, that these make up.
    """

    patient_N: Ints
    strata: tuple[Ints, ...]
    num_known: int
    num_images_alone: int
    num_units_alone: int

    @property
    def num_patients(self) -> int:
        """Of the known ones, and of the units that images without a patient make up."""
        return self.num_known + self.num_units_alone

    @property
    def unit(self) -> str:
        """What a unit is called, in the plural."""
        if self.num_known:
            return "patients"
        return "groups of near-duplicate images" if self.num_units_alone < self.num_images_alone else "images"

    @property
    def resampled(self) -> str:
        """What a resample draws, in words."""
        if not self.num_known:
            return f"{self.unit} (patients unknown)"
        if not self.num_images_alone:
            return "patients"
        alone = f"{self.num_images_alone} images without a known patient count as"
        if self.num_units_alone < self.num_images_alone:
            return f"patients ({alone} {self.num_units_alone} patients, near-duplicates as one)"
        return f"patients ({alone} one patient each)"

    def count(self, is_meant_N: NDArray[np.bool_]) -> int:
        """Units with at least one image among the meant ones."""
        return len(np.unique(self.patient_N[is_meant_N]))

    def shares_N(self, is_meant_N: NDArray[np.bool_]) -> Floats:
        """One over the number of meant images of the same unit, 0 for the others: units weigh alike, with sum 1 each."""
        num_P = np.bincount(self.patient_N[is_meant_N], minlength=self.num_patients)
        return np.where(is_meant_N, 1 / np.maximum(num_P[self.patient_N], 1), 0.0)


def group_patients(
    patients: Sequence[str | None], target_N: Ints, *, groups: Sequence[str | None] | None = None
) -> PatientGroups:
    """Units as numbers, in strata of their most frequent class.

    A unit that would be alone in a stratum joins the largest one: alone, every resample would contain exactly it.

    Args:
        patients: name of the patient of each image; None or "" if unknown.
        target_N: class numbers; all 0 where there are no classes.
        groups: name of the group of near-duplicates of each image, used where the patient is unknown; None or "" for
            none.

    Raises:
        ValueError: if the lengths differ.
    """
    check_length(patients, name="patients", num_images=len(target_N))
    check_length(groups if groups is not None else patients, name="groups", num_images=len(target_N))
    names: list[tuple[str, str | int]] = [
        ("patient", patient) if patient else ("group", group) if group else ("image", n)
        for n, (patient, group) in enumerate(zip(patients, groups or [None] * len(patients), strict=True))
    ]
    units = sorted(dict.fromkeys(names), key=lambda unit: unit[0] != "patient")
    number = {unit: place for place, unit in enumerate(units)}
    patient_N = np.array([number[name] for name in names], dtype=np.int64)
    num_known = sum(kind == "patient" for kind, _ in units)
    commonest_P = _commonest_class(patient_N, target_N, num_patients=len(units))
    return PatientGroups(
        patient_N,
        _strata(commonest_P),
        num_known=num_known,
        num_images_alone=sum(kind != "patient" for kind, _ in names),
        num_units_alone=len(units) - num_known,
    )


def bootstrap(
    statistics: Callable[[Floats], Mapping[str, Floats]], groups: PatientGroups, *, num_resamples: int, seed: int
) -> dict[str, Floats]:
    """Values of statistics over resamples of patients.

    Args:
        statistics: takes weights_NR (how often each image counts in each resample) and returns arrays with R as
            last axis, NaN where a value is not defined.
        groups: the patients.
        num_resamples: R in all; with 0 the answer is empty.
        seed: the same seed gives the same resamples.
    """
    parts = [statistics(weights_NR) for weights_NR in _resamples(groups, num_resamples=num_resamples, seed=seed)]
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]} if parts else {}


def _commonest_class(patient_N: Ints, target_N: Ints, *, num_patients: int) -> Ints:
    counts_PK = np.zeros((num_patients, int(target_N.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(counts_PK, (patient_N, target_N), 1)
    return counts_PK.argmax(axis=1)


def _strata(class_P: Ints) -> tuple[Ints, ...]:
    by_class = [np.flatnonzero(class_P == k) for k in np.unique(class_P)]
    by_class.sort(key=len, reverse=True)
    several = [members for members in by_class if len(members) > 1]
    alone = [members for members in by_class if len(members) == 1]
    if not several:
        return (np.concatenate(alone),) if alone else ()
    return (np.concatenate([several[0], *alone]), *several[1:])


def _resamples(groups: PatientGroups, *, num_resamples: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
    step = max(1, MAX_ENTRIES // len(groups.patient_N))
    for start in range(0, num_resamples, step):
        size = min(step, num_resamples - start)
        counts_PR = np.zeros((groups.num_patients, size))
        for members in groups.strata:
            counts_PR[members] = _draws(len(members), size, generator)
        yield counts_PR[groups.patient_N]


def _draws(num_members: int, num_resamples: int, generator: np.random.Generator) -> Ints:
    """How often each member is drawn when as many are drawn as there are, with replacement: (members, resamples)."""
    drawn = generator.integers(num_members, size=(num_members, num_resamples))
    cell = drawn * num_resamples + np.arange(num_resamples)
    return np.bincount(cell.ravel(), minlength=num_members * num_resamples).reshape(num_members, num_resamples)
