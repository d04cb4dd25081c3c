"""What every task shares: an injected network, the optimizer, thawing, exact losses on any number of processes.

A batch is a dictionary: `image` x_BCHW float32 in [0, 1], `target` int64 (B,), `index` int64 (B,) the image's place in the
data set, `global_batch` the number of images in this step over all processes.
"""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from scanlens.errors import ModelError
from scanlens.seeds import derived_seed
from scanlens.tasks.gather import SplitOutputs
from scanlens.tasks.optim import OptimPlan, build_optimizer, build_schedule, frozen_blocks

Batch = dict[str, Any]


class Task(pl.LightningModule):
    """Losses, metrics and steps around a network that was built elsewhere.

    Args:
        network: maps x_BCHW in [0, 1] to the task's output.
        optim: settings of the optimizer.
        seed: of the run; dropout and noise are drawn from (seed, process, step, batch).
    """

    network: Any  # a scanlens network; rooms do not import each other, so its class has no name here

    def __init__(self, network: nn.Module, *, optim: OptimPlan, seed: int) -> None:
        super().__init__()
        self.network = network
        self.optim = optim
        self.seed = seed
        self.train_loss = MeanMetric()
        self.val_outputs = SplitOutputs()
        self.frozen_at_start = int(getattr(network, "frozen_blocks", 0))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The network's output."""
        return self.network(x_BCHW)

    def loss_per_image(self, batch: Batch) -> Tensor:
        """loss_B of one training batch."""
        raise NotImplementedError

    def outputs(self, batch: Batch) -> Tensor:
        """rows_BD that validation and prediction keep of each image, in float32."""
        raise NotImplementedError

    def split_metrics(self, rows_ND: Tensor, index_N: Tensor) -> dict[str, float]:
        """Metrics of a whole split from the rows of `outputs`, named without the split."""
        raise NotImplementedError

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # The step stands still while gradients accumulate; the number of the batch does not.
        torch.manual_seed(derived_seed(self.seed, self.global_rank, self.global_step, batch_idx))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss_B = self.loss_per_image(batch)
        self.train_loss.update(loss_B.detach().mean(), weight=loss_B.numel())
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True, prog_bar=True)
        # The mean over processes that DDP takes of this is the mean over the global batch, also when shards differ by one.
        return loss_B.sum() * self._num_processes() / batch["global_batch"]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The losses of the epoch so far, of every process, so that an epoch that is cut in two has the mean of both parts."""
        own = torch.stack([self.train_loss.mean_value, self.train_loss.weight])
        parts = [torch.zeros_like(own) for _ in range(self._num_processes())]
        if len(parts) > 1:
            torch.distributed.all_gather(parts, own)
        checkpoint["train_loss"] = torch.stack(parts if len(parts) > 1 else [own]).cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        parts_P2 = checkpoint.get("train_loss")
        if parts_P2 is None or len(parts_P2) != self._num_processes():
            return
        mean, weight = parts_P2[self.global_rank].to(self.train_loss.mean_value.device)
        self.train_loss.mean_value, self.train_loss.weight = mean, weight

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.val_outputs.update(self.outputs(batch), batch["index"])

    def on_validation_epoch_end(self) -> None:
        rows_ND, index_N = self.val_outputs.compute()
        self.val_outputs.reset()
        if not bool(torch.isfinite(rows_ND).all()):
            raise ModelError(
                f"the network has diverged by epoch {self.current_epoch + 1}: what it says of a validation image is not a finite "
                f"number. Lower optim.lr (it is {self.optim.lr:g}), or clip gradients harder (trainer.gradient_clip_val)."
            )
        self._check_complete(len(index_N))
        for name, value in self.split_metrics(rows_ND.cpu(), index_N.cpu()).items():
            self.log(f"val/{name}", value, prog_bar=name in {"loss", "auroc"}, rank_zero_only=False, sync_dist=False)

    def _check_complete(self, num: int) -> None:
        """Every image of the validation split was judged; that none was twice, `SplitOutputs` sees to."""
        expected = getattr(getattr(self.trainer, "datamodule", None), "num_validated", None)
        if expected is not None and self.trainer.limit_val_batches == 1.0 and num != expected:
            raise RuntimeError(
                f"{num} of {expected} validation images were judged; evaluation shards must cover all of them"
            )

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> tuple[Tensor, Tensor]:
        return self.outputs(batch), batch["index"]

    def on_train_start(self) -> None:
        self._freeze_as_planned()  # a run that is resumed within an epoch does not start that epoch again

    def on_train_epoch_start(self) -> None:
        self.train_loss.reset()  # a state that was saved at the end of an epoch brings its losses
        self._freeze_as_planned()

    def _freeze_as_planned(self) -> None:
        if hasattr(self.network, "set_frozen_blocks"):
            count = frozen_blocks(self.optim, at_start=self.frozen_at_start, epoch=self.current_epoch)
            self.network.set_frozen_blocks(count)

    def configure_optimizers(self) -> Any:
        # Everything must ask for gradients while DDP wraps the network, or thawed layers would never be synchronized.
        if hasattr(self.network, "set_frozen_blocks"):
            self.network.set_frozen_blocks(0)
        groups = self.network.parameter_groups(self.optim.lr, block_decay=self.optim.block_decay)
        optimizer = build_optimizer(self.optim, groups)
        schedule = build_schedule(self.optim, optimizer, num_steps=max(1, self._planned_steps()))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _planned_steps(self) -> int:
        """Steps of the whole training. Lightning's own count opens the training loader, and one that is open before a checkpoint
        is read never hears of the position within the epoch."""
        trainer = self.trainer
        data = getattr(trainer, "datamodule", None)
        if data is None:
            return int(trainer.estimated_stepping_batches)
        whole, limit = len(data.train_dataloader()), trainer.limit_train_batches
        batches = int(whole * limit) if isinstance(limit, float) else min(whole, limit)
        return math.ceil(batches / trainer.accumulate_grad_batches) * int(trainer.max_epochs or 1)

    def _num_processes(self) -> int:
        return int(getattr(self.trainer, "world_size", 1))
