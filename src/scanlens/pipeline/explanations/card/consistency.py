"""Do maps stay the same when the image changes so little that the network says the same?

Legend: B images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from scanlens.evaluation.explanations import score_card
from scanlens.evaluation.explanations.numbers import Whose, mean_number
from scanlens.explain.asking import logits_of
from scanlens.explain.small_changes import OF_THE_SCORE_CARD
from scanlens.explain.target import margin, resolve_target
from scanlens.pipeline.explanations.card.images import CardImages
from scanlens.pipeline.explanations.card.method_maps import Mapped, ranks_alike
from scanlens.pipeline.explanations.card.randomization import Values, mean_known
from scanlens.seeds import derived_seed

SEED_TO_SEED = "one training run cannot tell whether another one would point elsewhere"


@dataclass(frozen=True, slots=True)
class Changed:
    """The images slightly changed, and what the network says of them.

    Args:
        x_BCHW: by name of the change.
        says_the_same_B: by name of the change, whether it still names the explained class.
        change_B: mean absolute change of the log-odds.
    """

    x_BCHW: dict[str, torch.Tensor] = field(default_factory=dict)
    says_the_same_B: dict[str, list[bool]] = field(default_factory=dict)
    change_B: list[float] = field(default_factory=list)


def change_all(network: nn.Module, images: CardImages, *, num_images: int, seed: int) -> Changed:
    """Small changes of the first images; asked once for all methods."""
    x_BCHW, target_B = images.x_BCHW[:num_images], images.target_B[:num_images]
    found = Changed()
    if not len(x_BCHW):
        return found
    plain_B, _ = _said(network, x_BCHW, target_B)
    total_B = torch.zeros(len(x_BCHW), dtype=torch.float64)
    for place, change in enumerate(OF_THE_SCORE_CARD):
        changed_BCHW = torch.stack(
            [change.of(x_CHW, seed=derived_seed(seed, place, b)) for b, x_CHW in enumerate(x_BCHW)]
        )
        found.x_BCHW[change.name] = changed_BCHW
        margin_B, named_B = _said(network, changed_BCHW, target_B)
        found.says_the_same_B[change.name] = (named_B == target_B.cpu()).tolist()
        total_B += (margin_B - plain_B).abs()
    found.change_B.extend((total_B / len(OF_THE_SCORE_CARD)).tolist())
    return found


def _said(network: nn.Module, x_BCHW: torch.Tensor, target_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-odds of the explained classes, and the classes that the network names."""
    logits_BK = logits_of(network, x_BCHW)
    return margin(logits_BK, resolve_target(logits_BK, target_B.cpu())).double(), resolve_target(logits_BK, None)


def stability(maps: Sequence[Mapped], after: Mapping[str, Sequence[Mapped]], changed: Changed) -> tuple[Values, int]:
    """Of each image the mean rank correlation of its map with those after small changes that keep the class.

    Args:
        maps: of one method.
        after: its maps of the first images, by name of the change.
        changed: see `change_all`.

    Returns:
        One value per image (None if blank, or if no change keeps the class), and how many changes changed the class.
    """
    ranks: list[list[float | None]] = [[] for _ in range(max((len(made) for made in after.values()), default=0))]
    num_changed = 0
    for name, made in after.items():
        for b, one in enumerate(made):
            if changed.says_the_same_B[name][b]:
                ranks[b].append(ranks_alike(maps[b], one))
            else:
                num_changed += 1
    return [mean_known(known) for known in ranks], num_changed


def consistency_content(
    likeness_B: Values,
    floor_B: Values,
    whose: Whose,
    *,
    num_class_changed: int,
    change_B: list[float],
    num_blank: int,
    seed_to_seed: dict[str, Any] | None,
) -> dict[str, Any]:
    """Numbers and verdict of one method.

    Args:
        likeness_B: see `stability`.
        floor_B: mean rank correlation with maps of other images.
        whose: the images.
        num_class_changed: changes that changed the class, left out.
        change_B: of the log-odds.
        num_blank: maps that say nothing, left out.
        seed_to_seed: what other training runs say of the same, {"status", "reason"}; None if none was looked at.
    """
    gain = [None if a is None or f is None else a - f for a, f in zip(likeness_B, floor_B, strict=True)]
    likeness, above_floor = mean_number(likeness_B, whose), mean_number(gain, whose)
    blank = score_card.too_blank(num_blank, len(likeness_B))
    verdict = score_card.consistency(likeness, above_floor, blank=blank)
    return verdict.as_dict() | {
        "rank_correlation": likeness,
        "above_other_images": above_floor,
        "log_odds_change": mean_number(list(change_B), whose),
        "num_class_changed": num_class_changed,
        "num_blank": num_blank,
        "seed_to_seed": seed_to_seed or score_card.not_assessed(f"{SEED_TO_SEED}.").as_dict(),
    }
