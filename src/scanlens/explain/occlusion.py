"""Occlusion: cover one place after the other and see how much the log-odds drop. Slow, and assumes nothing.

Zeiler & Fergus 2014, doi:10.1007/978-3-319-10590-1_53; we measure log-odds instead of probability, which saturates.

Legend: B images, C channels, H rows, W columns; N places of the patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from scanlens.explain.base import Explainer, Finding
from scanlens.explain.geometry import Geometry
from scanlens.explain.replacement import check_replacement, replacement
from scanlens.explain.target import margin, resolve_target


class Occlusion(Explainer):
    """Drop of the margin when a patch is replaced, for patches all over the image.

    Args:
        patch: side of the patch in pixels; None for an eighth of the shorter side of the image.
        stride: distance between patches in pixels, at most `patch`; None for half a patch.
        fill: what the patch is replaced by: "blur" (the same place, heavily blurred), "mean" or "zero".
        batch_size: covered images per pass.
    """

    name = "occlusion"
    title = "Occlusion"
    description = (
        "Occlusion: how much the log-odds of the explained class drop when this place is covered; negative where "
        "covering it speaks for the class."
    )

    def __init__(
        self,
        patch: int | None = None,
        stride: int | None = None,
        fill: Literal["blur", "mean", "zero"] = "blur",
        batch_size: int = 64,
    ) -> None:
        check_replacement(fill, "explain.fill")
        for setting, value in (("patch", patch), ("stride", stride), ("batch_size", batch_size)):
            if value is not None and value < 1:
                raise ValueError(f"explain.{setting} must be at least 1; got {value}.")
        if patch is not None and stride is not None and stride > patch:
            raise ValueError(
                f"explain.stride = {stride} is larger than explain.patch = {patch}: places between patches would "
                "never be covered. Choose a stride of at most the patch."
            )
        self.patch, self.stride, self.fill, self.batch_size = patch, stride, fill, batch_size

    def _find(self, model: nn.Module, x_BCHW: Tensor, target_B: Tensor | Sequence[int] | None) -> Finding:
        image_hw = (x_BCHW.shape[2], x_BCHW.shape[3])
        patch, stride = self._sizes(image_hw)
        with torch.no_grad():
            logits_BK = model(x_BCHW)
            classes_B = resolve_target(logits_BK, target_B)
            margin_B = margin(logits_BK, classes_B)
            filled_BCHW = replacement(x_BCHW, self.fill, sigma_px=patch)
            drops = [
                score - self._covered(model, x_CHW, filled_CHW, target, patch, stride)
                for x_CHW, filled_CHW, target, score in zip(x_BCHW, filled_BCHW, classes_B, margin_B, strict=True)
            ]
        center = (patch - 1) / 2 - (patch - stride) // 2
        geometry = Geometry((float(stride),) * 2, (center,) * 2, (float(patch),) * 2)
        return Finding(torch.stack(drops), geometry, "input", classes_B, margin_B)

    def _sizes(self, image_hw: tuple[int, int]) -> tuple[int, int]:
        patch = self.patch or max(self.stride or 1, round(min(image_hw) / 8), 1)
        return patch, self.stride or max(1, patch // 2)

    def _covered(
        self, model: nn.Module, x_CHW: Tensor, filled_CHW: Tensor, target: Tensor, patch: int, stride: int
    ) -> Tensor:
        """Margins (h, w) with the patch at each place; patches are cut off at the border, so that all is covered."""
        tops, lefts = (_starts(size, patch, stride) for size in x_CHW.shape[1:])
        places = [(top, left) for top in tops for left in lefts]
        margins = []
        for first in range(0, len(places), self.batch_size):
            chunk = places[first : first + self.batch_size]
            x_NCHW = x_CHW.expand(len(chunk), -1, -1, -1).clone()
            for image_CHW, (top, left) in zip(x_NCHW, chunk, strict=True):
                rows, columns = slice(max(top, 0), top + patch), slice(max(left, 0), left + patch)
                image_CHW[:, rows, columns] = filled_CHW[:, rows, columns]
            margins.append(margin(model(x_NCHW), target.expand(len(chunk))))
        return torch.cat(margins).reshape(len(tops), len(lefts))


def _starts(size: int, patch: int, stride: int) -> list[int]:
    """First row of each patch, each centered on its tile of `stride` pixels."""
    return [tile - (patch - stride) // 2 for tile in range(0, size, stride)]
