"""Maps of one method for many images, made in batches, and how alike two of them are.

Legend: B images, C channels, H rows, W columns, h and w cells of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlens.explain.base import Explainer, Explanation
from scanlens.explain.cam import explained_together
from scanlens.explain.similarity import rank_correlation, structural_similarity

BATCH = 8


@dataclass(frozen=True, slots=True)
class Mapped:
    """The map of one image; see `explain.base.Explanation` for the fields."""

    map_HW: NDArray[np.float32]
    cells_hw: NDArray[np.float32]
    covered_HW: NDArray[np.bool_]
    is_blank: bool
    layer: str
    cell_px: tuple[float, float]
    score: float
    gap: float | None


def method_maps(
    explainers: Sequence[Explainer], network: nn.Module, x_BCHW: Tensor, target_B: Tensor, *, nums: Sequence[int]
) -> list[list[Mapped]]:
    """Of each method the maps of the first images, as many as `nums` says, each for its own class.

    Methods that ask the network for the same thing share its passes, see `cam.explained_together`.
    """
    found: list[list[Mapped]] = [[] for _ in explainers]
    nums = [min(num, len(x_BCHW)) for num in nums]
    for start in range(0, max(nums, default=0), BATCH):
        by_stop: dict[int, list[int]] = {}
        for k, num in enumerate(nums):
            if num > start:
                by_stop.setdefault(min(start + BATCH, num), []).append(k)
        for stop, those in by_stop.items():
            chosen = slice(start, stop)
            made = explained_together([explainers[k] for k in those], network, x_BCHW[chosen], target_B[chosen])
            for k, explanation in zip(those, made, strict=True):
                found[k] += _mapped(explanation)
    return found


def _mapped(made: Explanation) -> list[Mapped]:
    covered_HW = made.covered_HW.numpy().astype(bool)
    return [
        Mapped(
            map_HW=made.map_BHW[b].numpy(),
            cells_hw=made.cells_Bhw[b].numpy(),
            covered_HW=covered_HW,
            is_blank=bool(made.is_blank_B[b]),
            layer=made.layer,
            cell_px=made.geometry.jump_yx,
            score=float(made.score_B[b]),
            gap=None if made.completeness_gap_B is None else float(made.completeness_gap_B[b]),
        )
        for b in range(len(made.map_BHW))
    ]


def ranks_alike(a: Mapped, b: Mapped) -> float | None:
    """Rank correlation of the cells; None if `a` is blank, 0 if only `b` is: nothing of the map is left."""
    return None if a.is_blank else rank_correlation(a.cells_hw, b.cells_hw) or 0.0


def structure_alike(a: Mapped, b: Mapped) -> float | None:
    """Structural similarity of the cells; None if `a` is blank or has too few cells, 0 if `b` is blank."""
    if a.is_blank or min(a.cells_hw.shape) < 3:
        return None
    return structural_similarity(a.cells_hw, b.cells_hw) or 0.0
