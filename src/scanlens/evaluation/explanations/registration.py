"""Whether moving a map brings it closer to a reference, judged on patients that had no part in measuring the move.

Legend of axes: N images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import Interval, described, entry, mean_interval
from scanlens.evaluation.resampling import PatientGroups

Bools = NDArray[np.bool_]
MIN_IMAGES, MIN_UNITS = 6, 3  # in each half
SMALLEST_PX = 0.5
METHOD = "Student's, of the variance between patients"


@dataclass(frozen=True, slots=True)
class Move:
    """What was decided about one method.

    Args:
        shift_yx: (down, right) in pixels, as the first half says; None if it cannot.
        is_accepted: whether the second half supports it.
        reason: why not; None if it does.
        before_px, after_px, gain_px: mean distance between the peaks on the second half, as it is, moved, and what is
            gained, {value, low, high, reason}.
        num_estimated, num_judged: images of each half that have both peaks.
        num_blank: images left out because a map points nowhere.
    """

    shift_yx: tuple[float, float] | None
    is_accepted: bool
    reason: str | None
    before_px: dict[str, Any]
    after_px: dict[str, Any]
    gain_px: dict[str, Any]
    num_estimated: int
    num_judged: int
    num_blank: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {"shift_yx": None if self.shift_yx is None else list(self.shift_yx)}


def first_half(groups: PatientGroups, *, seed: int) -> Bools:
    """Which images belong to the half that measures: half of the patients, drawn at random, with all their images."""
    order = np.random.default_rng(seed).permutation(groups.num_patients)
    return np.isin(groups.patient_N, order[: groups.num_patients // 2])


def judged_move(map_N2: Floats, reference_N2: Floats, groups: PatientGroups, *, largest_px: float, seed: int) -> Move:
    """Measure the offset on one half of the patients and judge it on the other.

    It is accepted if the mean distance between the peaks falls there, by more than chance (95 % interval above 0). Moving by a
    certain way can change no distance by more than that, so a few maps that point elsewhere altogether do not decide.

    Args:
        map_N2, reference_N2: peaks (row, column) in pixels, NaN where a map points nowhere.
        groups: patients of the images.
        largest_px: a longer way, down or right, is refused: it cannot come from filters that are off their center.
        seed: of the division.
    """
    is_known_N = np.isfinite(map_N2).all(axis=1) & np.isfinite(reference_N2).all(axis=1)
    is_first_N = first_half(groups, seed=seed)
    measures_N, judges_N = is_known_N & is_first_N, is_known_N & ~is_first_N
    counts: dict[str, Any] = {
        "num_estimated": int(measures_N.sum()),
        "num_judged": int(judges_N.sum()),
        "num_blank": int((~is_known_N).sum()),
    }
    for part_N, half in ((measures_N, "measure"), (judges_N, "judge")):
        if part_N.sum() < MIN_IMAGES or groups.count(part_N) < MIN_UNITS:
            told = f"{int(part_N.sum())} images of {groups.count(part_N)} {groups.unit} to {half} on"
            return _refused(None, f"{told}; at least {MIN_IMAGES} of {MIN_UNITS} are needed", counts)
    down, right = np.median((reference_N2 - map_N2)[measures_N], axis=0)
    shift_yx = (float(down), float(right))
    gains = _gains(map_N2, reference_N2, shift_yx, judges_N, groups)
    is_accepted, reason = _verdict(shift_yx, gains["gain_px"], largest_px)
    return Move(shift_yx, is_accepted, reason, **gains, **counts)


def _verdict(shift_yx: tuple[float, float], gain: dict[str, Any], largest_px: float) -> tuple[bool, str | None]:
    distance = max(abs(step) for step in shift_yx)
    if distance < SMALLEST_PX:
        return False, f"the map lies where the reference does (within {SMALLEST_PX:g} px)"
    if distance > largest_px:
        return False, f"{distance:.1f} px are more than filters can be off their center here ({largest_px:.1f} px)"
    if not _is_gain(gain):
        return False, "on the other half of the patients it does not bring the peaks closer than chance could"
    return True, None


def _is_gain(gain: dict[str, Any]) -> bool:
    """Whether the interval lies above 0, or every image gains the same."""
    low = gain["value"] if gain["reason"] and "same value" in gain["reason"] else gain["low"]
    return low is not None and low > 0


def _gains(
    map_N2: Floats, reference_N2: Floats, shift_yx: tuple[float, float], judges_N: Bools, groups: PatientGroups
) -> dict[str, Any]:
    before_N = np.hypot(*(reference_N2 - map_N2).T)
    after_N = np.hypot(*(reference_N2 - map_N2 - np.array(shift_yx)).T)
    return {
        "before_px": _mean(before_N, judges_N, groups),
        "after_px": _mean(after_N, judges_N, groups),
        "gain_px": _mean(before_N - after_N, judges_N, groups),
    }


def paired_change(before_N: Floats, after_N: Floats, groups: PatientGroups) -> dict[str, Any]:
    """Means before and after and of what was gained, each {value, low, high, reason}; NaN in either leaves an image out.

    Args:
        before_N, after_N: a number for each image.
        groups: patients of the images.
    """
    is_known_N = np.isfinite(before_N) & np.isfinite(after_N)
    return {
        "before": _mean(before_N, is_known_N, groups),
        "after": _mean(after_N, is_known_N, groups),
        "gain": _mean(after_N - before_N, is_known_N, groups),
        "num_images": int(is_known_N.sum()),
        "interval": described(groups, num_resamples=0, method=METHOD),
    }


def _mean(value_N: Floats, among_N: Bools, groups: PatientGroups) -> dict[str, Any]:
    if not among_N.any():
        return entry(None, Interval(None, None), remark="no image")
    return entry(float(value_N[among_N].mean()), mean_interval(value_N, groups, among_N=among_N))


def _refused(shift_yx: tuple[float, float] | None, reason: str, counts: dict[str, Any]) -> Move:
    nothing = entry(None, Interval(None, None), remark=reason)
    return Move(shift_yx, False, reason, nothing, dict(nothing), dict(nothing), **counts)
