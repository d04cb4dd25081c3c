"""`metrics.csv`: one row an epoch, whole at every moment, without doubled rows after a resume."""

from __future__ import annotations

import time
from pathlib import Path

import pytorch_lightning as pl

from scanlens.files import read_csv, write_csv


class EpochTable(pl.Callback):
    """Writes every logged metric once an epoch.

    Args:
        path: the CSV file. A resumed run keeps the rows of the epochs before the one that it goes on with.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        self.started = 0.0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and self.path.is_file():
            self.rows = list(read_csv(self.path))  # the epoch that is resumed is not known yet

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        optimizer = trainer.optimizers[0]
        row = {"epoch": str(trainer.current_epoch), "step": str(trainer.global_step)}
        row |= {name: f"{float(value):.6g}" for name, value in sorted(trainer.callback_metrics.items()) if "/" in name}
        row["lr"] = f"{max(group['lr'] for group in optimizer.param_groups):.6g}"
        row["seconds"] = f"{time.perf_counter() - self.started:.2f}"
        self.rows = [kept for kept in self.rows if int(kept["epoch"]) < trainer.current_epoch] + [row]
        columns = list(dict.fromkeys(name for kept in self.rows for name in kept))
        write_csv(self.path, columns, self.rows)
