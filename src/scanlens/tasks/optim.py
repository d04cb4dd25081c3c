"""How weights are moved: optimizer, schedule with warm-up, and the plan of thawing a pretrained network."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimPlan:
    """Settings of the optimizer.

    Args:
        name: "adamw" (Loshchilov and Hutter 2019) or "sgd" (with Nesterov momentum).
        lr: largest learning rate, reached after the warm-up.
        weight_decay: decoupled decay for AdamW, L2 for SGD; not applied to biases and normalization layers.
        momentum: of SGD, in [0, 1).
        schedule: "cosine" falls to zero at the last step; "constant" stays.
        warmup_fraction: share of all steps over which the rate rises linearly from near zero, in [0, 1).
        label_smoothing: of the cross entropy, in [0, 1).
        block_decay: factor of the rate from each block of a pretrained network to the block below it, in (0, 1].
        unfreeze: epochs (0 is the first) at which one more frozen block, from the top, starts to learn.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    weight_decay: float = 1e-4
    momentum: float = 0.9
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_fraction: float = 0.05
    label_smoothing: float = 0.0
    block_decay: float = 1.0
    unfreeze: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        limits = {
            "lr": self.lr > 0,
            "weight_decay": self.weight_decay >= 0,
            "momentum": 0 <= self.momentum < 1,
            "warmup_fraction": 0 <= self.warmup_fraction < 1,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "block_decay": 0 < self.block_decay <= 1,
            "unfreeze": all(epoch >= 0 for epoch in self.unfreeze),
        }
        wrong = [f"optim.{name}={getattr(self, name)}" for name, is_right in limits.items() if not is_right]
        if wrong:
            raise ValueError(f"out of range: {', '.join(wrong)}. The ranges stand in OptimPlan's docstring.")


def frozen_blocks(plan: OptimPlan, *, at_start: int, epoch: int) -> int:
    """How many of the lowest blocks are frozen in this epoch: a function of the epoch alone, so a resumed run agrees."""
    return max(0, at_start - sum(1 for thaw in plan.unfreeze if thaw <= epoch))


def build_optimizer(plan: OptimPlan, groups: list[dict[str, Any]]) -> Optimizer:
    """The optimizer over parameter groups: dictionaries with `params`, `lr` and, where it differs, `weight_decay`."""
    if plan.name == "sgd":
        nesterov = plan.momentum > 0
        return SGD(groups, lr=plan.lr, momentum=plan.momentum, nesterov=nesterov, weight_decay=plan.weight_decay)
    return AdamW(groups, lr=plan.lr, weight_decay=plan.weight_decay)


def build_schedule(plan: OptimPlan, optimizer: Optimizer, *, num_steps: int) -> LambdaLR:
    """Learning-rate factors per optimizer step: linear warm-up, then the plan's schedule until `num_steps`."""
    warmup = math.ceil(plan.warmup_fraction * num_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if plan.schedule == "constant":
            return 1.0
        progress = min(1.0, (step - warmup) / max(1, num_steps - warmup))
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)
