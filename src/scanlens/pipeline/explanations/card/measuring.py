"""Everything that a score card measures, method by method, before any number or verdict is made of it.

Legend: B images, D steps of randomization.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from torch import nn

from scanlens.explain.asking import margins_of
from scanlens.explain.base import Explainer
from scanlens.pipeline.explanations.card.compared import Method
from scanlens.pipeline.explanations.card.consistency import change_all, stability
from scanlens.pipeline.explanations.card.images import CardImages
from scanlens.pipeline.explanations.card.labels import Shuffled
from scanlens.pipeline.explanations.card.method_maps import Mapped, method_maps, ranks_alike
from scanlens.pipeline.explanations.card.plan import MethodPlan, RemovalPlan
from scanlens.pipeline.explanations.card.plausibility import Pointing, overlap_at_threshold, pointing, reached_by_all
from scanlens.pipeline.explanations.card.randomization import Likeness, Values, different_images, randomized_likeness
from scanlens.pipeline.explanations.card.removal import Removals, removals

STEPS_OF_PROGRESS = 5
"""For each method: maps, stability, deletion, ROAD, pointing; seeds of randomization come on top."""
Advance = Callable[[int], None]


@dataclass(slots=True)
class Measured:
    """One method on the images with a finding (the first of them, as many as its plan says) and with a lesion."""

    method: Method
    plan: MethodPlan
    maps: list[Mapped]
    floor_B: Values
    signed_floor_B: Values
    likeness_B: Values = field(default_factory=list)
    num_class_changed: int = 0
    randomized: Likeness = field(default_factory=lambda: Likeness([], []))
    with_random_labels_B: Values | None = None
    removed: Removals = field(default_factory=Removals)
    imputed: Removals = field(default_factory=Removals)
    pointing: Pointing = field(default_factory=Pointing)

    def num_blank(self, num: int) -> int:
        """Of the first maps, those that say nothing about where."""
        return sum(one.is_blank for one in self.maps[:num])


def mapped(
    network: nn.Module, methods: Sequence[Method], plans: Sequence[MethodPlan], images: CardImages, advance: Advance
) -> list[Measured]:
    """Maps of the images with a finding, and how alike maps of different images are."""
    nums = [plan.num_maps for plan in plans]
    every = method_maps(explainers_of(methods), network, images.x_BCHW, images.target_B, nums=nums)
    found = []
    for method, plan, maps in zip(methods, plans, every, strict=True):
        floor_B, signed_floor_B = different_images(maps, images.target_B[: len(maps)].tolist())
        found.append(Measured(method, plan, maps, floor_B, signed_floor_B))
        advance(1)
    return found


def explainers_of(methods: Iterable[Method]) -> list[Explainer]:
    """What makes their maps."""
    return [method.explainer for method in methods]


def measure_consistency(
    measured: Sequence[Measured], network: nn.Module, images: CardImages, *, seed: int, advance: Advance
) -> list[float]:
    """Add the stability of each method; how far small changes moved the log-odds of each image is returned."""
    most = max(one.plan.num_changed for one in measured)
    changed = change_all(network, images, num_images=most, seed=seed)
    nums = [min(one.plan.num_changed, len(one.maps)) for one in measured]
    explainers = explainers_of(one.method for one in measured)
    after = {
        name: method_maps(explainers, network, x_BCHW, images.target_B[: len(x_BCHW)], nums=nums)
        for name, x_BCHW in changed.x_BCHW.items()
    }
    for k, one in enumerate(measured):
        mine = {name: made[k] for name, made in after.items()}
        one.likeness_B, one.num_class_changed = stability(one.maps, mine, changed)
        advance(1)
    return changed.change_B


def measure_randomization(
    measured: Sequence[Measured],
    network: nn.Module,
    images: CardImages,
    *,
    layers: Sequence[str],
    steps: Sequence[int],
    seed: int,
    advance: Advance,
) -> None:
    """Add what is left of each method's maps when weights are drawn anew."""
    likeness = randomized_likeness(
        network,
        [one.method for one in measured],
        [one.plan.randomization for one in measured],
        [one.maps for one in measured],
        images,
        layers=layers,
        steps=steps,
        seed=seed,
        advance=advance,
    )
    for one, found in zip(measured, likeness, strict=True):
        one.randomized = found


