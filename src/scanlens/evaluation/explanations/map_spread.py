"""Would another training run have pointed elsewhere? Maps of several runs for the same images and the same class.

Legend of axes: H rows, W columns; N images, R runs, P pairs of runs, M measures.

References:
    Woerl, Disselhoff & Wand 2023 (CVPR): maps fluctuate with the initial weights of a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import Interval, described, entry, mean_interval, share_entry
from scanlens.evaluation.resampling import PatientGroups, group_patients

TOP_SHARE = 0.05  # of what a map covers: its top region
MEASURES = ("distance_px", "further", "outside", "rank")
SHARES = ("further", "outside")
METHOD = (
    "for shares Wilson's, with the number of independent images that would be as certain; for means Student's, of the variance "
    "between patients. Runs are taken as they are: the interval is of patients, not of further trainings"
)
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMap:
    """The map of one run for one image.

    Args:
        map_HW: signed evidence for the explained class.
        covered_HW: where it has a value.
        peak_yx: place of the strongest positive evidence, in pixels; None for a map that points nowhere.
        cell_yx: rows and columns of the image that one cell stands for.
    """

    map_HW: NDArray[np.floating]
    covered_HW: NDArray[np.bool_]
    peak_yx: tuple[float, float] | None
    cell_yx: tuple[float, float]


def pair_of_maps(one: DrawnMap, other: DrawnMap) -> Floats:
    """How far two maps of an image are apart, in the order of `MEASURES`; NaN for what is not defined.

    `distance_px` of the peaks; `further`: 1 if they are more than one cell apart, down or right (the larger cell of both);
    `outside`: 1 if each peak lies outside of the other's top region (the highest 5 % of what it covers), 0.5 if one does;
    `rank`: Spearman's correlation over what both cover. A map that points nowhere is elsewhere than one that does; two such
    maps cannot be compared.
    """
    rank = _rank_correlation(one, other)
    if one.peak_yx is None and other.peak_yx is None:
        return np.array([np.nan, np.nan, np.nan, rank])
    if one.peak_yx is None or other.peak_yx is None:
        return np.array([np.nan, 1.0, 1.0, rank])
    down, right = (abs(a - b) for a, b in zip(one.peak_yx, other.peak_yx, strict=True))
    cell_y, cell_x = (max(a, b) for a, b in zip(one.cell_yx, other.cell_yx, strict=True))
    is_further = down > cell_y + _EPSILON or right > cell_x + _EPSILON
    outside = (_is_outside(one.peak_yx, other) + _is_outside(other.peak_yx, one)) / 2
    return np.array([np.hypot(down, right), float(is_further), outside, rank])


def _is_outside(peak_yx: tuple[float, float], of: DrawnMap) -> float:
    """Whether a place lies outside of the top region of a map, which is positive and as large as `TOP_SHARE`, ties included."""
    threshold = np.quantile(of.map_HW[of.covered_HW], 1 - TOP_SHARE)
    place = tuple(round(step) for step in peak_yx)
    value = of.map_HW[place] if of.covered_HW[place] else -np.inf
    return float(not (value >= threshold and value > 0))


def _rank_correlation(one: DrawnMap, other: DrawnMap) -> float:
    both_HW = one.covered_HW & other.covered_HW
    first, second = one.map_HW[both_HW], other.map_HW[both_HW]
    return _spearman(first, second)


def _spearman(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Correlation of ranks; NaN where one of them is the same everywhere."""
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def compared_maps(maps: Sequence[Sequence[DrawnMap]]) -> Floats:
    """`pair_of_maps` for every pair of runs and every image, measures_PNM.

    Args:
        maps: of each run, of each image.
    """
    return np.array(
        [[pair_of_maps(*both) for both in zip(first, second, strict=True)] for first, second in combinations(maps, 2)]
    )


def other_images(groups: PatientGroups, *, seed: int) -> NDArray[np.int64]:
    """For each image another one, of another unit where there is one: what maps that know nothing of the image agree on."""
    rng, num = np.random.default_rng(seed), len(groups.patient_N)
    found = np.empty(num, dtype=np.int64)
    for image in range(num):
        others = np.flatnonzero(groups.patient_N != groups.patient_N[image])
        others = others if len(others) else np.delete(np.arange(num), image)
        found[image] = rng.choice(others) if len(others) else image
    return found


