"""Does the network do equally well for everybody: the same metrics, with intervals, in groups of images.

The largest gap between groups is never 0, not even between groups drawn by lot; so it is held against gaps that are found
when the groups are exchanged among patients of the same class. Groups of fewer than 10 patients are shown, marked
`is_small`, and left out of the gap.

Legend of axes: N images, G groups, R resamples.

References:
    Oakden-Rayner et al., ACM CHIL 2020, 151-159 (hidden stratification); Phipson & Smyth 2010, doi:10.2202/1544-6115.1585
    (permutation p values are never 0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlens.evaluation.checks import Floats, Ints, check_length, checked_predictions
from scanlens.evaluation.classification import FEW_PATIENTS, evaluate_classification
from scanlens.evaluation.comparison import weighted_metric
from scanlens.evaluation.intervals import Interval, percentile_interval
from scanlens.evaluation.resampling import MAX_ENTRIES, PatientGroups, bootstrap, group_patients

UNKNOWN = "unknown"
MAX_GROUPS = 50


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One group.

    Args:
        name: as labeled.
        num_images: its images.
        num_patients: its patients (or what stands for them).
        is_small: fewer than 10 patients, so that its numbers say little.
        metrics: name to {value, low, high, reason}, of images.
    """

    name: str
    num_images: int
    num_patients: int
    is_small: bool
    metrics: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LargestGap:
    """Between the groups where the metric is highest and lowest.

    Args:
        highest: group of the highest value.
        lowest: group of the lowest.
        value: the gap, positive.
        low: of its 95 % interval, for these two groups; too hopeful, since they were picked for their gap.
        high: its other end.
        by_chance: mean of the largest gap when groups mean nothing; None where it cannot be had.
        by_chance_high: exceeded by one such gap in 20.
        p: share of such gaps at least as large.
        reason: why a number is missing.
    """

    highest: str
    lowest: str
    value: float
    low: float | None
    high: float | None
    by_chance: float | None
    by_chance_high: float | None
    p: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Subgroups:
    """All groups of one column.

    Args:
        metric: of the gap.
        groups: in the order of their names, or of the bands.
        gap: None where fewer than two groups can be compared (`reason`).
        reason: why there is no gap.
        left_out: groups that are not in the gap: too small, or without images of every class.
    """

    metric: str
    groups: tuple[Subgroup, ...]
    gap: LargestGap | None
    reason: str | None
    left_out: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def evaluate_subgroups(
    probabilities_NK: ArrayLike,
    target_N: ArrayLike,
    labels: Sequence[str],
    *,
    class_names: Sequence[str],
    patients: Sequence[str | None],
    groups: Sequence[str | None] | None = None,
    metric: str = "auroc",
    order: Sequence[str] | None = None,
    seed: int,
    num_resamples: int = 1000,
) -> Subgroups:
    """Metrics in each group of images, and the largest gap of one metric.

    Args:
        probabilities_NK: as for `evaluate_classification`, as are `target_N`, `class_names`, `patients` and `groups`.
        target_N: class numbers in 0..K-1.
        labels: group of each image (`bands.in_bands` for numbers); "" counts as "unknown" and is never in the gap.
        class_names: in the order of the columns.
        patients: name of the patient of each image; None or "" if unknown.
        groups: name of the group of near-duplicates of each image.
        metric: one of `comparison.COMPARED`.
        order: names of the groups in the order to show; alphabetic if None.
        seed: of resamples and permutations.
        num_resamples: of each.

    Raises:
        ValueError: if lengths differ, there are more than 50 groups, or a row is at fault.
    """
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    check_length(labels, name="labels", num_images=len(target_N))
    named_N = np.array([label.strip() or UNKNOWN for label in labels])
    units = group_patients(patients, target_N, groups=groups)

    def judged(place_M: Ints) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = evaluate_classification(
            probabilities_NK[place_M],
            target_N[place_M],
            class_names=class_names,
            patients=[patients[n] for n in place_M],
            groups=None if groups is None else [groups[n] for n in place_M],
            seed=seed,
            num_resamples=num_resamples,
        )["slice"]["metrics"]
        return found

    found = []
    for name in _ordered(named_N, order):
        num_patients = units.count(named_N == name)
        place_M = np.flatnonzero(named_N == name)
        found.append(Subgroup(name, len(place_M), num_patients, num_patients < FEW_PATIENTS, judged(place_M)))
    kept = [one.name for one in found if _is_comparable(one, target_N[named_N == one.name], target_N)]
    left_out = tuple(one.name for one in found if one.name not in kept)
    if len(kept) < 2:
        reason = f"fewer than two groups of {FEW_PATIENTS} patients and with images of every class"
        return Subgroups(metric, tuple(found), None, reason, left_out)
    place = {name: g for g, name in enumerate(kept)}
    number_N = np.array([place.get(name, -1) for name in named_N.tolist()])
    gaps = _Gaps(weighted_metric(metric, probabilities_NK, target_N), units, number_N, num_groups=len(kept))
    gap = gaps.largest(kept, target_N, seed=seed, num_resamples=num_resamples)
    return Subgroups(metric, tuple(found), gap, None, left_out)


