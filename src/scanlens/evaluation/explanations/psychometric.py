"""At which size something starts to succeed: a logistic curve over the logarithm of the size, with a lapse rate.

    share of successes = floor + (1 - floor - lapse) / (1 + exp(-(log size - location) / width))

`floor` is what succeeds without any size (known, not fitted), `lapse` what fails at every size. A limit is the size at which
the curve reaches a given share; a curve that does not reach it within the sizes that were tried has none, and none is
made up beyond them.

Legend of axes: N images, S sizes, R resamples.

References:
    Wichmann & Hill 2001, doi:10.3758/BF03194544 and doi:10.3758/BF03194545 (lapses; BCa intervals of such curves).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scanlens.evaluation.bca import bca_interval
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import Interval
from scanlens.evaluation.resampling import PatientGroups, bootstrap

State = Literal["found", "not reached", "below the smallest", "not assessed"]
MIN_TRIALS = 10
MIN_UNITS = 8  # of patients, below which resamples of them are too much alike for an interval
_BEYOND = 1.0  # natural logarithm of sizes: how far outside of those tried a curve may rise
_LOG_WIDTH = (np.log(0.03), np.log(3.0))
_LAPSE = (1e-4, 0.95)
_STEPS = 40
_TINY = 1e-9
_OUTSIDE = 0.01  # limits outside of the sizes tried count as this share beyond them


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Fitted curves, one for each resample.

    Args:
        location_R: logarithm of the size at half of the rise.
        width_R: of the rise, in logarithms of the size.
        lapse_R: share that fails at every size.
        floor: share that succeeds without any size.
    """

    location_R: Floats
    width_R: Floats
    lapse_R: Floats
    floor: float

    def shares_SR(self, sizes_S: Floats) -> Floats:
        """What share succeeds at these sizes."""
        return _shares(np.log(sizes_S), np.stack([self.location_R, np.log(self.width_R), self.lapse_R]), self.floor)

    def sizes_R(self, share: float) -> Floats:
        """The size at which the share is reached: 0 where it is without any size, infinite where it never is."""
        rise_R = (share - self.floor) / (1 - self.floor - self.lapse_R)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_R = self.location_R + self.width_R * np.log(rise_R / (1 - rise_R))
        return np.where(rise_R <= 0, 0.0, np.where(rise_R >= 1, np.inf, np.exp(log_R)))


def fit_curves(successes_SR: Floats, trials_SR: Floats, sizes_S: Floats, *, floor: float = 0.0) -> Curves:
    """The most likely rising curve through each column of counts.

    Args:
        successes_SR: at each size, 0 to trials; need not be whole.
        trials_SR: at each size, 0 or more; a column without any gives a meaningless curve.
        sizes_S: positive, at least two.
        floor: in [0, 1).
    """
    x_S = np.log(np.asarray(sizes_S, dtype=np.float64))
    bounds = np.array([[x_S.min() - _BEYOND, x_S.max() + _BEYOND], _LOG_WIDTH, (_LAPSE[0], _LAPSE[1] * (1 - floor))])
    theta_3R = _started(successes_SR, trials_SR, x_S, bounds, floor)
    theta_3R = _refined(theta_3R, successes_SR, trials_SR, x_S, bounds, floor)
    return Curves(theta_3R[0], np.exp(theta_3R[1]), theta_3R[2], floor)


