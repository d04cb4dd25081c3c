"""Are new images like those that a network knows: one number of each image at a time, held against what chance gives.

Two statistics are told of each number: the difference of the means in standard deviations, and the largest difference
between the shares of images below any value (Kolmogorov and Smirnov). Images of one patient are alike, so the usual
tables of the latter do not hold. Instead whole patients are exchanged between the two sets, which holds whatever the images
of a patient have in common, as long as patients of both sets could have been in either. p values of several numbers are
adjusted together (Holm), so that one false alarm among them all is as rare as one p value says.

How many new images lie beyond nearly all known ones is told with what is to be expected: of n known images, the k-th
largest leaves k / (n + 1) of new ones of the same kind above it on average (Wilks 1941), so few known images make no
statement about one in a hundred.

Legend of axes: N known images, M new images, A = N + M of both, F numbers of an image, R exchanges.

References:
    Austin 2009, doi:10.1002/sim.3697 (standardized difference); Phipson & Smyth 2010, doi:10.2202/1544-6115.1585
    (p values of exchanges are never 0); Holm 1979; Wilks 1941, doi:10.1214/aoms/1177731788.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.evaluation.checks import Floats, Ints, check_length
from scanlens.evaluation.intervals import share_entry
from scanlens.evaluation.paired_tests import holm
from scanlens.evaluation.resampling import group_patients

MAX_P = 0.05
NUM_EXCHANGES = 999
MIN_UNITS = 5  # patients of each set
QUANTILE = 0.99
_CHUNK = 4_000_000  # entries of a matrix of exchanges: 32 MB


@dataclass(frozen=True, slots=True)
class Drift:
    """One number of the images in both sets.

    Args:
        name: of the number.
        known_median, new_median: of the two sets; None if it is known of no image there.
        difference: mean of the new less mean of the known, in pooled standard deviations; None where nothing varies.
        ks: largest difference of the shares below a value, in [0, 1]; None if it cannot be had (`reason`).
        ks_by_chance: exceeded by one exchange in 20.
        p: share of exchanges at least as large.
        adjusted_p: with all numbers that were looked at.
        has_drifted: whether the adjusted p is at most 0.05.
        reason: why something is missing.
    """

    name: str
    known_median: float | None
    new_median: float | None
    difference: float | None
    ks: float | None
    ks_by_chance: float | None
    p: float | None
    adjusted_p: float | None = None
    has_drifted: bool = False
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure_drift(
    names: Sequence[str],
    known_NF: Floats,
    known_group_N: Ints,
    new_MF: Floats,
    new_group_M: Ints,
    *,
    seed: int,
    num_exchanges: int = NUM_EXCHANGES,
) -> list[Drift]:
    """One answer for each number, in their order.

    Args:
        names: F names.
        known_NF, new_MF: numbers of the images; NaN for unknown.
        known_group_N, new_group_M: equal numbers for images that belong together, within their set.
        seed: of the exchanges, which are the same for all numbers that are known of the same images.
        num_exchanges: 19 or more, so that a p value can be 0.05.

    Raises:
        ValueError: if lengths do not fit.
    """
    check_length(known_group_N, name="known_group_N", num_images=len(known_NF))
    check_length(new_group_M, name="new_group_M", num_images=len(new_MF))
    if not known_NF.shape[1] == new_MF.shape[1] == len(names):
        raise ValueError(f"drift: {len(names)} names, {known_NF.shape[1]} and {new_MF.shape[1]} columns do not fit")
    found = []
    for place, name in enumerate(names):
        known_N, new_M = known_NF[:, place], new_MF[:, place]
        is_known_N, is_known_M = ~np.isnan(known_N), ~np.isnan(new_M)
        groups = known_group_N[is_known_N], new_group_M[is_known_M]
        found.append(_drift(name, known_N[is_known_N], new_M[is_known_M], groups, seed, num_exchanges))
    adjusted = holm([one.p for one in found])
    return [
        replace(one, adjusted_p=p, has_drifted=p is not None and p <= MAX_P)
        for one, p in zip(found, adjusted, strict=True)
    ]


def share_beyond(known_N: Floats, new_M: Floats, new_group_M: Ints, *, quantile: float = QUANTILE) -> dict[str, Any]:
    """How many new images lie above nearly all known ones.

    Args:
        known_N: a score of known images that had no part in making it, finite, at least one.
        new_M: the same of new images, at least one.
        new_group_M: equal numbers for images that belong together.
        quantile: share of the known ones that should lie below, in (0, 1).

    Returns:
        `threshold`, `expected` (share above it if nothing has changed; more than 1 - quantile where known images are few),
        `share` (with an interval over patients) and `num_known`.
    """
    num = len(known_N)
    place = min(num, math.ceil(quantile * (num + 1) - 1e-9))
    threshold = float(np.sort(known_N)[place - 1])
    is_beyond_M = new_M > threshold
    groups = group_patients(
        [None] * len(new_M), np.zeros(len(new_M), np.int64), groups=[f"g{one}" for one in new_group_M.tolist()]
    )
    share = share_entry(is_beyond_M, np.ones(len(new_M), bool), groups, absent="")
    return {"threshold": threshold, "expected": 1 - place / (num + 1), "share": share, "num_known": num}


def _drift(name: str, known_N: Floats, new_M: Floats, groups: tuple[Ints, Ints], seed: int, num: int) -> Drift:
    if not (len(known_N) and len(new_M)):
        where = "the known" if not len(known_N) else "the new"
        return Drift(
            name, _median(known_N), _median(new_M), None, None, None, None, reason=f"not known of {where} images"
        )
    difference = _standardized(known_N, new_M)
    few = min(len(np.unique(one)) for one in groups)
    values = Drift(name, _median(known_N), _median(new_M), difference, None, None, None)
    if few < MIN_UNITS:
        return replace(values, reason=f"{few} patients (or groups) of one set, at least {MIN_UNITS} are needed")
    if np.ptp(np.r_[known_N, new_M]) == 0:
        return replace(values, ks=0.0, ks_by_chance=0.0, p=1.0)
    ks_R = _exchanged(known_N, new_M, groups, seed=seed, num=num)
    ks = ks_R[0]
    p = float((ks_R >= ks - 1e-12).mean())  # the first is the truth itself, which counts as one exchange
    return replace(values, ks=float(ks), ks_by_chance=float(np.quantile(ks_R[1:], 1 - MAX_P)), p=p)


def _exchanged(known_N: Floats, new_M: Floats, groups: tuple[Ints, Ints], *, seed: int, num: int) -> Floats:
    """The statistic (R + 1,) as it is, and after each exchange of as many whole patients."""
    of_known, of_new = (np.unique(one, return_inverse=True)[1] for one in groups)
    num_known, num_all = int(of_known.max()) + 1, int(of_known.max() + of_new.max()) + 2
    unit_A = np.r_[of_known, num_known + of_new]
    values_A = np.r_[known_N, new_M]
    order_A = np.argsort(values_A, kind="stable")
    is_last_A = np.r_[np.diff(values_A[order_A]) > 0, True]  # equal values come together
    generator = np.random.default_rng(seed)
    found = []
    step = max(1, _CHUNK // len(unit_A))
    for start in range(0, num + 1, step):
        size = min(step, num + 1 - start)
        is_new_RU = np.tile(np.arange(num_all) >= num_known, (size, 1))
        is_new_RU = generator.permuted(is_new_RU, axis=1)
        if start == 0:
            is_new_RU[0] = np.arange(num_all) >= num_known
        found.append(_largest_gap(is_new_RU[:, unit_A[order_A]], is_last_A))
    return np.concatenate(found)


def _largest_gap(is_new_RA: NDArray[np.bool_], is_last_A: NDArray[np.bool_]) -> Floats:
    new_RA = np.cumsum(is_new_RA, axis=1)
    known_RA = np.arange(1, is_new_RA.shape[1] + 1) - new_RA
    gap_RA = np.abs(new_RA / new_RA[:, -1:] - known_RA / known_RA[:, -1:])
    return gap_RA[:, is_last_A].max(axis=1)


def _standardized(known_N: Floats, new_M: Floats) -> float | None:
    spread = math.sqrt((float(known_N.var()) + float(new_M.var())) / 2)
    gap = float(new_M.mean() - known_N.mean())
    if spread <= 1e-12 * max(1.0, abs(float(known_N.mean()))):
        return 0.0 if abs(gap) <= 1e-12 else None
    return gap / spread


def _median(values: Floats) -> float | None:
    return float(np.median(values)) if len(values) else None
