"""Two layers in one map: where the last feature maps are too coarse for a small lesion, those before the last shrinking help.

VGG-19's `features.35` has cells of 16 pixels, `features.26` of 8. LayerCAM's authors fuse layers by the maximum of maps
that are first stretched to the same height (Jiang et al. 2021, doi:10.1109/TIP.2021.3089943); here log-odds are kept: the
evidence of each coarse cell is shared out among the fine cells under it, and the mean of both maps is taken. Where each
map sums to the log-odds, so does the mean.

Legend: B images, C channels, H rows, W columns; h, w cells of the finer layer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain.base import Explainer, Finding
from scanlens.explain.cam import ClassActivationMap, HiResCam, LayerCam
from scanlens.explain.geometry import shared_out
from scanlens.explain.layer_choice import check_layer, finer_layer, has_convolution, is_finer, layer_for
from scanlens.explain.layers import Layer, find_layer
from scanlens.explain.target import Question

_METHODS: dict[str, type[ClassActivationMap]] = {"hires_cam": HiResCam, "layer_cam": LayerCam}


class Fusion(Explainer):
    """Mean of the maps of one method at two layers, on the cells of the finer one.

    Args:
        method: "hires_cam" (signed) or "layer_cam" (evidence for the class only).
        layer: dotted name of the coarser layer; None for the network's own `feature_layer`.
        finer: dotted name of the finer layer; None for the last one before `layer` with smaller cells.
    """

    name = "fusion"
    title = "Two layers fused"
    description = (
        "Two layers fused: what each position adds to (positive) or takes from (negative) the log-odds of the explained "
        "class, as the mean of the last feature maps and of finer ones before them; for small lesions."
    )

    def __init__(
        self,
        method: Literal["hires_cam", "layer_cam"] = "hires_cam",
        layer: str | None = None,
        finer: str | None = None,
    ) -> None:
        if method not in _METHODS:
            raise ValueError(f"explain.method must be one of {', '.join(_METHODS)}; got {method!r}.")
        self.method, self.layer, self.finer = _METHODS[method], layer, finer

    def check(self, model: nn.Module) -> None:
        super().check(model)
        if not has_convolution(model):
            raise ExplainError(
                f"{type(model).__name__} has no convolution, so there are no feature maps to fuse. Use "
                "explain=integrated_gradients or explain=occlusion, which work on pixels."
            )
        check_layer(model, self.layer)
        if self.finer is not None:
            find_layer(model, self.finer)

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        layer = layer_for(model, self.layer, x_BCHW)
        finer = finer_layer(model, layer, x_BCHW) if self.finer is None else find_layer(model, self.finer)
        coarse = self._at(layer, model, x_BCHW, question)
        asked = coarse.asked
        fine = self._at(finer, model, x_BCHW, question if asked is None else Question(asked.target_B, asked.against_B))
        if not is_finer(fine.geometry, coarse.geometry):
            raise ExplainError(
                f"layer '{finer.name}' has cells of {fine.geometry.jump_yx} pixels, layer '{layer.name}' of "
                f"{coarse.geometry.jump_yx}: nothing is gained by fusing them. Set explain.finer to null or to an "
                "earlier layer."
            )
        fine_hw = (fine.cells_Bhw.shape[1], fine.cells_Bhw.shape[2])
        spread_Bhw = shared_out(coarse.cells_Bhw, coarse.geometry, fine.geometry, fine_hw)
        cells_Bhw = (fine.cells_Bhw.cpu() + spread_Bhw) / 2
        geometry = replace(fine.geometry, receptive_field_yx=coarse.geometry.receptive_field_yx)
        return Finding(cells_Bhw, geometry, f"{finer.name} + {layer.name}", asked, coarse.score_B)

    def _at(self, layer: Layer, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        return self.method(layer.name)._find(model, x_BCHW, question)