def size_limit(
    success_NS: Floats,
    trials_NS: Floats,
    sizes_S: Floats,
    *,
    target: float,
    groups: PatientGroups,
    num_resamples: int,
    seed: int,
    floor: float = 0.0,
) -> tuple[dict[str, Any], Floats]:
    """The size at which the target is reached, and the same in every resample of patients (refitted).

    Args:
        success_NS: successes of each image at each size, 0 to trials.
        trials_NS: how often it was tried.
        sizes_S: rising, positive.
        target: share of successes, in (0, 1).
        groups: patients of the images.
        num_resamples: of the bootstrap.
        seed: the same seed gives the same resamples, so that limits of one set of images can be compared.
        floor: see the head of this module.

    Returns:
        For JSON: `target`, `state` (see `State`), `value` (None unless found), `low` and `high` (None where an end lies
        outside of the sizes tried, which `reason` says), `lapse`, `location`, `width`, `floor`; and limit_R, 0 or
        infinite where it lies outside.
    """
    sizes_S = np.asarray(sizes_S, dtype=np.float64)
    if trials_NS.sum() < MIN_TRIALS:
        return _nothing(target, f"{trials_NS.sum():g} trials, at least {MIN_TRIALS} are needed"), np.empty(0)

    def limits(weights_NR: Floats) -> dict[str, Floats]:
        trials_SR = trials_NS.T @ weights_NR
        found_R = fit_curves(success_NS.T @ weights_NR, trials_SR, sizes_S, floor=floor).sizes_R(target)
        return {"limit": np.where(trials_SR.sum(axis=0) > 0, found_R, np.nan)}

    own = fit_curves(success_NS.sum(axis=0)[:, None], trials_NS.sum(axis=0)[:, None], sizes_S, floor=floor)
    limit_R = bootstrap(limits, groups, num_resamples=num_resamples, seed=seed).get("limit", np.empty(0))
    without_NP = (groups.patient_N[:, None] != np.arange(groups.num_patients)).astype(np.float64)
    interval = _within(
        float(own.sizes_R(target)[0]),
        limit_R,
        limits(without_NP)["limit"],
        (float(sizes_S[0]), float(sizes_S[-1])),
        num_patients=groups.count(trials_NS.sum(axis=1) > 0),
    )
    return _described(own, interval, sizes_S, target), limit_R


def _described(own: Curves, interval: Interval, sizes_S: Floats, target: float) -> dict[str, Any]:
    value, smallest, largest = float(own.sizes_R(target)[0]), float(sizes_S[0]), float(sizes_S[-1])
    curve = {
        "lapse": float(own.lapse_R[0]), "location": float(np.exp(own.location_R[0])), "width": float(own.width_R[0]),
        "floor": own.floor,
    }  # fmt: skip
    state: State = "found"
    reason = interval.reason
    if value > largest:
        state = "not reached"
        reached = float(own.shares_SR(sizes_S[-1:])[0, 0])
        reason = f"not reached within the sizes tried: {100 * reached:.0f} % at the largest"
    elif value < smallest:
        state = "below the smallest"
        reached = float(own.shares_SR(sizes_S[:1])[0, 0])
        reason = f"reached at the smallest size tried already: {100 * reached:.0f} % there"
    return {
        "target": target,
        "state": state,
        "value": value if state == "found" else None,
        "low": interval.low,
        "high": interval.high,
        "reason": reason,
        **curve,
    }


def _nothing(target: float, reason: str) -> dict[str, Any]:
    unknown = dict.fromkeys(("value", "low", "high", "lapse", "location", "width", "floor"))
    return {"target": target, "state": "not assessed", **unknown, "reason": reason}


def _within(
    value: float, limit_R: Floats, left_out_P: Floats, ends: tuple[float, float], *, num_patients: int
) -> Interval:
    """Interval of the limit; an end that lies outside of the sizes tried is None."""
    smallest, largest = ends
    if num_patients < MIN_UNITS:
        return Interval(
            None, None, f"no interval: {num_patients} patients (or images), at least {MIN_UNITS} are needed"
        )

    def log_held(limits: Floats) -> Floats:
        return np.log(np.clip(limits, smallest * (1 - _OUTSIDE), largest * (1 + _OUTSIDE)))

    found = bca_interval(
        log_held(limit_R),
        value=float(log_held(np.array([value]))[0]),
        left_out_P=log_held(left_out_P),
        num_patients=num_patients,
    )
    if found.low is None or found.high is None:
        return found
    low, high = (
        None if not smallest <= np.exp(end) <= largest else float(np.exp(end)) for end in (found.low, found.high)
    )
    names = [name for name, end in (("lower", low), ("upper", high)) if end is None]
    return Interval(
        low, high, f"{' and '.join(names)} end of the interval outside of the sizes tried" if names else None
    )