def spread_of_maps(
    maps: Sequence[Sequence[DrawnMap]], names: Sequence[str], groups: PatientGroups, *, seed: int
) -> dict[str, Any]:
    """How far maps of runs are apart, for each pair and together.

    Args:
        maps: of each run, of each image; at least two runs.
        names: of the runs.
        groups: patients of the images.
        seed: of the images that are exchanged for `by_chance`.

    Returns:
        `overall` (each of `MEASURES` as {value, low, high, reason}: of each image the mean over pairs, then over images),
        `range` over pairs (smallest, largest), `pairs` (names `first`, `second`, and the measures), `by_chance` (the means
        when the second map is of another image), `num_blank` of each run, `interval`.
    """
    measures_PNM = compared_maps(maps)
    others_N = other_images(groups, seed=seed)
    by_chance_PNM = np.array(
        [
            [pair_of_maps(first[n], second[other]) for n, other in enumerate(others_N)]
            for first, second in combinations(maps, 2)
        ]
    )
    pairs = [
        {"first": first, "second": second, **_entries(measures_NM, groups)}
        for (first, second), measures_NM in zip(combinations(names, 2), measures_PNM, strict=True)
    ]
    return {
        "overall": _entries(_mean(measures_PNM), groups),
        "range": {name: _range([one[name]["value"] for one in pairs]) for name in MEASURES},
        "pairs": pairs,
        "by_chance": {name: _or_none(value) for name, value in zip(MEASURES, _mean(_mean(by_chance_PNM)), strict=True)},
        "num_blank": [sum(one.peak_yx is None for one in of_run) for of_run in maps],
        "num_images": len(others_N),
        "num_patients": groups.num_known or None,
        "interval": described(groups, num_resamples=0, method=METHOD),
    }


def spread_of_answers(
    probability_RN: Floats, predicted_RN: NDArray[np.int64], names: Sequence[str], groups: PatientGroups
) -> dict[str, Any]:
    """The same for probabilities of the explained class: how far runs are apart in what they say.

    Returns:
        `overall` and `pairs`: `difference` (absolute), `changed` (share of other answers), as {value, low, high, reason};
        of each pair also `rank`, Spearman's correlation over images (None where it is not defined).
    """
    difference, changed, pairs = [], [], []
    for first, second in combinations(range(len(names)), 2):
        difference_N = np.abs(probability_RN[first] - probability_RN[second])
        changed_N = (predicted_RN[first] != predicted_RN[second]).astype(np.float64)
        rank = _spearman(probability_RN[first], probability_RN[second])
        told = _answers(difference_N, changed_N, groups)
        pairs.append({"first": names[first], "second": names[second], **told, "rank": _or_none(rank)})
        difference.append(difference_N)
        changed.append(changed_N)
    return {"overall": _answers(np.mean(difference, axis=0), np.mean(changed, axis=0), groups), "pairs": pairs}


def _answers(difference_N: Floats, changed_N: Floats, groups: PatientGroups) -> dict[str, Any]:
    everyone_N = np.ones(len(changed_N), dtype=bool)
    return {
        "difference": entry(float(difference_N.mean()), mean_interval(difference_N, groups)),
        "changed": share_entry(changed_N, everyone_N, groups, absent=""),
    }


def _entries(measures_NM: Floats, groups: PatientGroups) -> dict[str, Any]:
    return {name: _entry(name, measures_NM[:, place], groups) for place, name in enumerate(MEASURES)}


def _entry(name: str, value_N: Floats, groups: PatientGroups) -> dict[str, Any]:
    is_known_N = np.isfinite(value_N)
    if not is_known_N.any():
        return entry(None, Interval(None, None), remark="no image with two maps to compare")
    if name in SHARES:
        return share_entry(np.where(is_known_N, value_N, 0.0), is_known_N, groups, absent="")
    return entry(float(value_N[is_known_N].mean()), mean_interval(value_N, groups, among_N=is_known_N))


def _mean(values: Floats) -> Floats:
    """Over the first axis, without NaN; NaN where nothing is known."""
    known = np.isfinite(values)
    total, num = np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0)
    return np.where(num > 0, total / np.maximum(num, 1), np.nan)


def _range(values: Sequence[float | None]) -> dict[str, float | None]:
    known = [value for value in values if value is not None]
    return {"smallest": min(known, default=None), "largest": max(known, default=None)}


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def of_one_class(patients: Sequence[str | None], groups: Sequence[str | None]) -> PatientGroups:
    """Patients of images whose class does not matter."""
    return group_patients(patients, np.zeros(len(patients), dtype=np.int64), groups=groups)