def _ordered(named_N: NDArray[np.str_], order: Sequence[str] | None) -> list[str]:
    """Names of the groups, the given ones first."""
    there = set(named_N.tolist())
    names = [name for name in dict.fromkeys([*(order or []), *sorted(there)]) if name in there]
    if len(names) > MAX_GROUPS:
        raise ValueError(f"labels: {len(names)} different values, at most {MAX_GROUPS} groups; cut numbers into bands")
    return names


def _is_comparable(one: Subgroup, target_M: Ints, target_N: Ints) -> bool:
    """Whether a group says the same thing as another: enough patients, a name, and every class that there is."""
    has_every_class = len(np.unique(target_M)) == len(np.unique(target_N))
    return not one.is_small and one.name != UNKNOWN and has_every_class


class _Gaps:
    """Values of one metric in several groups, of many weightings at once."""

    def __init__(
        self, statistic: Callable[[Floats], Floats], units: PatientGroups, number_N: Ints, *, num_groups: int
    ) -> None:
        self.statistic, self.units, self.number_N, self.num_groups = statistic, units, number_N, num_groups

    def largest(self, names: Sequence[str], target_N: Ints, *, seed: int, num_resamples: int) -> LargestGap:
        value_G = self._values(np.ones((len(self.number_N), 1)), self.number_N[:, None])[:, 0]
        high, low = int(value_G.argmax()), int(value_G.argmin())
        interval = self._interval(high, low, target_N, seed=seed, num_resamples=num_resamples)
        value = float(value_G[high] - value_G[low])
        null_R, reason = self._by_chance(seed=seed, num_resamples=num_resamples)
        chance: dict[str, float | None] = {"by_chance": None, "by_chance_high": None, "p": None}
        if null_R is not None and len(null_R):
            at_least = float((null_R >= value - 1e-12).sum())
            chance = {
                "by_chance": float(null_R.mean()),
                "by_chance_high": float(np.quantile(null_R, 0.95)),
                "p": (at_least + 1) / (len(null_R) + 1),
            }
        reasons = "; ".join(text for text in (interval.reason, reason) if text) or None
        return LargestGap(names[high], names[low], value, interval.low, interval.high, reason=reasons, **chance)

    def _values(self, weights_NR: Floats, number_NR: Ints) -> Floats:
        return np.stack([self.statistic(weights_NR * (number_NR == g)) for g in range(self.num_groups)])

    def _interval(self, high: int, low: int, target_N: Ints, *, seed: int, num_resamples: int) -> Interval:
        def difference(weights_NR: Floats) -> dict[str, Floats]:
            above, below = (self.statistic(weights_NR * (self.number_N == g)[:, None]) for g in (high, low))
            return {"gap": above - below}

        samples = bootstrap(difference, self.units, num_resamples=num_resamples, seed=seed)
        carriers = min(
            self.units.count((self.number_N == g) & (target_N == k)) for g in (high, low) for k in np.unique(target_N)
        )
        return percentile_interval(samples.get("gap"), num_patients=carriers)

    def _by_chance(self, *, seed: int, num_resamples: int) -> tuple[Floats | None, str | None]:
        """Largest gaps when the groups of patients are exchanged within their class."""
        number_P = np.full(self.units.num_patients, -2)
        number_P[self.units.patient_N] = self.number_N
        if (number_P[self.units.patient_N] != self.number_N).any():
            return (
                None,
                f"{self.units.unit} have images in several groups, so that groups cannot be exchanged among them",
            )
        parts = []
        for number_PR in self._exchanged(number_P, seed=seed, num_resamples=num_resamples):
            number_NR = number_PR[self.units.patient_N]
            value_GR = self._values(np.ones(number_NR.shape), number_NR)
            parts.append(value_GR.max(axis=0) - value_GR.min(axis=0))
        gap_R = np.concatenate(parts) if parts else np.empty(0)
        return gap_R[~np.isnan(gap_R)], None

    def _exchanged(self, number_P: Ints, *, seed: int, num_resamples: int) -> Iterator[Ints]:
        generator = np.random.default_rng([seed, 1])
        step = max(1, MAX_ENTRIES // len(self.number_N))
        for start in range(0, num_resamples, step):
            size = min(step, num_resamples - start)
            number_PR = np.repeat(number_P[:, None], size, axis=1)
            for members in self.units.strata:
                number_PR[members] = generator.permuted(number_PR[members], axis=0)
            yield number_PR
