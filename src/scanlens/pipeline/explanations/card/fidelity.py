"""Does a map show what the network goes by? Numbers and verdicts from randomized weights, removals, sums and random labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scanlens.evaluation.explanations import score_card
from scanlens.evaluation.explanations.numbers import Whose, kept_number, mean_number, ratio_number
from scanlens.evaluation.explanations.score_card import Verdict
from scanlens.pipeline.explanations.card.labels import Shuffled
from scanlens.pipeline.explanations.card.method_maps import Mapped
from scanlens.pipeline.explanations.card.randomization import Likeness, RandomizationPlan, Values
from scanlens.pipeline.explanations.card.removal import Removals

NO_PROMISE = "this method does not promise a sum"


def randomization_content(
    likeness_B: Likeness, floor_B: Values, plan: RandomizationPlan, whose: Whose, *, num_blank: int, seed: int
) -> dict[str, Any]:
    """Numbers and verdict; the last step has all weights drawn anew."""
    if not likeness_B.ranks_DB:
        return score_card.not_assessed("the network has no layer with weights.").as_dict()
    kept = kept_number(likeness_B.ranks_DB[-1], floor_B, whose, seed=seed)
    likeness, floor = mean_number(likeness_B.ranks_DB[-1], whose), mean_number(floor_B, whose)
    verdict = score_card.randomization(likeness, floor, kept, blank=score_card.too_blank(num_blank, len(floor_B)))
    return verdict.as_dict() | {
        "likeness": likeness,
        "structure": mean_number(likeness_B.structure_DB[-1], whose, absent="too few cells for a window"),
        "kept": kept,
        "floor": floor,
        "rank_correlation": [mean_number(step, whose) for step in likeness_B.ranks_DB],
        "structural_similarity": [mean_number(step, whose) for step in likeness_B.structure_DB],
        "seeds_per_image": plan.seeds_per_image,
        "num_blank": num_blank,
    }


def labels_content(
    likeness_B: Values | None, floor_B: Values, shuffled: Shuffled, whose: Whose, *, num_blank: int, seed: int
) -> dict[str, Any]:
    """Numbers and verdict; `likeness_B` of each map with that of the network with random labels."""
    told = {"num_training_images": shuffled.num_images, "training_accuracy": shuffled.accuracy}
    if likeness_B is None:
        return score_card.not_assessed(f"{shuffled.reason}.").as_dict() | told
    kept, floor = kept_number(likeness_B, floor_B, whose, seed=seed), mean_number(floor_B, whose)
    likeness = mean_number(likeness_B, whose)
    verdict = score_card.labels(likeness, floor, kept, blank=score_card.too_blank(num_blank, len(floor_B)))
    return verdict.as_dict() | {"likeness": likeness, "kept": kept} | told


def removal_content(
    found: Removals, controls: Mapping[str, Removals], whose: Whose, *, num_blank: int, with_held: bool
) -> dict[str, Any]:
    """Numbers, curves and verdict of deletion (or, with imputation, of ROAD).

    Args:
        found: of the method.
        controls: of the controls to compare with, by title.
        whose: the images, in the order of the curves.
        num_blank: blank maps among them.
        with_held: insertion, too.
    """
    num = len(found.own)
    mine = whose.first(num)
    advantage = mean_number(found.advantage_B, mine)
    against = {title: _against(found, other, whose) for title, other in controls.items()}
    verdict = score_card.removal(advantage, against, blank=score_card.too_blank(num_blank, num))
    content = verdict.as_dict() | {
        "drop": mean_number(found.drops_B, mine),
        "advantage": advantage,
        "against": against,
        "share": _mean_rows([curve.share_S for curve in found.own]),
        "curve": _curve(found.own, mine),
        "curve_elsewhere": _curve(found.moved, mine),
        "num_blank": num_blank,
    }
    return content | ({"held": mean_number(found.held_B, mine)} if with_held else {})


def _against(found: Removals, other: Removals, whose: Whose) -> dict[str, Any]:
    both = list(zip(found.drops_B, other.drops_B, strict=False))  # as many images as both have
    return mean_number([a - b for a, b in both], whose.first(len(both)))


def _curve(curves: Sequence[Any], whose: Whose) -> list[dict[str, Any]]:
    """Mean fall of the log-odds at each share."""
    if not curves:
        return []
    fall_BS = np.stack([curve.plain - curve.without_S for curve in curves])
    return [mean_number(column.tolist(), whose) for column in fall_BS.T]


def _mean_rows(rows: Sequence[np.ndarray]) -> list[float]:
    return np.mean(rows, axis=0).tolist() if rows else []


def completeness_content(maps: Sequence[Mapped], whose: Whose, *, seed: int) -> dict[str, Any]:
    """Missing share of the log-odds, of methods that promise a sum: mean gap over mean size of the log-odds."""
    if not maps or any(one.gap is None for one in maps):
        return score_card.not_assessed(f"{NO_PROMISE}.").as_dict()
    gaps: Values = [None if one.gap is None else abs(one.gap) for one in maps]
    gap = ratio_number(gaps, [abs(one.score) for one in maps], whose, seed=seed)
    return score_card.completeness(gap).as_dict() | {"gap": gap}


def biases_content(maps: Sequence[Mapped], whose: Whose, *, seed: int) -> dict[str, Any]:
    """Share of the log-odds that biases hold and no cell shows, of maps that are otherwise exact (HiResCAM)."""
    missing: Values = [abs(one.score - float(one.cells_hw.astype(np.float64).sum())) for one in maps]
    return ratio_number(missing, [abs(one.score) for one in maps], whose, seed=seed)


def fidelity_verdict(content: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Of all parts that were assessed."""
    parts = {name: Verdict(part["status"], part["reason"]) for name, part in content.items()}
    return score_card.fidelity(parts)
