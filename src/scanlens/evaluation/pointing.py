"""Whether heat maps point at lesions, compared with pointing at random.

Legend of axes: N images, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scanlens.evaluation.checks import Floats, check_length, checked_values
from scanlens.evaluation.intervals import described, entry, percentile_interval, share_interval
from scanlens.evaluation.ranking import divided
from scanlens.evaluation.resampling import PatientGroups, bootstrap, group_patients

METHOD = (
    "for the hit rate Wilson's, with the number of independent images that would be as certain; for its excess over "
    "chance percentiles, expanded for small numbers, of a bootstrap"
)
P_VALUE_METHOD = (
    "Probability that points drawn at random over what each map covers hit at least as often (Poisson-binomial). A "
    "small one does not exclude maps that always point to the same place, where lesions happen to be."
)


def localization_summary(
    hits: Sequence[float],
    area_shares: Sequence[float],
    *,
    patients: Sequence[str | None],
    groups: Sequence[str | None] | None = None,
    num_blank: int = 0,
    seed: int = 0,
    num_resamples: int = 1000,
) -> dict[str, Any]:
    """The pointing game of one method over images that have a lesion mask.

    Args:
        hits: 1 if the peak of the map lies in the mask, 0 if not or if the map is blank, and in between the
            expected value where several pixels share the maximum.
        area_shares: share of the places where a peak can lie that are in the lesion, above 0: how often a random one of
            them would hit. For a map that covers the whole picture it is the lesion's share of the picture.
        patients: name of the patient of each image; None or "" if unknown.
        groups: name of the group of near-duplicates of each image, which counts where patients are unknown.
        num_blank: how many of the maps are blank; they are misses.
        seed: of the resamples.
        num_resamples: of the bootstrap; 0 leaves the interval of `excess` out.

    Returns:
        `num_images`, `num_patients`, `num_blank`, `num_hits`, `hit_rate` and `excess` over chance (each
        {value, low, high, reason}), `chance`, `p_value` (None without images), `p_value_method` and
        `interval`.

    Raises:
        ValueError: names the first entry that is at fault.
    """
    hit_N = checked_values(hits, name="hits", low=0, high=1)
    share_N = checked_values(area_shares, name="area_shares", low=0, high=1)
    check_length(share_N, name="area_shares", num_images=len(hit_N))
    check_length(patients, name="patients", num_images=len(hit_N))
    if (share_N == 0).any():
        raise ValueError(f"area_shares: entry {int(np.argmax(share_N == 0))} is 0: leave images with an empty mask out")
    if not 0 <= num_blank <= int((hit_N == 0).sum()):
        raise ValueError(f"num_blank: expected 0 to {int((hit_N == 0).sum())} (a blank map is a miss), got {num_blank}")
    units = group_patients(patients, np.zeros(len(hit_N), dtype=np.int64), groups=groups)
    return {
        "num_images": len(hit_N),
        "num_patients": units.num_known or None,
        "num_blank": num_blank,
        "num_hits": float(hit_N.sum()),
        **_rates(hit_N, share_N, units, seed=seed, num_resamples=num_resamples),
        "p_value": chance_p_value(float(hit_N.sum()), share_N) if len(hit_N) else None,
        "p_value_method": P_VALUE_METHOD,
        "interval": described(units, num_resamples=num_resamples, method=METHOD),
    }


def chance_p_value(num_hits: float, area_share_N: Floats) -> float:
    """Probability that independent trials with these chances succeed at least `num_hits` times (Poisson-binomial).

    Hits that are not whole (expected values of ties) are rounded down, so that the answer is never too small.
    """
    probability_of_count = np.ones(1)
    for share in area_share_N:
        without, with_hit = probability_of_count * (1 - share), probability_of_count * share
        probability_of_count = np.append(without, 0.0) + np.insert(with_hit, 0, 0.0)
    at_least = int(np.floor(num_hits + 1e-9))
    return float(min(1.0, probability_of_count[at_least:].sum()))


def _rates(hit_N: Floats, share_N: Floats, groups: PatientGroups, *, seed: int, num_resamples: int) -> dict[str, Any]:
    if len(hit_N) == 0:
        nothing = {"value": None, "low": None, "high": None, "reason": "no image with a lesion mask"}
        return {"hit_rate": nothing, "chance": None, "excess": dict(nothing)}
    excess_N = hit_N - share_N
    samples = bootstrap(
        lambda weights_NR: {"excess": divided(excess_N @ weights_NR, weights_NR.sum(axis=0))},
        groups,
        num_resamples=num_resamples,
        seed=seed,
    )
    excess = percentile_interval(samples.get("excess"), num_patients=groups.num_patients)
    return {
        "hit_rate": entry(float(hit_N.mean()), share_interval(hit_N, np.ones(len(hit_N), dtype=bool), groups)),
        "chance": float(share_N.mean()),
        "excess": entry(float(excess_N.mean()), excess),
    }
