"""Integrated gradients: the margin's change from a baseline to the image, shared out among the pixels.

Sundararajan et al. 2017, arXiv:1703.01365. The path integral is a midpoint sum that is refined, image by image, until
the pixels add up to the change (completeness) within a tolerance; the remaining gap is recorded.

Legend: B images, C channels, H rows, W columns; S points on the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from scanlens.explain.base import Explainer, Finding
from scanlens.explain.geometry import PIXELS
from scanlens.explain.replacement import check_replacement, replacement
from scanlens.explain.target import margin, resolve_target

_BLUR_SHARE = 1 / 8
_SMALLEST_CHANGE = 0.01  # log-odds: a gap of a hundredth of it is never worth more steps


class IntegratedGradients(Explainer):
    """Every pixel's share of the margin's change between a baseline and the image, summed over channels.

    Args:
        steps: points on the path at first; the number is tripled until the shares add up.
        max_steps: stop refining above this number of points.
        tolerance: allowed gap, as a share of the change of the margin.
        baseline: where the path starts: "zero" (no signal in MRI), "mean" (each image's own mean color) or "blur" (the
            image without detail). Pixels equal to the baseline get no share.
        batch_size: points per pass.
    """

    name = "integrated_gradients"
    title = "Integrated gradients"
    description = (
        "Integrated gradients: each pixel's share of the log-odds of the explained class, counted from a baseline "
        "image; the shares add up to the difference."
    )

    def __init__(
        self,
        steps: int = 24,
        max_steps: int = 216,
        tolerance: float = 0.01,
        baseline: Literal["blur", "mean", "zero"] = "zero",
        batch_size: int = 32,
    ) -> None:
        check_replacement(baseline, "explain.baseline")
        for setting, value in (("steps", steps), ("batch_size", batch_size), ("max_steps", max_steps)):
            if value < 1:
                raise ValueError(f"explain.{setting} must be at least 1; got {value}.")
        if tolerance <= 0:
            raise ValueError(f"explain.tolerance must be positive; got {tolerance}.")
        self.steps, self.max_steps, self.tolerance = steps, max_steps, tolerance
        self.baseline, self.batch_size = baseline, batch_size

    def _find(self, model: nn.Module, x_BCHW: Tensor, target_B: Tensor | Sequence[int] | None) -> Finding:
        base_BCHW = replacement(x_BCHW, self.baseline, sigma_px=max(1.0, max(x_BCHW.shape[2:]) * _BLUR_SHARE))
        with torch.no_grad():
            logits_BK = model(x_BCHW)
            classes_B = resolve_target(logits_BK, target_B)
            margin_B = margin(logits_BK, classes_B)
            change_B = margin_B - margin(model(base_BCHW), classes_B)
        shares, gaps = [], []
        for x_CHW, base_CHW, target, change in zip(x_BCHW, base_BCHW, classes_B, change_B, strict=True):
            share_CHW = self._refined(model, x_CHW, base_CHW, target, float(change))
            shares.append(share_CHW.sum(dim=0).float())
            gaps.append(share_CHW.sum() - change.cpu())
        return Finding(torch.stack(shares), PIXELS, "input", classes_B, margin_B, torch.stack(gaps))

    def _refined(self, model: nn.Module, x_CHW: Tensor, base_CHW: Tensor, target: Tensor, change: float) -> Tensor:
        """Shares (C, H, W) in float64; a midpoint rule of 3n points contains that of n points, so none is wasted."""
        way_CHW = (x_CHW - base_CHW).cpu().double()
        num = self.steps
        points = [(2 * index + 1) / (2 * num) for index in range(num)]
        total_CHW = self._summed_gradients(model, x_CHW, base_CHW, target, points)
        while True:
            share_CHW = way_CHW * total_CHW / num
            gap = abs(float(share_CHW.sum()) - change)
            if not gap > self.tolerance * max(abs(change), _SMALLEST_CHANGE) or 3 * num > self.max_steps:
                return share_CHW
            num *= 3
            points = [(2 * index + 1) / (2 * num) for index in range(num) if index % 3 != 1]
            total_CHW = total_CHW + self._summed_gradients(model, x_CHW, base_CHW, target, points)

    def _summed_gradients(
        self, model: nn.Module, x_CHW: Tensor, base_CHW: Tensor, target: Tensor, points: list[float]
    ) -> Tensor:
        total_CHW = torch.zeros(x_CHW.shape, dtype=torch.float64)  # on the CPU: not every device knows float64
        for first in range(0, len(points), self.batch_size):
            chunk = points[first : first + self.batch_size]
            at_S111 = torch.tensor(chunk, device=x_CHW.device)[:, None, None, None]
            path_SCHW = (base_CHW + at_S111 * (x_CHW - base_CHW)).requires_grad_()
            margin_S = margin(model(path_SCHW.clone()), target.expand(len(chunk)))
            (gradient_SCHW,) = torch.autograd.grad(margin_S.sum(), path_SCHW)
            total_CHW += gradient_SCHW.cpu().double().sum(dim=0)
        return total_CHW
