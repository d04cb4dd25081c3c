"""Blocks of a pretrained network thaw on schedule, also when a run is resumed right after a thaw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from scanlens.losses import ClassificationLoss
from scanlens.tasks.classification import ClassificationTask
from scanlens.tasks.optim import OptimPlan


class TwoBlocks(nn.Module):
    """The least network with blocks that can be frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.head = nn.Linear(4, 2)
        self.frozen_blocks = 2

    def forward(self, x_BCHW: Tensor) -> Tensor:
        z = x_BCHW.flatten(1)
        for block in self.blocks:
            z = block(z).relu()
        return self.head(z)

    def set_frozen_blocks(self, num: int) -> None:
        for i, block in enumerate(self.blocks):
            block.requires_grad_(i >= num)

    def parameter_groups(self, lr: float, block_decay: float = 1.0) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": lr}]


class Watch(pl.Callback):
    """What learns in each epoch, and the lowest block's weights at each start."""

    def __init__(self) -> None:
        self.learning: dict[int, list[bool]] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        blocks = pl_module.network.blocks
        self.learning[trainer.current_epoch] = [bool(b.weight.requires_grad) for b in blocks]


def batches(num: int = 4) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(3)
    return [
        {
            "image": torch.rand(4, 1, 2, 2, generator=generator),
            "target": torch.tensor([0, 1, 0, 1]),
            "index": torch.arange(4) + 4 * i,
            "epoch": 0,
            "global_batch": 4,
        }
        for i in range(num)
    ]


def run(folder: Path, *, epochs: int, ckpt: str | None = None) -> tuple[ClassificationTask, Watch]:
    torch.manual_seed(0)
    plan = OptimPlan(lr=0.05, unfreeze=[1, 2], schedule="constant", warmup_fraction=0.0)
    loss = ClassificationLoss(weights_K=None, focal_gamma=None, prior_K=None, tau=0.0, label_smoothing=0.0)
    task = ClassificationTask(TwoBlocks(), class_names=["a", "b"], loss=loss, optim=plan, seed=1)
    watch = Watch()
    keep = ModelCheckpoint(dirpath=folder, filename="{epoch}", save_top_k=-1, auto_insert_metric_name=True)
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[watch, keep], num_sanity_val_steps=0,
    )  # fmt: skip
    train, val = (DataLoader(batches(num), batch_size=None) for num in (4, 1))  # type: ignore[arg-type]
    trainer.fit(task, train, val, ckpt_path=ckpt, weights_only=True)
    return task, watch


@pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)  # Lightning's advice
def test_a_run_resumed_after_a_thaw_learns_what_an_undisturbed_one_learns(tmp_path: Path) -> None:
    whole, seen = run(tmp_path / "whole", epochs=4)
    assert seen.learning == {0: [False, False], 1: [False, True], 2: [True, True], 3: [True, True]}
    resumed, later = run(tmp_path / "resumed", epochs=4, ckpt=str(tmp_path / "whole" / "epoch=2.ckpt"))
    assert later.learning == {3: [True, True]}
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
