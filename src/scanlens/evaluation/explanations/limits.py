"""The smallest lesion that a network calls, and the smallest that its map points at.

Limit of detection: the size at which 90 % of inserted lesions are called. Limit of localization: the size at which the peak
of the map lies on half of the lesions that were called. What is never called cannot be pointed at, so the second is a
statement about called ones alone.

Legend of axes: N images with inserted lesions, S sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.explanations.psychometric import size_limit
from scanlens.evaluation.intervals import Interval, described, entry, percentile_interval, share_entry
from scanlens.evaluation.resampling import PatientGroups

DETECTED_SHARE = 0.9
LOCALIZED_SHARE = 0.5
MIN_LESIONS = 5
METHOD = (
    "for limits bias-corrected and accelerated percentiles, expanded for small numbers, of a bootstrap in which both curves are "
    "fitted again; for shares Wilson's, with the number of independent images that would be as certain"
)


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """What became of inserted lesions.

    Args:
        sizes_S: diameters, rising.
        called_NS: whether the image with the lesion is called positive.
        hit_NS: 1 if the peak of the map lies on the lesion, 0 if not, in between for ties; meaningful where called.
        near_NS: the same with a tolerance.
        chance_NS, chance_near_NS: how often a random point of what the map covers would hit.
    """

    sizes_S: Floats
    called_NS: Floats
    hit_NS: Floats
    near_NS: Floats
    chance_NS: Floats
    chance_near_NS: Floats


def limits_summary(trials: Trials, groups: PatientGroups, *, seed: int, num_resamples: int = 1000) -> dict[str, Any]:
    """Both limits and the shares at every size.

    Without any lesion none of these images is called, and nothing can be hit: both curves start at 0.

    Args:
        trials: of images that are not called as they are.
        groups: patients of the images.
        seed: of the resamples, which are the same for both limits.
        num_resamples: of the bootstrap.

    Returns:
        `detection`, `localization` and `localization_near` (see `size_limit`), `ratio` of localization to detection,
        `sizes` (each `size`, `called`, `num_called`, `hit`, `near`, `chance`, `chance_near`), `num_images`, `num_patients`, `interval`.
    """
    how: dict[str, Any] = {"groups": groups, "num_resamples": num_resamples, "seed": seed}
    everything_NS = np.ones_like(trials.called_NS)
    detection, detection_R = size_limit(trials.called_NS, everything_NS, trials.sizes_S, target=DETECTED_SHARE, **how)
    localization, localization_R = size_limit(
        trials.hit_NS * trials.called_NS, trials.called_NS, trials.sizes_S, target=LOCALIZED_SHARE, **how
    )
    near, _ = size_limit(
        trials.near_NS * trials.called_NS, trials.called_NS, trials.sizes_S, target=LOCALIZED_SHARE, **how
    )
    return {
        "detection": detection,
        "localization": localization,
        "localization_near": near,
        "ratio": _ratio(localization, localization_R, detection, detection_R, groups),
        "sizes": [_at_size(trials, groups, place) for place in range(len(trials.sizes_S))],
        "num_images": len(trials.called_NS),
        "num_patients": groups.num_known or None,
        "interval": described(groups, num_resamples=num_resamples, method=METHOD),
    }


def _ratio(
    localization: dict[str, Any], above_R: Floats, detection: dict[str, Any], below_R: Floats, groups: PatientGroups
) -> dict[str, Any]:
    """Localization over detection; only where both were found, and in all resamples but a few."""
    if localization["value"] is None or detection["value"] is None:
        return entry(None, Interval(None, None), remark="one of the limits lies outside of the sizes tried")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_R = above_R / below_R
    ratio_R = np.where(np.isfinite(ratio_R) & (ratio_R > 0), ratio_R, np.nan)
    interval = percentile_interval(ratio_R if len(ratio_R) else None, num_patients=groups.num_patients)
    return entry(localization["value"] / detection["value"], interval)


def _at_size(trials: Trials, groups: PatientGroups, place: int) -> dict[str, Any]:
    is_called_N = trials.called_NS[:, place] > 0
    everyone_N = np.ones(len(is_called_N), dtype=bool)
    absent = "no lesion of this size is called"
    return {
        "size": float(trials.sizes_S[place]),
        "called": share_entry(is_called_N, everyone_N, groups, absent=""),
        "num_called": int(is_called_N.sum()),
        "hit": share_entry(trials.hit_NS[:, place], is_called_N, groups, absent=absent),
        "near": share_entry(trials.near_NS[:, place], is_called_N, groups, absent=absent),
        "chance": float(trials.chance_NS[:, place].mean()),
        "chance_near": float(trials.chance_near_NS[:, place].mean()),
    }


def own_contrast(contrasts_LC: Sequence[Floats]) -> tuple[Floats | None, dict[str, Any]]:
    """The contrast of a data set's own lesions: the median of each channel, or None where they do not agree on a sign.

    Args:
        contrasts_LC: of each marked lesion, of each channel.

    Returns:
        contrast_C or None, and for JSON `num_lesions`, `median`, `low` and `high` (quartiles) of each channel, and `reason`.
    """
    if len(contrasts_LC) < MIN_LESIONS:
        told = f"{len(contrasts_LC)} marked lesions outside of the test split, at least {MIN_LESIONS} are needed"
        return None, {"num_lesions": len(contrasts_LC), "median": None, "low": None, "high": None, "reason": told}
    stacked_LC = np.stack(contrasts_LC)
    low_C, median_C, high_C = np.quantile(stacked_LC, [0.25, 0.5, 0.75], axis=0)
    reason = None
    along_L = stacked_LC @ (median_C / max(float(np.linalg.norm(median_C)), 1e-12))
    if float(np.quantile(along_L, 0.25)) <= 0:
        reason = "marked lesions are not consistently brighter, or darker, than what lies around them"
    facts = {
        "num_lesions": len(contrasts_LC),
        "median": median_C.tolist(),
        "low": low_C.tolist(),
        "high": high_C.tolist(),
        "reason": reason,
    }
    return (None if reason else median_C), facts
