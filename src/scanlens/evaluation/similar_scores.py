"""How often was it so where the network said about the same? A probability, told as cases that can be counted.

Readers take in "of 30 images with about this score, 12 showed it" better than a probability, and unlike a probability it was
observed. The images are of the test split, so nothing was fitted on them; those of the same patient are left out.

Legend of axes: N images.

References:
    Gigerenzer & Hoffrage 1995, doi:10.1037/0033-295X.102.4.684 (natural frequencies).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.evaluation.checks import Floats, check_length
from scanlens.evaluation.intervals import share_interval
from scanlens.evaluation.resampling import PatientGroups

NUM_SIMILAR = 30
LEAST_SIMILAR = 10
WITHIN = 1.0  # log-odds: odds of at most 2.7 times as much, or as little
_EPS = 1e-6


def similar_scores(
    n: int, score_N: Floats, is_positive_N: NDArray[np.bool_], groups: PatientGroups, *, num: int = NUM_SIMILAR
) -> dict[str, Any]:
    """Among the images whose score is nearest to that of image `n`: how many are positive.

    Near means a small difference of log-odds, at most `WITHIN`; of equally near ones the first count. Where fewer than
    `LEAST_SIMILAR` are so near, the nearest so many are taken however far they are: `lowest` and `highest` tell. Images of the same
    patient as image `n` do not count.

    Args:
        n: the image that is asked about.
        score_N: probability of the positive class of each image, in [0, 1].
        is_positive_N: the reference standard.
        groups: which images belong to one patient.
        num: images to look at; fewer where there are no more.

    Returns:
        value, low, high, reason: the share of positive images with its 95 % interval over patients; `num`, `num_positive`,
        `num_patients`; `lowest` and `highest` score among them. `is_near`: whether all are within
        `WITHIN`. Without `LEAST_SIMILAR` images of others the share is None.

    Raises:
        ValueError: if the lengths differ, or a score lies outside of [0, 1].
    """
    check_length(is_positive_N, name="is_positive_N", num_images=len(score_N))
    if not ((score_N >= 0) & (score_N <= 1)).all():
        raise ValueError("score_N must lie in [0, 1]: probabilities are expected.")
    log_odds_N = np.log(np.clip(score_N, _EPS, 1)) - np.log(np.clip(1 - score_N, _EPS, 1))
    apart_N = np.abs(log_odds_N - log_odds_N[n])
    others = np.flatnonzero(groups.patient_N != groups.patient_N[n])
    if len(others) < LEAST_SIMILAR:
        return _nothing(f"only {len(others)} test images of others are there, and {LEAST_SIMILAR} are needed")
    near = others[np.argsort(apart_N[others], kind="stable")[:num]]
    near = near[: max(LEAST_SIMILAR, int((apart_N[near] <= WITHIN).sum()))]
    among_N = np.zeros(len(score_N), dtype=bool)
    among_N[near] = True
    bounds = share_interval(is_positive_N, among_N, groups)
    return {
        "value": float(is_positive_N[near].mean()),
        "low": bounds.low,
        "high": bounds.high,
        "reason": bounds.reason,
        "num": len(near),
        "num_positive": int(is_positive_N[near].sum()),
        "num_patients": groups.count(among_N),
        "lowest": float(score_N[near].min()),
        "highest": float(score_N[near].max()),
        "is_near": bool((apart_N[near] <= WITHIN).all()),
    }


def _nothing(reason: str) -> dict[str, Any]:
    return {
        "value": None, "low": None, "high": None, "reason": reason, "num": 0, "num_positive": 0, "num_patients": 0, "lowest": None,
        "highest": None, "is_near": None,
    }  # fmt: skip
