"""One line an epoch where no progress bar is shown: in a log file, a job's output, a pipe."""

from __future__ import annotations

import logging
import time

import pytorch_lightning as pl

log = logging.getLogger(__name__)


class EpochLine(pl.Callback):
    """Says how far training is and how it goes.

    Args:
        monitor: the metric that decides which weights are kept; shown beside the losses.
    """

    def __init__(self, monitor: str) -> None:
        self.names = list(dict.fromkeys(["train/loss", "val/loss", monitor]))
        self.started = time.perf_counter()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        known = [(name, trainer.callback_metrics[name]) for name in self.names if name in trainer.callback_metrics]
        shown = "  ".join(f"{name} {float(value):.4f}" for name, value in known)
        seconds = time.perf_counter() - self.started
        log.info("epoch %d/%s  %s  %.1f s", trainer.current_epoch + 1, trainer.max_epochs, shown, seconds)
