"""One method's part of a score card: its numbers and verdicts, put together from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scanlens.pipeline.explanations.card.consistency import consistency_content
from scanlens.pipeline.explanations.card.fidelity import (
    biases_content,
    completeness_content,
    fidelity_verdict,
    labels_content,
    randomization_content,
    removal_content,
)
from scanlens.pipeline.explanations.card.images import CardImages
from scanlens.pipeline.explanations.card.labels import Shuffled
from scanlens.pipeline.explanations.card.measuring import Measured
from scanlens.pipeline.explanations.card.plausibility import plausibility_content
from scanlens.pipeline.explanations.card.usefulness import usefulness_content

EXACT_BUT_FOR_BIASES = "hires_cam"


@dataclass(frozen=True, slots=True)
class Setting:
    """What all methods of a card have in common.

    Args:
        found: images with a finding.
        marked: rightly named images with a lesion.
        shuffled: the network that learned labels at random, or why there is none.
        change_B: how far small changes moved the log-odds of each image.
        seed: of resamples.
        seed_to_seed: what other training runs say, by method: {"status", "reason"}; None if none was looked at.
    """

    found: CardImages
    marked: CardImages
    shuffled: Shuffled
    change_B: list[float]
    seed: int
    seed_to_seed: dict[str, dict[str, Any]] | None


def method_content(one: Measured, all_of_them: Sequence[Measured], setting: Setting) -> dict[str, Any]:
    """Everything about one method; `all_of_them` holds the controls that it is compared with."""
    controls = [other for other in all_of_them if other.method.is_control and other is not one]
    explainer, first = one.method.explainer, one.maps[0]
    return {
        "name": one.method.name,
        "title": explainer.title,
        "is_control": one.method.is_control,
        "is_own": one.method.is_own,
        "passes": one.method.passes,
        "layer": first.layer,
        "cell_px": list(first.cell_px),
        "num_maps": len(one.maps),
        "num_blank": one.num_blank(len(one.maps)),
        "consistency": _consistency(one, setting),
        "plausibility": plausibility_content(
            one.pointing,
            {other.method.explainer.title: other.pointing for other in controls},
            setting.marked,
            seed=setting.seed,
        ),
        "fidelity": _fidelity(one, controls, setting),
        "usefulness": usefulness_content(None),
    }


def _consistency(one: Measured, setting: Setting) -> dict[str, Any]:
    num = len(one.likeness_B)
    return consistency_content(
        one.likeness_B,
        one.signed_floor_B[:num],
        setting.found.whose.first(num),
        num_class_changed=one.num_class_changed,
        change_B=setting.change_B[:num],
        num_blank=one.num_blank(num),
        seed_to_seed=(setting.seed_to_seed or {}).get(one.method.name),
    )


def _fidelity(one: Measured, controls: Sequence[Measured], setting: Setting) -> dict[str, Any]:
    """All parts; those that were assessed decide, see `rules.fidelity`. ROAD and insertion are shown beside them."""
    whose, seed = setting.found.whose, setting.seed
    num = one.plan.randomization.num_images
    mine, floor_B, blank = whose.first(num), one.floor_B[:num], one.num_blank(num)
    parts = {
        "randomization": randomization_content(
            one.randomized, floor_B, one.plan.randomization, mine, num_blank=blank, seed=seed
        ),
        "removal": removal_content(
            one.removed,
            {other.method.explainer.title: other.removed for other in controls},
            whose,
            num_blank=one.num_blank(len(one.removed.own)),
            with_held=True,
        ),
        "completeness": completeness_content(one.maps, whose.first(len(one.maps)), seed=seed),
        "labels": labels_content(one.with_random_labels_B, floor_B, setting.shuffled, mine, num_blank=blank, seed=seed),
    }
    road = removal_content(
        one.imputed,
        {other.method.explainer.title: other.imputed for other in controls},
        whose,
        num_blank=one.num_blank(len(one.imputed.own)),
        with_held=False,
    )
    content = fidelity_verdict(parts).as_dict() | parts | {"road": road}
    if one.method.name == EXACT_BUT_FOR_BIASES:
        content["held_by_biases"] = biases_content(one.maps, whose.first(len(one.maps)), seed=seed)
    return content
