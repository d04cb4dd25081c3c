"""Explaining from inside of a Lightning loop: it works everywhere, and training does not notice."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from fakes.explainers import KINDS, METHODS, quick

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),  # two workers for 12 images make no sense
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),  # Lightning's own use of torch
]
EXPLAINERS = [quick(name) for name in METHODS if "flatten" in KINDS[name]]


class Task(pl.LightningModule):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def predict_step(self, batch: list[Tensor], index: int) -> Tensor:
        return self.net(batch[0])

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        self.net(batch[0])

    test_step = validation_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW((p for p in self.parameters() if p.requires_grad), lr=0.01)


class ExplainEverywhere(pl.Callback):
    """Explain in every hook, and compare what the network is before and after."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def look(self, where: str, task: Any, x: Tensor) -> None:
        before = _state(task)
        for explainer in EXPLAINERS:
            found = explainer.explain(task.net, x)
            assert found.map_BHW.dtype == torch.float32
            assert torch.isfinite(found.map_BHW).all()
            assert found.map_BHW.abs().sum() > 0
        after = _state(task)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before), where
        self.seen[where] = self.seen.get(where, 0) + 1

    def on_train_batch_start(self, trainer: Any, task: Any, batch: Any, *_: Any) -> None:
        self.look("train start", task, batch[0])

    def on_after_backward(self, trainer: Any, task: Any) -> None:
        self.look("backward", task, torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)))

    def on_train_batch_end(self, trainer: Any, task: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self.look("train", task, batch[0])

    def on_validation_batch_end(self, trainer: Any, task: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self.look("fit-validate" if trainer.state.fn == "fit" else "validate", task, batch[0])

    def on_test_batch_end(self, trainer: Any, task: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self.look("test", task, batch[0])

    def on_predict_batch_end(self, trainer: Any, task: Any, outputs: Any, batch: Any, *_: Any) -> None:
        self.look("predict", task, batch[0])


def _state(task: Any) -> dict[str, Tensor]:
    state = {f"weight {key}": value.clone() for key, value in task.state_dict().items()}
    for name, parameter in task.named_parameters():
        state[f"requires {name}"] = torch.tensor(parameter.requires_grad)
        if parameter.grad is not None:
            state[f"grad {name}"] = parameter.grad.clone()
    for name, module in task.named_modules():
        state[f"training {name}"] = torch.tensor(module.training)
        state[f"hooks {name}"] = torch.tensor(len(module._forward_hooks))
    return state | {"random": torch.get_rng_state()}


def run(net: nn.Module, images: Any, callbacks: list[pl.Callback], folder: Any, precision: str = "32-true") -> Task:
    torch.manual_seed(3)
    task = Task(net)
    loader = DataLoader(TensorDataset(images(12), torch.arange(12) % 3), batch_size=4, shuffle=True)
    steady = DataLoader(TensorDataset(images(4), torch.arange(4) % 3), batch_size=4)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        accumulate_grad_batches=2,
        precision=precision,
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(task, loader, steady)
    trainer.validate(task, steady, verbose=False)
    trainer.test(task, steady, verbose=False)
    trainer.predict(task, steady)
    return task


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_explaining_in_every_loop_changes_nothing(precision, network, images, tmp_path):
    net = network("flatten")
    net.features[0].requires_grad_(False)
    callback = ExplainEverywhere()
    explained = run(net, images, [callback], tmp_path, precision)
    assert callback.seen.keys() == {
        "train start",
        "backward",
        "train",
        "fit-validate",
        "validate",
        "test",
        "predict",
    }
    other = network("flatten")
    other.features[0].requires_grad_(False)
    undisturbed = run(other, images, [], tmp_path, precision)
    for key, value in undisturbed.state_dict().items():
        assert torch.equal(value, explained.state_dict()[key]), key
