from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from scanlens.errors import ModelError
from scanlens.losses import ClassificationLoss
from scanlens.tasks.classification import ClassificationTask
from scanlens.tasks.optim import OptimPlan


def task(*, label_smoothing: float = 0.0) -> ClassificationTask:
    torch.manual_seed(0)
    loss = ClassificationLoss(weights_K=None, focal_gamma=None, prior_K=None, tau=0.0, label_smoothing=label_smoothing)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    return ClassificationTask(network, class_names=["a", "b", "c"], loss=loss, optim=OptimPlan(), seed=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_validation_loss_is_that_of_torch(smoothing: float) -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [0.0, 1.0, 0.0], [1.0, 0.0, 2.0]])
    target = torch.tensor([0, 2, 1, 0])
    rows = torch.cat([logits.softmax(1), target[:, None].float()], dim=1)
    metrics = task(label_smoothing=smoothing).split_metrics(rows, torch.arange(4))
    expected = nn.functional.cross_entropy(logits, target, label_smoothing=smoothing)
    assert metrics["loss"] == pytest.approx(float(expected), abs=1e-6)
    assert metrics["accuracy"] == 0.75


def test_rows_hold_probabilities_and_the_target() -> None:
    one = task()
    batch = {"image": torch.rand(5, 1, 2, 2), "target": torch.tensor([0, 1, 2, 0, 1])}
    rows = one.outputs(batch)
    torch.testing.assert_close(rows[:, :3].sum(1), torch.ones(5))
    assert rows[:, 3].tolist() == [0, 1, 2, 0, 1]


def test_an_image_that_comes_twice_is_an_error() -> None:
    from scanlens.tasks.gather import SplitOutputs

    outputs = SplitOutputs()
    outputs.update(torch.rand(2, 3), torch.tensor([4, 2]))
    rows, index = outputs.compute()
    assert index.tolist() == [2, 4]
    assert rows.shape == (2, 3)
    outputs.update(torch.rand(1, 3), torch.tensor([4]))
    with pytest.raises(RuntimeError, match="more than once"):
        outputs.compute()


def test_a_network_that_has_diverged_is_told_in_a_sentence() -> None:
    one = task()
    with torch.no_grad():
        one.network[1].weight.fill_(float("nan"))
    batch = {"image": torch.rand(2, 1, 2, 2), "target": torch.tensor([0, 1]), "index": torch.tensor([0, 1])}
    one.validation_step(batch, 0)
    with pytest.raises(ModelError, match=r"diverged by epoch 1: .* Lower optim.lr \(it is 0.001\)"):
        one.on_validation_epoch_end()


def test_a_validation_that_left_images_out_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    one = task()
    trainer = SimpleNamespace(datamodule=SimpleNamespace(num_validated=3), limit_val_batches=1.0, current_epoch=0)
    monkeypatch.setattr(ClassificationTask, "trainer", trainer)
    batch = {"image": torch.rand(2, 1, 2, 2), "target": torch.tensor([0, 1]), "index": torch.tensor([7, 9])}
    one.validation_step(batch, 0)
    with pytest.raises(RuntimeError, match="2 of 3 validation images"):
        one.on_validation_epoch_end()