def _shares(x_S: Floats, theta_3R: Floats, floor: float) -> Floats:
    """Shares at logarithms of sizes for columns (location, log width, lapse)."""
    location_R, log_width_R, lapse_R = theta_3R
    return floor + (1 - floor - lapse_R) * _rise((x_S[:, None] - location_R) / np.exp(log_width_R))


def _rise(z: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(z / 2))


def _likelihood(successes_SR: Floats, trials_SR: Floats, share_SR: Floats) -> Floats:
    share_SR = np.clip(share_SR, _TINY, 1 - _TINY)
    told_SR = successes_SR * np.log(share_SR) + (trials_SR - successes_SR) * np.log1p(-share_SR)
    return np.asarray(told_SR.sum(axis=0))


def _started(successes_SR: Floats, trials_SR: Floats, x_S: Floats, bounds: Floats, floor: float) -> Floats:
    """The best column of a coarse grid, for each resample."""
    axes = [np.linspace(low, high, num) for (low, high), num in zip(bounds, (25, 8, 8), strict=True)]
    grid_3G = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
    share_SG = np.clip(_shares(x_S, grid_3G, floor), _TINY, 1 - _TINY)
    told_GR = np.log(share_SG).T @ successes_SR + np.log1p(-share_SG).T @ (trials_SR - successes_SR)
    return grid_3G[:, told_GR.argmax(axis=0)]


def _refined(
    theta_3R: Floats, successes_SR: Floats, trials_SR: Floats, x_S: Floats, bounds: Floats, floor: float
) -> Floats:
    """Damped scoring steps within the bounds, in all resamples at once; none that makes a curve less likely is taken."""
    damping_R = np.full(theta_3R.shape[1], 1e-2)
    best_R = _likelihood(successes_SR, trials_SR, _shares(x_S, theta_3R, floor))
    for _ in range(_STEPS):
        step_3R = _step(theta_3R, successes_SR, trials_SR, x_S, floor, damping_R)
        tried_3R = np.clip(theta_3R + step_3R, bounds[:, :1], bounds[:, 1:])
        told_R = _likelihood(successes_SR, trials_SR, _shares(x_S, tried_3R, floor))
        is_better_R = told_R > best_R
        theta_3R, best_R = np.where(is_better_R, tried_3R, theta_3R), np.maximum(best_R, told_R)
        damping_R = np.where(is_better_R, damping_R / 4, damping_R * 6).clip(1e-8, 1e8)
    return theta_3R


def _step(
    theta_3R: Floats, successes_SR: Floats, trials_SR: Floats, x_S: Floats, floor: float, damping_R: Floats
) -> Floats:
    """Fisher's scoring step, damped as Marquardt does."""
    location_R, log_width_R, lapse_R = theta_3R
    z_SR = (x_S[:, None] - location_R) / np.exp(log_width_R)
    rise_SR = _rise(z_SR)
    share_SR = np.clip(floor + (1 - floor - lapse_R) * rise_SR, _TINY, 1 - _TINY)
    steep_SR = (1 - floor - lapse_R) * rise_SR * (1 - rise_SR)
    slope_3SR = np.stack([-steep_SR / np.exp(log_width_R), -steep_SR * z_SR, -rise_SR])
    certain_SR = 1 / (share_SR * (1 - share_SR))
    score_R3 = np.einsum("isr,sr->ri", slope_3SR, (successes_SR - trials_SR * share_SR) * certain_SR)
    information_R33 = np.einsum("isr,jsr,sr->rij", slope_3SR, slope_3SR, trials_SR * certain_SR)
    diagonal_R3 = np.einsum("rii->ri", information_R33)
    damped_R33 = information_R33 + np.eye(3) * (damping_R[:, None] * (diagonal_R3 + 1e-6) + 1e-9)[:, :, None]
    return np.asarray(np.linalg.solve(damped_R33, score_R3[:, :, None])[:, :, 0].T)
