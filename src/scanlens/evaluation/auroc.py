"""The interval of an AUROC in closed form, which holds the truth more often than percentiles where patients are few.

What an image adds to the area is its placement: the share of images of the other kind that it is on the right side of. The
variance comes from the sums of these over the images of a patient (Obuchowski; DeLong's where everyone has one image), each
divided by the share of images that the others have: the jackknife over patients, which does not run low where one patient
has many images. The interval is made on the logit scale, with Student's t in place of the normal distribution. Its degrees
of freedom are Welch's where every patient has one image; elsewhere the patients of the rarer kind less one, or fewer where
a few patients carry most of the variance (O'Neill), as they do near an area of 1. At exactly 1 no variance is seen; there
Newcombe's fifth method counts each patient as one image.

In simulations with 30 to 100 patients of 1 to 20 images (areas of 0.7, 0.85 and 0.95; a half or a fifth of the patients
ill; likeness of images within a patient 0.3 and 0.6), 95 % intervals held the truth in 93 to 97 of 100, in two of the 48
settings in 92 and 98; percentiles of a bootstrap held it in 87 to 96. With one image a patient it is 94 to 98.

Legend of axes: N images, P patients, K classes, C kinds of images.

References:
    DeLong, DeLong & Clarke-Pearson, Biometrics 44:837-845, 1988; Obuchowski, Biometrics 53:567-578, 1997 (patients with
    several images); Bell & McCaffrey, Survey Methodology 28:169-181, 2002 (leaving out one patient at a time); Welch 1938;
    Pepe 2003, section 5.2.5 (logit scale); O'Neill 2014, The American Statistician 68:282-296 (degrees of
    freedom of a variance, by kurtosis); Newcombe 2006, Statistics in Medicine 25:559-573 (method 5); Perme &
    Manevski 2019, Statistical Methods in Medical Research 28:3755-3768 (DeLong's variance on the logit scale holds up best,
    but for an area of 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm, t

from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.delong import placements
from scanlens.evaluation.intervals import LEVEL, Interval
from scanlens.evaluation.resampling import PatientGroups

ONE_KIND = "no interval: only one kind of image here"


def auroc_interval(
    score_N: Floats,
    is_positive_N: NDArray[np.bool_],
    groups: PatientGroups,
    *,
    among_N: NDArray[np.bool_] | None = None,
    level: float = LEVEL,
) -> Interval:
    """Interval of the AUROC of a score.

    Args:
        score_N: higher means more of the class; finite.
        is_positive_N: whether the image is of the class.
        groups: the patients of the images.
        among_N: the images that count; None for all.
        level: confidence, in (0, 1).

    Raises:
        ValueError: if lengths differ or a score is not finite.
    """
    among = slice(None) if among_N is None else among_N
    is_positive_N, unit_N = is_positive_N[among], groups.patient_N[among]
    placement_N = placements(score_N[among], is_positive_N)
    if placement_N is None:
        return Interval(None, None, ONE_KIND)
    area = _Area(placement_N, is_positive_N)
    return _interval([area], is_positive_N.astype(np.int64), unit_N, unit=groups.unit, level=level)


def mean_auroc_interval(
    probabilities_NK: Floats, target_N: Ints, groups: PatientGroups, *, level: float = LEVEL
) -> Interval:
    """Interval of the mean over the classes that are here of the AUROC of each against all others.

    Images are taken as drawn class by class, so that the mix of classes adds no variance.

    Args:
        probabilities_NK: checked probabilities.
        target_N: checked class numbers.
        groups: the patients of the images.
        level: confidence, in (0, 1).
    """
    classes = [(k, target_N == k) for k in np.unique(target_N)]
    placed = [(placements(probabilities_NK[:, k], is_class_N), is_class_N) for k, is_class_N in classes]
    areas = [_Area(placement_N, is_class_N) for placement_N, is_class_N in placed if placement_N is not None]
    if not areas:
        return Interval(None, None, ONE_KIND)
    return _interval(areas, target_N, groups.patient_N, unit=groups.unit, level=level)


@dataclass(frozen=True, slots=True, eq=False)
class _Area:
    """One area, from the placements of its images."""

    placement_N: Floats
    is_positive_N: NDArray[np.bool_]

    @property
    def value(self) -> float:
        return float(self.placement_N[self.is_positive_N].mean())

    @property
    def influence_N(self) -> Floats:
        """What each image adds beyond the mean of its kind."""
        num_positive = int(self.is_positive_N.sum())
        num_of_kind_N = np.where(self.is_positive_N, num_positive, len(self.is_positive_N) - num_positive)
        return np.asarray((self.placement_N - self.value) / num_of_kind_N)

    def lowest(self, unit_N: Ints, *, level: float) -> float:
        """The lower end of the interval if the area is 1."""
        num_positive, num_negative = (
            len(np.unique(unit_N[is_kind_N])) for is_kind_N in (self.is_positive_N, ~self.is_positive_N)
        )
        return _lowest_of_perfect(num_positive, num_negative, level=level)


def _interval(areas: Sequence[_Area], kind_N: Ints, unit_N: Ints, *, unit: str, level: float) -> Interval:
    """Of the mean of areas; patients are drawn within kinds of images."""
    value, kinds = float(np.mean([area.value for area in areas])), np.unique(kind_N)
    if any(len(np.unique(unit_N[kind_N == kind])) < 2 for kind in kinds):
        among = "either kind" if len(areas) == 1 else "every class"
        return Interval(None, None, f"no interval: needs at least two {unit} of {among}")
    if value in (0.0, 1.0):
        low = float(np.mean([area.lowest(unit_N, level=level) for area in areas]))
        return Interval(low, 1.0) if value == 1 else Interval(0.0, 1 - low)
    influence_N = np.mean([area.influence_N for area in areas], axis=0)
    for kind in kinds:
        influence_N[kind_N == kind] -= influence_N[kind_N == kind].mean()
    spread = _spread(influence_N, kind_N, unit_N)
    if spread.variance <= 1e-24:
        return Interval(None, None, f"no interval: all {unit} are ranked alike")
    error = math.sqrt(spread.variance) / (value * (1 - value))
    half = float(t.ppf((1 + level) / 2, spread.degrees)) * error
    return Interval(float(expit(logit(value) - half)), float(expit(logit(value) + half)))


@dataclass(frozen=True, slots=True)
class _Spread:
    """Variance of an area, and how many degrees of freedom it has."""

    variance: float
    degrees: float


def _spread(influence_N: Floats, kind_N: Ints, unit_N: Ints) -> _Spread:
    units, number_N = np.unique(unit_N, return_inverse=True)
    kinds = np.unique(kind_N)
    sum_CP, carriers_C = np.empty((len(kinds), len(units))), np.empty(len(kinds))
    for c, kind in enumerate(kinds):
        is_kind_N = kind_N == kind
        share_P = np.bincount(number_N[is_kind_N], minlength=len(units)) / is_kind_N.sum()
        sum_P = np.bincount(number_N, weights=influence_N * is_kind_N, minlength=len(units))
        sum_CP[c], carriers_C[c] = sum_P / (1 - share_P), (share_P > 0).sum()
    whole_P, squares_CP = sum_CP.sum(axis=0), np.square(sum_CP)
    within_C = (carriers_C - 1) / carriers_C * squares_CP.sum(axis=1)
    between = (len(units) - 1) / len(units) * float((np.square(whole_P) - squares_CP.sum(axis=0)).sum())
    variance = float(within_C.sum()) + between
    if len(units) == len(unit_N):
        return _Spread(variance, variance**2 / max(1e-300, float((within_C**2 / (carriers_C - 1)).sum())))
    return _Spread(variance, min(float(carriers_C.min()) - 1, _by_kurtosis(whole_P)))


def _by_kurtosis(sum_P: Floats) -> float:
    """Degrees of freedom of a mean square: about as many as numbers, fewer where a few of them are large."""
    num, squares = len(sum_P), float(np.square(sum_P).sum())
    if squares == 0 or num < 4:
        return 1.0
    kurtosis = num * float((sum_P**4).sum()) / squares**2
    return max(1.0, 2 * num / (kurtosis - (num - 3) / (num - 1)))


def _lowest_of_perfect(num_positive: int, num_negative: int, *, level: float) -> float:
    """The smallest area that does not exclude a perfect ranking of so many (Newcombe's method 5)."""
    z_squared = float(norm.ppf((1 + level) / 2)) ** 2
    others = (num_positive + num_negative) / 2 - 1

    def excess(area: float) -> float:
        scatter = 1 + others * ((1 - area) / (2 - area) + area / (1 + area))
        return (1 - area) - z_squared * area * scatter / (num_positive * num_negative)

    return float(brentq(excess, 0.0, 1.0))
