"""Integrated gradients: the change of log-odds from a baseline to the image, shared out among the pixels.

Sundararajan et al. 2017, arXiv:1703.01365. captum computes the midpoint sums along the path; here they are refined, image
by image, until the pixels add up to the change (completeness) within a tolerance, and the remaining gap is recorded.

Legend: B images, C channels, H rows, W columns; S points on the path.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from scanlens.explain.asking import images_per_pass
from scanlens.explain.base import Explainer, Finding
from scanlens.explain.geometry import PIXELS
from scanlens.explain.replacement import Replacement, check_replacement, replacement
from scanlens.explain.target import Question

ScoreOf = Callable[[Tensor], Tensor]
_BLUR_SHARE = 1 / 8
_SMALLEST_CHANGE = 0.01  # log-odds: a gap of a hundredth of it is never worth more steps


class IntegratedGradients(Explainer):
    """Every pixel's share of the change of log-odds between a baseline and the image, summed over channels.

    Args:
        steps: points on the path at first; the number is tripled until the shares add up.
        max_steps: stop refining above this number of points.
        tolerance: allowed gap, as a share of the change of the log-odds.
        baseline: where the path starts: "zero" (no signal in MRI), "mean" (each image's own mean color) or "blur" (the
            image without detail). Pixels equal to the baseline get no share.
        batch_size: points per pass; on a processor fewer of large images, see `asking.images_per_pass`.
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
        baseline: Replacement = "zero",
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

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        base_BCHW = replacement(x_BCHW, self.baseline, sigma_px=max(1.0, max(x_BCHW.shape[2:]) * _BLUR_SHARE))
        with torch.no_grad():
            asked = question.asked_of(logits_BK := model(x_BCHW.clone()))
            score_B = asked.score(logits_BK)
            change_B = score_B - asked.score(model(base_BCHW.clone()))
        shares, gaps = [], []
        for index, change in enumerate(change_B):

            def score_of(path_SCHW: Tensor, index: int = index) -> Tensor:
                return asked.of_image(index, len(path_SCHW)).score(model(path_SCHW.clone()))

            one = slice(index, index + 1)
            share_CHW = self._refined(score_of, x_BCHW[one], base_BCHW[one], float(change))
            shares.append(share_CHW.sum(dim=0).float())
            gaps.append(share_CHW.sum() - change.cpu())
        return Finding(torch.stack(shares), PIXELS, "input", asked, score_B, torch.stack(gaps))

    def _refined(self, score_of: ScoreOf, x_1CHW: Tensor, base_1CHW: Tensor, change: float) -> Tensor:
        """Shares (C, H, W) in float64.

        The midpoint sum of 3n points is the mean of that of n points and of two more, along the path moved by a third of
        a step to and fro; so no pass is wasted.
        """
        num, share_CHW = self.steps, self._midpoint_sum(score_of, x_1CHW, base_1CHW, self.steps, 0.0)
        while True:
            gap = abs(float(share_CHW.sum()) - change)
            if not gap > self.tolerance * max(abs(change), _SMALLEST_CHANGE) or 3 * num > self.max_steps:
                return share_CHW
            moved = [self._midpoint_sum(score_of, x_1CHW, base_1CHW, num, by) for by in (-1 / 3, 1 / 3)]
            share_CHW = (share_CHW + moved[0] + moved[1]) / 3
            num *= 3

    def _midpoint_sum(
        self, score_of: ScoreOf, x_1CHW: Tensor, base_1CHW: Tensor, num: int, moved_steps: float
    ) -> Tensor:
        """captum's shares (C, H, W) by `num` points, each moved by a part of a step towards the image."""
        from captum.attr import IntegratedGradients as Engine  # heavy

        aside_1CHW = (x_1CHW - base_1CHW) * (moved_steps / num)
        share_1CHW = Engine(score_of).attribute(
            x_1CHW + aside_1CHW,
            baselines=base_1CHW + aside_1CHW,
            n_steps=num,
            method="riemann_middle" if num > 1 else "gausslegendre",  # captum refuses a midpoint sum of one point
            internal_batch_size=images_per_pass(x_1CHW, self.batch_size),
        )
        return share_1CHW[0].detach().cpu().double()  # on the CPU: not every device knows float64
