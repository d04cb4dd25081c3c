"""What a number is worth: intervals that know that images of one patient are alike.

Two methods. Shares of images (accuracy, sensitivity, hits) get Wilson's interval with the number of independent
images that would be as certain; it does not shrink to nothing at 0 or 1, and with few patients it holds what it says,
where percentiles do not. Everything else is resampled: patients are drawn with all their images, within their class.

Legend of axes: N images, P patients, R resamples.

References:
    Wilson 1927; Korn & Graubard 1998 and Dean & Pagano 2015 (effective sample size in Wilson's interval);
    Efron & Tibshirani 1993, chapters 8 and 13 (clusters, percentiles); Hesterberg 2015, arXiv:1411.5279 (expanded
    percentiles).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from scanlens.evaluation.checks import Floats, Ints, check_length

LEVEL = 0.95
MAX_UNDEFINED_SHARE = 0.2
MIN_RESAMPLES = 40  # below, the 2.5 % percentile lies beyond the second smallest value
MAX_ENTRIES = 4_000_000  # of a matrix of weights: 32 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds, or None for both and the reason."""

    low: float | None
    high: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PatientGroups:
    """Which images belong together.

    Args:
        patient_N: number of the patient of each image; an image without a known patient is a patient of its own.
        strata: patients (numbers) that are exchanged with one another by a resample; each patient in exactly one.
        num_known: patients that are known by name.
        num_images_alone: images without a known patient.
    """

    patient_N: Ints
    strata: tuple[Ints, ...]
    num_known: int
    num_images_alone: int

    @property
    def num_patients(self) -> int:
        """Of the known ones, and those that an image without a patient stands for."""
        return self.num_known + self.num_images_alone

    @property
    def resampled(self) -> str:
        """What a resample draws, in words."""
        if not self.num_known:
            return "images (patients unknown)"
        if not self.num_images_alone:
            return "patients"
        return f"patients ({self.num_images_alone} images without a known patient count as one patient each)"

    def count(self, is_meant_N: NDArray[np.bool_]) -> int:
        """Patients with at least one image among the meant ones."""
        return len(np.unique(self.patient_N[is_meant_N]))


