"""Do two methods that work differently point at the same place, more than they would by chance?

Two maps of one head resemble each other because both are maps of a head. So the second one is also compared after it has
been moved elsewhere on the same kind of ground; only what exceeds that is agreement.

Legend: H rows, W columns; N moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from scanlens.explain.base import Explainer
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.explain.occlusion import Occlusion
from scanlens.explain.verdict.regions import Mask, moved, placed_elsewhere, top_region
from scanlens.seeds import derived_seed

NUM_MOVES = 99
_STEPS = 8  # of integrated gradients: the place of the peak needs no completeness
_PATCHES = 8  # of occlusion, along the shorter side


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two maps agree, and how far they would by chance.

    Args:
        other: name of the second method.
        overlap: share of the highlighted region that the second method highlights too, 0 to 1.
        overlap_by_chance: mean of the same after the second map was moved.
        overlap_p: how often it overlaps as much after a move, itself included.
        rank_correlation: over the body, of ranks among all that is covered; None if a map is flat there.
        rank_correlation_p: how often the moved second map correlates as much.
    """

    other: str
    overlap: float
    overlap_by_chance: float
    overlap_p: float
    rank_correlation: float | None
    rank_correlation_p: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def second_opinion(explainer: Explainer, image_hw: tuple[int, int]) -> Explainer:
    """A method that works differently: integrated gradients, or occlusion beside a method of gradients on pixels.

    Both are had cheaply here, with 8 steps or 8 patches along the shorter side.
    """
    if explainer.name == "integrated_gradients":
        side = max(1, round(min(image_hw) / _PATCHES))
        return Occlusion(patch=side, stride=side)
    return IntegratedGradients(steps=_STEPS, max_steps=_STEPS)


def smoothed(map_HW: ArrayLike, grain_px: tuple[float, float]) -> NDArray[np.float64]:
    """The map without detail finer than cells of `grain_px` rows and columns; two maps are compared at the coarser grain."""
    sigma = [max(0.5, side / 2) for side in grain_px]
    return np.asarray(gaussian_filter(np.asarray(map_HW, dtype=np.float64), sigma, mode="nearest"))


def agreement(
    map_HW: ArrayLike, other_HW: ArrayLike, covered_HW: Mask, body_HW: Mask, *, other: str, share: float, seed: int
) -> Agreement | None:
    """How far the second map agrees with the first; None if either is nowhere positive.

    Args:
        map_HW, other_HW: signed maps of the same image and class, at the same grain (see `smoothed`).
        covered_HW: what both cover.
        body_HW: see `ground.body`.
        other: name of the second method.
        share: of the covered pixels that count as highlighted.
        seed: of ties and moves.
    """
    first, second = (np.asarray(one, dtype=np.float64) for one in (map_HW, other_HW))
    mine_HW = top_region(first, covered_HW, share=share, seed=derived_seed(seed, 0))
    theirs_HW = top_region(second, covered_HW, share=share, seed=derived_seed(seed, 1))
    if not (mine_HW.any() and theirs_HW.any()):
        return None
    places = placed_elsewhere(theirs_HW, covered_HW, body_HW, num=NUM_MOVES, seed=derived_seed(seed, 2))
    overlap = float(theirs_HW[mine_HW].mean())
    by_chance_N = places.regions_NHW[:, mine_HW].mean(axis=1) if len(places.regions_NHW) else np.zeros(0)
    judged_HW = body_HW & covered_HW
    own_HW, second_HW = _ranks(first, covered_HW), _ranks(second, covered_HW)
    correlation = _correlation(own_HW[judged_HW], second_HW[judged_HW])
    moved_N = [
        _correlation(own_HW[judged_HW], moved(second_HW, covered_HW, shift)[judged_HW]) for shift in places.shifts_N2
    ]
    return Agreement(
        other,
        overlap,
        float(by_chance_N.mean()) if len(by_chance_N) else 0.0,
        _p_value(overlap, by_chance_N.tolist()),
        correlation,
        None if correlation is None else _p_value(correlation, [one for one in moved_N if one is not None]),
    )


def _p_value(value: float, by_chance: list[float]) -> float:
    return (1 + sum(one >= value - 1e-12 for one in by_chance)) / (1 + len(by_chance))


def _ranks(values_HW: NDArray[np.float64], covered_HW: Mask) -> NDArray[np.float64]:
    """Ranks among all that is covered; made once, so that a moved map need not be sorted again."""
    ranks_HW = np.zeros(values_HW.shape)
    ranks_HW[covered_HW] = rankdata(values_HW[covered_HW])
    return ranks_HW


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    if len(first) < 2:
        return None
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return None if size == 0 else float(np.clip(first @ second / size, -1, 1))
