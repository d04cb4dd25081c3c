"""The most similar known images of a new one, and how usual such a distance is.

Features come in units as different as their layer leaves them, so each is brought to mean 0 and standard deviation 1 over
the known images; the distance is the root mean square of the differences, in standard deviations. Whether a neighbor is
near is told by images that the network was not trained on: how far those lie from their own nearest known image.

Legend of axes: N known images, M new ones, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scanlens.evaluation.checks import Floats, Ints

MOST_SPREADS = 1e4  # a feature that hardly ever moves counts no more than so much
_STILL = 1e-6  # of the largest value: a feature that varies less does not vary
_CHUNK = 256


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Mean and standard deviation of features that vary.

    Args:
        mean_D: of the known images.
        spread_D: standard deviation; 0 for a feature that does not vary, which is left out of distances.
    """

    mean_D: NDArray[np.float32]
    spread_D: NDArray[np.float32]

    @property
    def num_varying(self) -> int:
        """Features that distances are made of."""
        return int((self.spread_D > 0).sum())

    def of(self, features_ND: ArrayLike) -> NDArray[np.float16]:
        """The features that vary, in standard deviations from their mean, at most 10,000."""
        varies_D = self.spread_D > 0
        given_ND = np.asarray(features_ND, dtype=np.float64)[:, varies_D]
        scaled_ND = (given_ND - self.mean_D[varies_D]) / self.spread_D[varies_D]
        return np.clip(scaled_ND, -MOST_SPREADS, MOST_SPREADS).astype(np.float16)


def fit_scale(features_ND: ArrayLike) -> Scale:
    """What to standardize features by; at least one row, finite."""
    features = np.asarray(features_ND, dtype=np.float64)
    spread_D = features.std(axis=0)
    is_still_D = spread_D <= _STILL * np.maximum(1.0, np.abs(features).max(axis=0))
    return Scale(features.mean(axis=0).astype(np.float32), np.where(is_still_D, 0.0, spread_D).astype(np.float32))


def distances(known_ND: ArrayLike, new_D: ArrayLike) -> Floats:
    """Root mean square difference (N,) between one image and each known one, of standardized features."""
    known, new = np.asarray(known_ND), np.asarray(new_D, dtype=np.float64)
    found = [
        np.sqrt(np.square(known[start : start + _CHUNK].astype(np.float64) - new).mean(axis=1))
        for start in range(0, len(known), _CHUNK)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def nearest_distances(
    known_ND: NDArray[np.floating], known_unit_N: Ints, new_MD: NDArray[np.floating], new_unit_M: Ints
) -> Floats:
    """Distance (K,) of each new image to its nearest known one of another unit, for those K <= M that have one.

    Args:
        known_ND, new_MD: standardized features.
        known_unit_N, new_unit_M: equal numbers for images that belong together, over both sets.
    """
    known = np.asarray(known_ND, dtype=np.float64)
    square_N = np.square(known).sum(axis=1)
    found = []
    for start in range(0, len(new_unit_M), _CHUNK):
        new = np.asarray(new_MD[start : start + _CHUNK], dtype=np.float64)
        rough_MN = square_N - 2.0 * (new @ known.T)  # less |new|^2, which is the same for all
        rough_MN[new_unit_M[start : start + _CHUNK, None] == known_unit_N[None]] = np.inf
        for row, place in enumerate(rough_MN.argmin(axis=1)):
            if np.isfinite(rough_MN[row, place]):
                found.append(distances(known[place][None], new[row])[0])
    return np.array(found, dtype=np.float64)


def nearest_units(distance_N: ArrayLike, unit_N: Ints, is_allowed_N: NDArray[np.bool_], *, num: int) -> list[int]:
    """Places of the `num` nearest allowed images, nearest first, at most one of each unit; of equals the first.

    Args:
        distance_N: of the known images.
        unit_N: equal numbers for images that belong together.
        is_allowed_N: which may be taken.
        num: how many at most.
    """
    taken: list[int] = []
    units: set[int] = set()
    for place in np.argsort(np.asarray(distance_N), kind="stable").tolist():
        if len(taken) == num:
            break
        if is_allowed_N[place] and int(unit_N[place]) not in units:
            taken.append(place)
            units.add(int(unit_N[place]))
    return taken


def percentile_among(known_N: ArrayLike, value: float) -> float:
    """Share in percent of known values below this one; equal ones count half. At least one known value."""
    known = np.asarray(known_N, dtype=np.float64)
    return float(100 * ((known < value).sum() + 0.5 * (known == value).sum()) / len(known))


def two_sided(percentile: float) -> float:
    """Share in percent of known values at least as far out to either side: 100 in the middle, 0 beyond all."""
    return float(2 * min(percentile, 100 - percentile))


def joined_units(*names: Sequence[str]) -> Ints:
    """One number for all images that share a name in any of the lists, directly or through others; "" is no name.

    Args:
        names: lists of one length, such as the groups and the patients of images.
    """
    num = len(names[0])
    rows, columns, start = [np.arange(num)], [np.arange(num)], num
    for listed in names:
        number: dict[str, int] = {}
        known = [place for place, name in enumerate(listed) if name]
        columns.append(
            np.array([start + number.setdefault(listed[place], len(number)) for place in known], dtype=np.int64)
        )
        rows.append(np.array(known, dtype=np.int64))
        start += len(number)
    at = (np.concatenate(rows), np.concatenate(columns))
    links = coo_array((np.ones(len(at[0]), bool), at), shape=(start, start))
    joined: Ints = connected_components(links, directed=False)[1][:num].astype(np.int64)
    return np.unique(joined, return_inverse=True)[1].astype(np.int64)