def wilson(successes: float, trials: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Bounds of a share, from `successes` among independent `trials` (Wilson 1927, without continuity correction).

    Args:
        successes: 0..trials; need not be whole, so that an effective number can be used.
        trials: more than 0.
        level: confidence, in (0, 1).

    Raises:
        ValueError: if the numbers do not fit.
    """
    if not (0 <= successes <= trials and trials > 0):
        raise ValueError(f"wilson: expected 0 <= successes <= trials and trials > 0, got {successes} of {trials}")
    z = _normal_quantile(level)
    share, widening = successes / trials, z**2 / trials
    center = (share + widening / 2) / (1 + widening)
    half = z / (1 + widening) * math.sqrt(share * (1 - share) / trials + widening / (4 * trials))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == trials else min(1.0, center + half)
    return low, high


def group_patients(patients: Sequence[str | None], target_N: Ints) -> PatientGroups:
    """Patients as numbers, in strata of their most frequent class.

    A patient who would be alone in a stratum joins the largest one: alone, every resample would contain exactly him.

    Args:
        patients: name of the patient of each image; None or "" if unknown.
        target_N: class numbers; all 0 where there are no classes.

    Raises:
        ValueError: if the lengths differ.
    """
    check_length(patients, name="patients", num_images=len(target_N))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(name for name in patients if name))}
    num_known = len(numbers)
    alone = iter(range(num_known, num_known + len(patients)))
    patient_N = np.array([numbers[name] if name else next(alone) for name in patients], dtype=np.int64)
    num_alone = sum(not name for name in patients)
    commonest_P = _commonest_class(patient_N, target_N, num_patients=num_known + num_alone)
    return PatientGroups(patient_N, _strata(commonest_P), num_known=num_known, num_images_alone=num_alone)


def share_interval(
    success_N: NDArray[np.generic], among_N: NDArray[np.bool_], groups: PatientGroups, *, level: float = LEVEL
) -> Interval:
    """Interval of the share of successes among the meant images, aware of patients.

    The variance of the share between patients (linearized ratio) says how many independent images would be as
    certain; that number, never above the real one and lowered further for few patients (Student's t), goes into
    Wilson's interval. Where all images agree that variance is unknown, and the number of patients is used.

    Args:
        success_N: true or false, or a value in [0, 1].
        among_N: the images that count.
        groups: their patients.
        level: confidence.
    """
    success = success_N[among_N].astype(np.float64)
    num_images, num_patients = len(success), groups.count(among_N)
    if num_images == 0:
        return Interval(None, None, "no interval: nothing to count")
    share = float(success.mean())
    if num_patients == num_images:
        return Interval(*wilson(share * num_images, num_images, level=level))
    if num_patients == 1:
        return Interval(None, None, "no interval: all images are of one patient")
    effective = _effective_number(success, groups.patient_N[among_N], num_patients=num_patients, level=level)
    return Interval(*wilson(share * effective, effective, level=level))


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


def percentile_interval(samples_R: Floats | None, *, num_patients: int, level: float = LEVEL) -> Interval:
    """The middle `level` of resampled values, expanded for few patients (Hesterberg 2015).

    Percentiles run narrow in small samples, as a normal interval does in place of Student's; so the tails that are
    cut off are those of Student's t with the number of patients less one. With 60 patients that is 2.2 % in place
    of 2.5 % on each side.

    There is none if the metric was undefined (NaN) in more than 20 % of the resamples, or if all resamples agree:
    then the bootstrap cannot tell how sure the value is, and an interval of no width would claim that it is certain.

    Args:
        samples_R: values of a metric in resamples, NaN where undefined; None if there were no resamples.
        num_patients: resampled units that carry the metric: of its rarest class, if it is about classes.
        level: confidence.
    """
    if samples_R is None:
        return Interval(None, None, "no interval: no resamples were asked for")
    if num_patients < 2:
        return Interval(None, None, "no interval: needs at least two patients (or images, where patients are unknown)")
    if len(samples_R) < MIN_RESAMPLES:
        return Interval(None, None, f"no interval: {len(samples_R)} resamples, at least {MIN_RESAMPLES} are needed")
    known = samples_R[~np.isnan(samples_R)]
    undefined = 1 - len(known) / len(samples_R)
    if undefined > MAX_UNDEFINED_SHARE:
        return Interval(None, None, f"no interval: not defined in {100 * undefined:.0f} % of the resamples")
    if np.ptp(known) <= 1e-12 * max(1.0, float(np.abs(known).max())):
        return Interval(None, None, "no interval: all resamples give the same value")
    quantile = float(t.ppf((1 + level) / 2, num_patients - 1)) * math.sqrt(num_patients / (num_patients - 1))
    low, high = np.quantile(known, [norm.cdf(-quantile), norm.cdf(quantile)])
    return Interval(float(low), float(high))


def described(groups: PatientGroups, *, num_resamples: int, method: str, note: str | None = None) -> dict[str, Any]:
    """How intervals were made, for JSON."""
    return {
        "method": method,
        "level": LEVEL,
        "num_resamples": num_resamples,
        "resampled": groups.resampled,
        "note": note,
    }


def entry(value: float | None, interval: Interval, *, remark: str | None = None) -> dict[str, Any]:
    """{value, low, high, reason} for JSON; without a value only the remark remains, as the reason."""
    if value is None:
        return {"value": None, "low": None, "high": None, "reason": remark}
    reasons = [text for text in (remark, interval.reason) if text]
    return {"value": value, "low": interval.low, "high": interval.high, "reason": "; ".join(reasons) or None}


def _normal_quantile(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level: expected a confidence between 0 and 1, such as 0.95, got {level}")
    return float(norm.ppf((1 + level) / 2))


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


def _effective_number(success: Floats, patient: Ints, *, num_patients: int, level: float) -> float:
    num_images, share = len(success), float(success.mean())
    if share in (0.0, 1.0):
        return num_patients
    _, number = np.unique(patient, return_inverse=True)
    residual_P = np.bincount(number, weights=success - share)
    variance = num_patients / (num_patients - 1) * float(np.square(residual_P).sum()) / num_images**2
    independent = min(num_images, share * (1 - share) / variance) if variance > 0 else num_images
    return independent * (_normal_quantile(level) / float(t.ppf((1 + level) / 2, num_patients - 1))) ** 2


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
