"""Tests of two networks on the same images, and what is left of a p value when several are looked at.

Legend of axes: N images, P patients.

References:
    McNemar, Psychometrika 12:153-157, 1947; Durkalski et al., Statistics in Medicine 22:2417-2428, 2003 (patients with
    several images; here by exchanging the networks within a patient, which is exact for few patients too);
    Holm, Scandinavian Journal of Statistics 6:65-70, 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from scanlens.evaluation.checks import Ints, check_length
from scanlens.evaluation.resampling import PatientGroups

MAX_EXACT = 4000  # images that one network had right and the other wrong, net of each patient


def mcnemar(first_right_N: NDArray[np.bool_], second_right_N: NDArray[np.bool_], groups: PatientGroups) -> float:
    """Two-sided p value for two networks that are right equally often, with all images of a patient kept together.

    If the networks are alike, exchanging them for a patient changes nothing; so the difference in right answers is held
    against its distribution over all exchanges. That is exact, and with one image a patient it is McNemar's exact test.
    Above 4,000 answers that differ (net of each patient) its normal approximation is used.

    Args:
        first_right_N: whether one network was right.
        second_right_N: whether the other was.
        groups: the patients of the images.

    Raises:
        ValueError: if the lengths differ.
    """
    for name, given in (("first_right_N", first_right_N), ("second_right_N", second_right_N)):
        check_length(given.tolist(), name=name, num_images=len(groups.patient_N))
    gain_N = first_right_N.astype(np.int64) - second_right_N.astype(np.int64)
    gain_P = np.bincount(groups.patient_N, weights=gain_N).astype(np.int64)
    gain_P = gain_P[gain_P != 0]
    total = int(abs(gain_P.sum()))
    if total == 0:
        return 1.0
    if int(np.abs(gain_P).sum()) > MAX_EXACT:
        return 2 * float(norm.sf(total / math.sqrt(float(np.square(gain_P).sum()))))
    return _share_of_exchanges(np.abs(gain_P), total)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p values adjusted so that any false finding among them all is as rare as one p value says (Holm's steps down).

    Args:
        p_values: of all comparisons; None, for one that could not be made, stays None and does not count.
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for step, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - step) * p))
        adjusted[place] = highest
    return adjusted


def _share_of_exchanges(size_P: Ints, total: int) -> float:
    """How often a sum of `size_P` with random signs is at least as far from 0 as `total`."""
    most = int(size_P.sum())
    share = np.zeros(2 * most + 1)
    share[most] = 1.0
    for size in size_P.tolist():
        moved = np.zeros_like(share)
        moved[size:] += share[: len(share) - size] / 2
        moved[: len(share) - size] += share[size:] / 2
        share = moved
    is_as_far = np.abs(np.arange(-most, most + 1)) >= total
    return min(1.0, float(share[is_as_far].sum()))
