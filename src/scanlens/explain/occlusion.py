"""Occlusion: cover one place after the other and see how much the log-odds drop. Slow, and assumes nothing.

Zeiler & Fergus 2014, doi:10.1007/978-3-319-10590-1_53; we measure log-odds instead of probability, which saturates.

captum does the covering, by its `FeatureAblation` of a grid of switches, one for each place of the patch. Its `Occlusion`
is not used, because it averages overlapping patches onto pixels: of two places worth +10 and -10 log-odds that lie two
pixels apart (patches of 4, every 2) it shows +5 and -5, and what covering each patch did cannot be had back. It also cuts
patches off at the lower and right border only; here they are cut off alike on all sides, and every pixel is covered.

Legend: B images, C channels, H rows, W columns; h, w places of the patch, N of them in one pass.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from scanlens.explain.asking import images_per_pass
from scanlens.explain.base import Explainer, Finding
from scanlens.explain.geometry import Geometry
from scanlens.explain.progress import Progress
from scanlens.explain.replacement import Replacement, check_replacement, replacement
from scanlens.explain.target import Question


class Occlusion(Explainer):
    """Drop of the log-odds when a patch is replaced, for patches all over the image.

    Args:
        patch: side of the patch in pixels; None for an eighth of the shorter side of the image.
        stride: distance between patches in pixels, at most `patch`; None for half a patch.
        fill: what the patch is replaced by: "blur" (the same place, heavily blurred), "mean" or "zero".
        batch_size: covered images per pass; on a processor fewer of large images, see `asking.images_per_pass`.
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
        fill: Replacement = "blur",
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

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        image_hw = (x_BCHW.shape[2], x_BCHW.shape[3])
        patch, stride = self._sizes(image_hw)
        under_hH, under_wW = (_under(size, patch, stride).to(x_BCHW.device) for size in image_hw)
        with torch.no_grad():
            asked = question.asked_of(logits_BK := model(x_BCHW.clone()))
            score_B = asked.score(logits_BK)
            filled_BCHW = replacement(x_BCHW, self.fill, sigma_px=patch)
        progress = Progress(self.title, len(x_BCHW) * len(under_hH) * len(under_wW))

        def drops_of(index: int) -> Tensor:
            def score_of(open_Nhw: Tensor) -> Tensor:
                is_covered_NHW = under_hH.T @ (1 - open_Nhw) @ under_wW > 0
                x_NCHW = torch.where(is_covered_NHW[:, None], filled_BCHW[index], x_BCHW[index])
                progress.add(len(x_NCHW))
                return asked.of_image(index, len(x_NCHW)).score(model(x_NCHW))

            return self._drops(score_of, (len(under_hH), len(under_wW)), x_BCHW)

        center = (patch - 1) / 2 - (patch - stride) // 2
        geometry = Geometry((float(stride),) * 2, (center,) * 2, (float(patch),) * 2)
        return Finding(torch.cat([drops_of(i) for i in range(len(x_BCHW))]), geometry, "input", asked, score_B)

    def _drops(self, score_of: Callable[[Tensor], Tensor], grid_hw: tuple[int, int], x_BCHW: Tensor) -> Tensor:
        """captum's drops (1, h, w) of the score when each place of the grid is covered; patches may be cut off."""
        from captum.attr import FeatureAblation  # heavy

        all_open_1hw = torch.ones(1, *grid_hw, device=x_BCHW.device)
        num = images_per_pass(x_BCHW, self.batch_size)
        return FeatureAblation(score_of).attribute(all_open_1hw, baselines=0.0, perturbations_per_eval=num)

    def _sizes(self, image_hw: tuple[int, int]) -> tuple[int, int]:
        patch = self.patch or max(self.stride or 1, round(min(image_hw) / 8), 1)
        return patch, self.stride or max(1, patch // 2)


def _under(size: int, patch: int, stride: int) -> Tensor:
    """1 where a row of the image lies under the patch of a row of the grid, each centered on its tile: under_hH."""
    first_h1 = torch.arange(0, size, stride)[:, None] - (patch - stride) // 2
    row_1H = torch.arange(size)[None, :]
    return ((row_1H >= first_h1) & (row_1H < first_h1 + patch)).float()