def measure_labels(measured: Sequence[Measured], shuffled: Shuffled, images: CardImages) -> None:
    """Add the likeness with maps of a network that has learned random labels, if there is one."""
    if shuffled.network is None:
        return
    nums = [one.plan.randomization.num_images for one in measured]
    explainers = explainers_of(one.method for one in measured)
    made = method_maps(explainers, shuffled.network, images.x_BCHW, images.target_B, nums=nums)
    for one, after in zip(measured, made, strict=True):
        ranks = [ranks_alike(own, other) for own, other in zip(one.maps, after, strict=False)]
        one.with_random_labels_B = [None if rank is None else abs(rank) for rank in ranks]


def measure_removal(
    measured: Sequence[Measured],
    network: nn.Module,
    images: CardImages,
    plan: RemovalPlan,
    *,
    seed: int,
    advance: Advance,
) -> None:
    """Add deletion, insertion and ROAD of each method."""
    num = max(plan.num_removed, plan.num_imputed)
    plain_B = margins_of(network, images.x_BCHW[:num], images.target_B[:num]).tolist()
    for one in measured:
        one.removed = removals(
            network,
            one.maps,
            images,
            plain_B,
            num_images=plan.num_removed,
            shares=plan.shares,
            filling="blur_noise",
            seed=seed,
            advance=advance,
        )
        one.imputed = removals(
            network,
            one.maps,
            images,
            plain_B,
            num_images=plan.num_imputed,
            shares=plan.imputed_shares,
            filling="imputed",
            seed=seed,
            advance=advance,
        )


def measure_plausibility(
    measured: Sequence[Measured],
    network: nn.Module,
    images: CardImages,
    marked: CardImages,
    val: CardImages,
    *,
    seed: int,
    advance: Advance,
) -> int:
    """Add where the peaks of each method lie; how many images were left out, because some method's maps miss their lesion.

    Maps of marked images that are among the images with a finding are not made again.
    """
    maps = _maps_of_marked(measured, network, images, marked)
    is_meant_B = reached_by_all(maps, marked.masks)
    nums = [one.plan.num_val if any(is_meant_B) else 0 for one in measured]
    explainers = explainers_of(one.method for one in measured)
    of_val = method_maps(explainers, network, val.x_BCHW, val.target_B, nums=nums)
    for one, found, val_maps in zip(measured, maps, of_val, strict=True):
        one.pointing = pointing(found, marked, is_meant_B, seed=seed)
        overlap_at_threshold(one.pointing, found, marked, is_meant_B, val_maps=val_maps, val=val)
        advance(1)
    return len(is_meant_B) - sum(is_meant_B)


def _maps_of_marked(
    measured: Sequence[Measured], network: nn.Module, images: CardImages, marked: CardImages
) -> list[list[Mapped]]:
    known = [
        {key: made for key, made in zip(_keys(images), one.maps, strict=False) if key in set(_keys(marked))}
        for one in measured
    ]
    lacking: dict[tuple[int, ...], list[int]] = {}
    for k, one in enumerate(measured):
        absent = [b for b, key in enumerate(_keys(marked)[: one.plan.num_marked]) if key not in known[k]]
        lacking.setdefault(tuple(absent), []).append(k)
    for places, those in lacking.items():
        x_BCHW, target_B = marked.x_BCHW[list(places)], marked.target_B[list(places)]
        explainers = explainers_of(measured[k].method for k in those)
        made = method_maps(explainers, network, x_BCHW, target_B, nums=[len(places)] * len(those))
        for k, maps in zip(those, made, strict=True):
            known[k] |= {_keys(marked)[b]: one for b, one in zip(places, maps, strict=True)}
    return [[known[k][key] for key in _keys(marked)[: one.plan.num_marked]] for k, one in enumerate(measured)]


def _keys(images: CardImages) -> list[tuple[int, int]]:
    """Of each image its place in `split.csv` and the explained class."""
    return list(zip(images.index_B, images.target_B.tolist(), strict=True))
