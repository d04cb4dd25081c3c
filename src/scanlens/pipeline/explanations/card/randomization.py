"""What is left of maps when the weights of the network are drawn anew, layer by layer from the top.

Legend: B images, D steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from scanlens.explain.randomization import cascade
from scanlens.pipeline.explanations.card.compared import Method
from scanlens.pipeline.explanations.card.images import CardImages
from scanlens.pipeline.explanations.card.method_maps import Mapped, method_maps, ranks_alike, structure_alike
from scanlens.seeds import derived_seed

NUM_SEEDS = 5
NUM_PARTNERS = 4
Values = list[float | None]


@dataclass(frozen=True, slots=True)
class RandomizationPlan:
    """How much one method is looked at.

    Args:
        num_images: the first of those drawn.
        seeds_per_image: all `NUM_SEEDS`, or fewer in turn: image b sees seeds b, b + 1 ...
    """

    num_images: int
    seeds_per_image: int

    def images_of(self, seed: int) -> list[int]:
        """The images that see this seed."""
        return [b for b in range(self.num_images) if (seed - b) % NUM_SEEDS < self.seeds_per_image]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike the maps of each image are to what became of them, at each step; means over seeds.

    Args:
        ranks_DB: rank correlation without its sign: a map upside down is still the same map.
        structure_DB: structural similarity.
    """

    ranks_DB: list[Values]
    structure_DB: list[Values]


def randomized_likeness(
    network: nn.Module,
    methods: Sequence[Method],
    plans: Sequence[RandomizationPlan],
    maps: Sequence[Sequence[Mapped]],
    images: CardImages,
    *,
    layers: Sequence[str],
    steps: Sequence[int],
    seed: int,
    advance: Callable[[int], None],
) -> list[Likeness]:
    """The `Likeness` of every method, whose maps of the network as it is are given; networks are drawn once for all."""
    found: list[dict[tuple[int, int], list[tuple[float | None, float | None]]]] = [{} for _ in methods]
    for number in range(NUM_SEEDS):
        for depth, (_, changed) in enumerate(cascade(network, layers, steps, seed=derived_seed(seed, number))):
            for looked_at, those in _by_images(plans, number).items():
                x_BCHW, target_B = images.x_BCHW[list(looked_at)], images.target_B[list(looked_at)]
                nums = [len(looked_at)] * len(those)
                made = method_maps([methods[k].explainer for k in those], changed, x_BCHW, target_B, nums=nums)
                for k, after_B in zip(those, made, strict=True):
                    for b, after in zip(looked_at, after_B, strict=True):
                        rank = ranks_alike(maps[k][b], after)
                        alike = (None if rank is None else abs(rank), structure_alike(maps[k][b], after))
                        found[k].setdefault((depth, b), []).append(alike)
        advance(1)
    return [_likeness(kept, plan.num_images, len(steps)) for kept, plan in zip(found, plans, strict=True)]


def _by_images(plans: Sequence[RandomizationPlan], seed: int) -> dict[tuple[int, ...], list[int]]:
    """Which methods look at the same images with this seed, by these images."""
    found: dict[tuple[int, ...], list[int]] = {}
    for k, plan in enumerate(plans):
        if looked_at := tuple(plan.images_of(seed)):
            found.setdefault(looked_at, []).append(k)
    return found


def _likeness(
    kept: dict[tuple[int, int], list[tuple[float | None, float | None]]], num_images: int, num_steps: int
) -> Likeness:
    def table(place: int) -> list[Values]:
        return [
            [mean_known([alike[place] for alike in kept.get((depth, b), [])]) for b in range(num_images)]
            for depth in range(num_steps)
        ]

    return Likeness(table(0), table(1))


def different_images(maps: Sequence[Mapped], targets: Sequence[int]) -> tuple[Values, Values]:
    """Of each map, its mean rank correlation with maps of other images: without its sign, and with it.

    Others of the same explained class are taken, up to `NUM_PARTNERS`; of any class if there is none.
    """
    unsigned: Values = []
    signed: Values = []
    for b, own in enumerate(maps):
        others = [(b + step) % len(maps) for step in range(1, len(maps))]
        same = [o for o in others if targets[o] == targets[b]]
        ranks = [ranks_alike(own, maps[o]) for o in (same or others)[:NUM_PARTNERS]]
        unsigned.append(mean_known([None if rank is None else abs(rank) for rank in ranks]))
        signed.append(mean_known(ranks))
    return unsigned, signed


def mean_known(values: Sequence[float | None]) -> float | None:
    """Mean of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
