"""Outputs of a whole split, collected over batches and processes, each image exactly once.

Legend: N images of the split, D values per image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class SplitOutputs(Metric):
    """Rows of float values by image index; `compute` returns them sorted by index, without repeats.

    Shards of any length may meet (no padding is needed): torchmetrics gathers them.
    """

    full_state_update = False
    rows: list[Tensor]
    index: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self.add_state("index", default=[], dist_reduce_fx="cat")

    def update(self, rows_BD: Tensor, index_B: Tensor) -> None:
        """Add one batch: rows_BD are any float values per image, index_B the image's place in the data set."""
        self.rows.append(rows_BD.detach().float())
        self.index.append(index_B.detach())

    def compute(self) -> tuple[Tensor, Tensor]:
        """(rows_ND, index_N), sorted by index.

        Raises:
            RuntimeError: if an image came more than once, which means that shards overlap.
        """
        rows_ND, index_N = _joined(self.rows), _joined(self.index)
        index_N, order = torch.sort(index_N)
        if index_N.numel() > 1 and bool((index_N[1:] == index_N[:-1]).any()):
            raise RuntimeError("an image was evaluated more than once; evaluation shards must not overlap or be padded")
        return rows_ND[order], index_N


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    return torch.cat(state) if isinstance(state, list) else state
