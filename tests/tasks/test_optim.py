from __future__ import annotations

import math

import pytest
import torch

from scanlens.tasks.optim import OptimPlan, build_optimizer, build_schedule, frozen_blocks


def rates(plan: OptimPlan, num_steps: int) -> list[float]:
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer = build_optimizer(plan, [{"params": [weight], "lr": plan.lr}])
    schedule = build_schedule(plan, optimizer, num_steps=num_steps)
    seen = []
    for _ in range(num_steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


def test_cosine_rises_linearly_to_the_full_rate_and_falls_to_nearly_zero() -> None:
    seen = rates(OptimPlan(lr=1.0, schedule="cosine", warmup_fraction=0.1), num_steps=20)
    assert seen[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert seen[11] == pytest.approx(0.5 * (1 + math.cos(math.pi * 9 / 18)))
    assert seen[-1] == pytest.approx(0.5 * (1 + math.cos(math.pi * 17 / 18)))


def test_constant_schedule_stays_after_warmup() -> None:
    assert rates(OptimPlan(lr=0.5, schedule="constant", warmup_fraction=0.0), num_steps=4) == [0.5] * 4


def test_one_block_thaws_at_each_epoch_of_the_plan() -> None:
    plan = OptimPlan(unfreeze=[2, 4])
    assert [frozen_blocks(plan, at_start=3, epoch=e) for e in range(6)] == [3, 3, 2, 2, 1, 1]
    assert frozen_blocks(OptimPlan(unfreeze=[0, 0, 0]), at_start=1, epoch=0) == 0


def test_groups_keep_their_own_rate_and_decay() -> None:
    kernel, bias = torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(2))
    groups = [{"params": [kernel], "lr": 0.1}, {"params": [bias], "lr": 0.01, "weight_decay": 0.0}]
    optimizer = build_optimizer(OptimPlan(lr=0.1, weight_decay=0.3), groups)
    assert [(g["lr"], g["weight_decay"]) for g in optimizer.param_groups] == [(0.1, 0.3), (0.01, 0.0)]


def test_all_numbers_out_of_range_are_named_together() -> None:
    with pytest.raises(ValueError, match=r"optim\.lr=-1.*optim\.warmup_fraction=1\.5"):
        OptimPlan(lr=-1.0, warmup_fraction=1.5)
