"""Numbers about maps with their intervals over patients: each {value, low, high, reason, num_images, num_units}.

An image that a number is not defined for (None) is left out of it, so every number carries how many images are in it.

Legend of axes: N images, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scanlens.evaluation.checks import Floats, check_length
from scanlens.evaluation.intervals import Interval, entry, mean_interval, percentile_interval, share_interval
from scanlens.evaluation.ranking import divided
from scanlens.evaluation.resampling import PatientGroups, bootstrap, group_patients

NUM_RESAMPLES = 1000
SAME = "all images give the same value"
_ALIKE = 1e-9
Number = dict[str, Any]
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Whose:
    """Of whom the images are, in their order.

    Args:
        patients: None or "" if unknown.
        groups: of near-duplicates, which count where patients are unknown; None or "" for none.
    """

    patients: tuple[str | None, ...]
    groups: tuple[str | None, ...]

    def first(self, num: int) -> Whose:
        """Of the first images only."""
        return Whose(self.patients[:num], self.groups[:num])

    def among(self, is_meant_N: Sequence[bool]) -> Whose:
        """Of the meant images only."""
        kept = [n for n, is_meant in enumerate(is_meant_N) if is_meant]
        return Whose(tuple(self.patients[n] for n in kept), tuple(self.groups[n] for n in kept))

    def units(self) -> PatientGroups:
        """Who is resampled together."""
        return group_patients(self.patients, np.zeros(len(self.patients), dtype=np.int64), groups=self.groups)


def mean_number(values: Values, whose: Whose, *, absent: str = "no image", is_distance: bool = False) -> Number:
    """Mean over images, with Student's interval from the variance between patients.

    Where all images agree the bounds are the value itself, and the reason says so: of a similarity of 1 for every image
    there is nothing to be unsure of.

    Args:
        values: one per image, None where it is not defined.
        whose: the images.
        absent: why there is no number, if there is none.
        is_distance: never below 0, and so is the interval.
    """
    value_N, units = _known(values, whose)
    if not len(value_N):
        return _number(None, Interval(None, None), units, remark=absent)
    if _are_alike(value_N):
        return _number(float(value_N.mean()), _sure(float(value_N.mean()), units), units)
    return _number(float(value_N.mean()), mean_interval(value_N, units, is_ratio_scale=is_distance), units)


def share_number(values: Values, whose: Whose, *, absent: str = "no image") -> Number:
    """Share of images, each 0, 1 or an expected value in between, with Wilson's interval that knows patients."""
    value_N, units = _known(values, whose)
    if not len(value_N):
        return _number(None, Interval(None, None), units, remark=absent)
    return _number(float(value_N.mean()), share_interval(value_N, np.ones(len(value_N), dtype=bool), units), units)


def ratio_number(above: Values, below: Values, whose: Whose, *, seed: int, absent: str = "no image") -> Number:
    """Mean of one value over the mean of another, with percentiles of a bootstrap of patients.

    Images where either is None are left out.
    """
    return _resampled(above, below, whose, lambda a, b: divided(a, b), seed=seed, absent=absent)


def kept_number(similarity: Values, floor: Values, whose: Whose, *, seed: int, absent: str = "no image") -> Number:
    """What is kept of a map's own: 1 if it is still the same map, 0 if it is no nearer than a map of another image.

    (similarity - floor) / (1 - floor) of the means over images, 0 where that is below; bootstrap of patients.

    Args:
        similarity: of each map with what became of it, at most 1.
        floor: of each map with maps of other images.
        whose, seed, absent: as of the other numbers.
    """
    return _resampled(
        similarity, floor, whose, lambda s, f: divided(np.maximum(s - f, 0), 1 - f), seed=seed, absent=absent
    )


def _resampled(first: Values, second: Values, whose: Whose, formula: Any, *, seed: int, absent: str) -> Number:
    check_length(second, name="second", num_images=len(first))
    is_known = [a is not None and b is not None for a, b in zip(first, second, strict=True)]
    (a_N, units), (b_N, _) = (_known([v for v, k in zip(values, is_known, strict=True) if k], whose.among(is_known)) for values in (first, second))  # fmt: skip
    if not len(a_N):
        return _number(None, Interval(None, None), units, remark=absent)
    value = float(formula(np.array([a_N.mean()]), np.array([b_N.mean()]))[0])
    if np.isnan(value):
        return _number(None, Interval(None, None), units, remark="not defined: the mean it is divided by is 0")
    samples = bootstrap(
        lambda weights_NR: {"value": formula(*(x_N @ weights_NR / weights_NR.sum(axis=0) for x_N in (a_N, b_N)))},
        units,
        num_resamples=NUM_RESAMPLES,
        seed=seed,
    )["value"]
    if not np.isnan(samples).any() and np.ptp(samples) <= _ALIKE * max(1.0, abs(value)):
        return _number(value, _sure(value, units), units)
    return _number(value, percentile_interval(samples, num_patients=units.num_patients), units)


def _known(values: Values, whose: Whose) -> tuple[Floats, PatientGroups]:
    check_length(values, name="values", num_images=len(whose.patients))
    is_known = [value is not None for value in values]
    return np.array([value for value in values if value is not None], dtype=np.float64), whose.among(is_known).units()


def _are_alike(value_N: Floats) -> bool:
    return float(np.ptp(value_N)) <= _ALIKE * max(1.0, float(np.abs(value_N).max()))


def _sure(value: float, units: PatientGroups) -> Interval:
    if units.num_patients < 2:
        return Interval(None, None, f"no interval: needs at least two {units.unit}")
    return Interval(value, value, SAME)


def _number(value: float | None, interval: Interval, units: PatientGroups, *, remark: str | None = None) -> Number:
    counts = {"num_images": len(units.patient_N), "num_units": units.num_patients}
    return entry(value, interval, remark=remark) | counts
