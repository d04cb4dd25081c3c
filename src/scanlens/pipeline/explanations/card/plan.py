"""How many images each measure of a score card looks at, from what a method's maps and the network cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scanlens.explain.small_changes import OF_THE_SCORE_CARD
from scanlens.pipeline.explanations.card.budget import Prices, affordable
from scanlens.pipeline.explanations.card.compared import Method
from scanlens.pipeline.explanations.card.randomization import NUM_SEEDS, RandomizationPlan

MAPS_S, VAL_S, RANDOMIZATION_S, STABILITY_S, REMOVAL_S, IMPUTATION_S = 60.0, 20.0, 6.0, 8.0, 3.0, 1.2
LEAST, LEAST_IMPUTED, LEAST_FOR_ALL_SEEDS = 8, 6, 10
MOST_RANDOMIZED, MOST_VAL = 30, 30
SHARES, FEW_SHARES, IMPUTED_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4), (0.05, 0.15, 0.4), (0.1, 0.3)
MOST_STEPS = 5
MOST_PASSES_S = MAPS_S / LEAST
"""A default method whose one map costs more nominal seconds is left out."""


@dataclass(frozen=True, slots=True)
class MethodPlan:
    """Numbers of images of one method.

    Args:
        num_maps: of images with a finding, from which the others are taken.
        num_marked, num_val: test and validation images with a marked lesion.
        num_changed: for consistency.
        randomization: for fidelity.
    """

    num_maps: int
    num_marked: int
    num_val: int
    num_changed: int
    randomization: RandomizationPlan


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """Deletion and ROAD, alike for all methods.

    Args:
        num_removed, num_imputed: images.
        shares: of the image, that are removed or kept.
        imputed_shares: of the image, that are filled in by linear equations.
    """

    num_removed: int
    num_imputed: int
    shares: tuple[float, ...]
    imputed_shares: tuple[float, ...] = IMPUTED_SHARES

    def as_dict(self) -> dict[str, Any]:
        return {"num_images": self.num_removed, "num_imputed": self.num_imputed, "shares": list(self.shares)}


def method_plan(
    method: Method, costs: Prices, *, num_found: int, num_marked: int, num_val: int, num_steps: int
) -> MethodPlan:
    """Every number at least `LEAST` where there are as many images."""
    one_s = method.seconds(costs.map_s)
    return MethodPlan(
        num_maps=affordable(one_s, MAPS_S, least=LEAST, most=num_found),
        num_marked=affordable(one_s, MAPS_S, least=LEAST, most=num_marked),
        num_val=affordable(one_s, VAL_S, least=LEAST, most=min(num_val, MOST_VAL)),
        num_changed=affordable(one_s * len(OF_THE_SCORE_CARD), STABILITY_S, least=LEAST, most=num_found),
        randomization=_randomization(one_s * num_steps, most=min(num_found, MOST_RANDOMIZED)),
    )


def _randomization(cascade_s: float, *, most: int) -> RandomizationPlan:
    """Every image with every seed if enough images can be had so, else, or if there is nothing to see, with one in turn."""
    thorough = affordable(cascade_s * NUM_SEEDS, RANDOMIZATION_S, least=0, most=most)
    if cascade_s > 0 and thorough >= min(LEAST_FOR_ALL_SEEDS, most):
        return RandomizationPlan(thorough, NUM_SEEDS)
    return RandomizationPlan(affordable(cascade_s, RANDOMIZATION_S, least=min(LEAST, most), most=most), 1)


def removal_plan(costs: Prices, *, num_found: int) -> RemovalPlan:
    """Fewer shares where regions are dear, so that the number of images stays."""
    region_s = costs.forward_s + costs.removal_s
    shares = SHARES if 4 * len(SHARES) * region_s * LEAST <= REMOVAL_S else FEW_SHARES
    imputed_s = 2 * len(IMPUTED_SHARES) * (costs.forward_s + costs.imputation_s)
    return RemovalPlan(
        num_removed=affordable(4 * len(shares) * region_s, REMOVAL_S, least=LEAST, most=num_found),
        num_imputed=affordable(imputed_s, IMPUTATION_S, least=LEAST_IMPUTED, most=num_found),
        shares=shares,
    )
