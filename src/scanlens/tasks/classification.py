"""Classification: logits to probabilities, a loss that knows about imbalance, metrics on the whole split."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scanlens.evaluation.quick import quick_metrics
from scanlens.losses import ClassificationLoss
from scanlens.tasks.base import Batch, Task
from scanlens.tasks.optim import OptimPlan


class ClassificationTask(Task):
    """Tells the classes of images apart.

    Logs `train/loss`, `val/loss`, `val/auroc`, `val/auprc`, `val/balanced_accuracy`, `val/accuracy`; the validation
    loss is the cross entropy in nats, with the label smoothing of training but without weights, focus or adjustment: those
    correct for the training split's imbalance and would make runs incomparable.

    Args:
        network: maps x_BCHW to logits_BK.
        class_names: the K names, in the order of the logits.
        loss: the training loss.
        optim: settings of the optimizer.
        seed: of the run.
    """

    def __init__(
        self, network: nn.Module, *, class_names: list[str], loss: ClassificationLoss, optim: OptimPlan, seed: int
    ) -> None:
        super().__init__(network, optim=optim, seed=seed)
        self.class_names = class_names
        self.loss = loss

    def loss_per_image(self, batch: Batch) -> Tensor:
        return self.loss.per_image(self.network(batch["image"]).float(), batch["target"])

    def outputs(self, batch: Batch) -> Tensor:
        """[probabilities_BK, target_B] as rows of K + 1 values."""
        probabilities_BK = self.network(batch["image"]).float().softmax(dim=1)
        return torch.cat([probabilities_BK, batch["target"].float().unsqueeze(1)], dim=1)

    def split_metrics(self, rows_ND: Tensor, index_N: Tensor) -> dict[str, float]:
        probabilities_NK, target_N = rows_ND[:, :-1].double(), rows_ND[:, -1].long()
        surprise_NK = -probabilities_NK.clamp_min(1e-12).log()
        smoothing = self.loss.label_smoothing
        of_target_N = surprise_NK.gather(1, target_N[:, None])[:, 0]
        loss_N = (1 - smoothing) * of_target_N + smoothing * surprise_NK.mean(1)
        metrics = quick_metrics(probabilities_NK.numpy(), target_N.numpy())
        known = {name: value for name, value in metrics.items() if value is not None}
        return {"loss": float(loss_N.mean()), **known}
