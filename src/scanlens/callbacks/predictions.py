"""`predictions/{val,test}.csv`: one row per image, each image exactly once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import BasePredictionWriter

from scanlens.files import write_csv

Row = Mapping[str, str]
ToColumns = Callable[[list[float]], dict[str, object]]


def case_name(split: str, index: int) -> str:
    """The name of an image in every output: split and place in `split.csv`, never a file name."""
    return f"{split}-{index:05d}"


def index_of(prediction: Row) -> int:
    """The place in `split.csv` of the image of a prediction."""
    return int(prediction["case"].rpartition("-")[2])


class PredictionWriter(BasePredictionWriter):
    """Writes what the network says of every image of the given splits.

    Args:
        folder: receives `<split>.csv`.
        splits: name of the split of each data loader, in their order.
        rows: the rows of `split.csv`.
        to_columns: turns the task's output row of an image into named columns.
    """

    def __init__(self, folder: Path, *, splits: Sequence[str], rows: Sequence[Row], to_columns: ToColumns) -> None:
        super().__init__(write_interval="epoch")
        self.folder = folder
        self.splits = list(splits)
        self.rows = {int(row["index"]): row for row in rows}
        self.to_columns = to_columns

    def write_on_epoch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        predictions: Sequence[Any],
        batch_indices: Sequence[Any],
    ) -> None:
        per_loader = [predictions] if len(self.splits) == 1 else predictions
        for split, batches in zip(self.splits, per_loader, strict=True):
            self._write_split(split, batches)

    def _write_split(self, split: str, batches: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        rows_ND = torch.cat([rows for rows, _ in batches]).double()
        index_N = torch.cat([index for _, index in batches]).tolist()
        expected = sorted(index for index, row in self.rows.items() if row["split"] == split)
        if sorted(index_N) != expected:
            raise RuntimeError(
                f"{split}: {len(index_N)} predictions for {len(expected)} images; every image must be predicted exactly once"
            )
        table = [
            self._row(split, index, values) for index, values in sorted(zip(index_N, rows_ND.tolist(), strict=True))
        ]
        write_csv(self.folder / f"{split}.csv", list(table[0]), table, private=True)

    def _row(self, split: str, index: int, values: list[float]) -> dict[str, object]:
        known = self.rows[index]
        facts = {"case": case_name(split, index), "id": known["id"], "patient": known["patient"]}
        return {**facts, "target": known["target"], **self.to_columns(values)}


def classification_columns(class_names: Sequence[str]) -> ToColumns:
    """Columns `predicted` and `prob_<class>` from the rows of a classification task."""

    def columns(values: list[float]) -> dict[str, object]:
        probabilities = values[: len(class_names)]
        best = max(range(len(class_names)), key=probabilities.__getitem__)
        named = {f"prob_{name}": f"{p:.9g}" for name, p in zip(class_names, probabilities, strict=True)}
        return {"predicted": class_names[best], **named}

    return columns


def named_columns(names: Sequence[str]) -> ToColumns:
    """One column for each value of a task's output row."""
    return lambda values: {name: f"{value:.9g}" for name, value in zip(names, values, strict=True)}
