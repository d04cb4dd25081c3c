"""The state of a training between the ends of epochs: saved every so many minutes, and when the run is asked to end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from scanlens.cluster import stopping

GO_ON, SAVE, STOP = 0, 1, 2


class LastCheckpoint(Checkpoint):
    """Saves at the end of a batch, on the word of any process; all save together and, asked to, all stop together.

    Between two steps of the optimizer, and after the last batch of an epoch, nothing is done: gradients that are being
    accumulated are in no checkpoint, and the end of the epoch, which is saved by another callback, is near.

    Args:
        path: of the checkpoint.
        minutes: between two savings within an epoch; None for none.
        clock: in seconds.
    """

    def __init__(self, path: Path, *, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.path, self.minutes, self.clock = path, minutes, clock
        self.saved_at = clock()
        self.processes: Any = None  # torch.distributed's group

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        stopping.hear_again()  # Lightning has taken SIGTERM
        self.saved_at = self.clock()
        if trainer.world_size > 1:  # of its own and on the processor, so that GPUs need not wait for the answer
            self.processes = torch.distributed.new_group(backend="gloo")

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        is_last = batch_idx + 1 >= trainer.num_training_batches
        if is_last or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        wish = self._of_all(self._own_wish())
        if wish == GO_ON:
            return
        self._save(trainer)
        if wish == STOP:
            raise stopping.Stopped(stopping.asked() or stopping.SIGNALS[0], is_saved=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.saved_at = self.clock()
        if self._of_all(STOP if stopping.asked() else GO_ON) == STOP:
            raise stopping.Stopped(stopping.asked() or stopping.SIGNALS[0], is_saved=True)

    def _own_wish(self) -> int:
        if stopping.asked():
            return STOP
        is_due = self.minutes is not None and self.clock() - self.saved_at >= 60 * self.minutes
        return SAVE if is_due else GO_ON

    def _of_all(self, wish: int) -> int:
        if self.processes is None:
            return wish
        shared = torch.tensor(wish)
        torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX, group=self.processes)
        return int(shared)

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self.saved_at = self.clock()
