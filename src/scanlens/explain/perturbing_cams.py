"""Class activation maps without gradients: a channel's weight is what happens when it is shown alone, or taken away.

Hundreds of passes an image. Of the `grad-cam` library only the weighted sum is used; its weights are wrong for us:

- Ablation-CAM (Desai & Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360) defines the weight of a channel as the drop of
  the score when the channel is zero, divided by the norm of its activation, and then takes the score itself for that
  norm. So does the library: where the score is negative, every sign is wrong, and near zero the map explodes. We keep
  the norm (the sum of absolute activations): the cells of a channel sum to the drop, in log-odds, and where the head
  averages ReLU maps the result is exact. The library also ablates with -10 million where an activation is negative, and
  replaces the layer in the network, for good if something raises.
- Score-CAM (Wang et al. 2020, arXiv:1910.01279) weights a channel by the increase of confidence when only what it
  highlights is shown. The library soft-maxes raw logits over the channels instead: all weights are positive and sum to
  one, so that nothing can speak against the class, and one channel takes all where logits are large. It also shows
  the channel by plain resizing, on black. We keep the increase, signed and in log-odds, of the image shown through the
  channel's own map (placed by geometry) over what is shown elsewhere, and average over channels the increase times this
  map.

Legend: B images, C channels of the layer, h, w its cells, H rows, W columns of the image, N channels of one pass.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain.asking import images_per_pass
from scanlens.explain.base import Explainer, Finding
from scanlens.explain.cam import Formula, weighted_cells
from scanlens.explain.geometry import Geometry, geometry_of, place, traced
from scanlens.explain.layer_choice import check_layer, layer_for
from scanlens.explain.layers import Layer, check_is_map, reading
from scanlens.explain.progress import Progress
from scanlens.explain.replacement import Replacement, check_replacement, replacement
from scanlens.explain.target import Asked, Question

_BLUR_SHARE = 1 / 8
_LEAST = 1e-12


@dataclass(frozen=True)
class _One:
    """One image of a batch and everything known of it before channels are tried."""

    model: nn.Module
    layer: Layer
    geometry: Geometry
    x_1CHW: Tensor
    activation_1Chw: Tensor
    asked: Asked
    index: int
    score: Tensor
    progress: Progress

    def scores(self, logits_NK: Tensor) -> Tensor:
        """Scores of so many variants of this image."""
        self.progress.add(len(logits_NK))
        return self.asked.of_image(self.index, len(logits_NK)).score(logits_NK)


class PerturbingCam(Explainer):
    """A map at one layer from passes with single channels shown or taken away; no gradients.

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`.
        batch_size: channels per pass.
    """

    formula: ClassVar[Formula]
    keeps_positions = False

    def __init__(self, layer: str | None = None, batch_size: int = 64) -> None:
        if batch_size < 1:
            raise ValueError(f"explain.batch_size must be at least 1; got {batch_size}.")
        self.layer, self.batch_size = layer, batch_size

    def check(self, model: nn.Module) -> None:
        super().check(model)
        check_layer(model, self.layer)

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        layer = layer_for(model, self.layer, x_BCHW)
        with torch.no_grad():
            with traced(model, layer) as trace, reading(layer) as read:
                logits_BK = model(x_BCHW.clone())
            activation_BChw = read.taken(layer)
            check_is_map(activation_BChw, layer, trace.last_map_before_target())
            asked = question.asked_of(logits_BK)
            score_B = asked.score(logits_BK)
            geometry = geometry_of(trace, (x_BCHW.shape[2], x_BCHW.shape[3]))
            progress = Progress(self.title, activation_BChw.shape[0] * activation_BChw.shape[1])
            cells = []
            for index in range(len(x_BCHW)):
                one = slice(index, index + 1)
                known = (x_BCHW[one], activation_BChw[one], asked, index, score_B[index], progress)
                cells.append(self._cells(_One(model, layer, geometry, *known)))
        return Finding(torch.cat(cells), geometry, layer.name, asked, score_B)

    @abstractmethod
    def _cells(self, one: _One) -> Tensor:
        """The map of one image, cells_1hw."""

    def _chunks(self, num_channels: int, size: int) -> Iterator[range]:
        for first in range(0, num_channels, size):
            yield range(first, min(first + size, num_channels))


class AblationCam(PerturbingCam):
    """What the log-odds lose when a channel is zero, shared out among the cells where the channel is active.

    The image goes once through the network up to the layer for every `batch_size` channels; what follows the layer must
    take a batch of any size.

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`.
        batch_size: channels per pass.
    """

    name = "ablation_cam"
    title = "Ablation-CAM"
    formula = "AblationCAM"
    description = (
        "Ablation-CAM: how much the log-odds of the explained class drop without a feature map, summed over feature maps "
        "where they are active. The place can be relied on only where the network averages over positions."
    )

    def __init__(self, layer: str | None = None, batch_size: int = 64) -> None:
        super().__init__(layer, batch_size)

    def _cells(self, one: _One) -> Tensor:
        num_channels = one.activation_1Chw.shape[1]
        drop_C = torch.cat(
            [one.score - self._without(one, chunk) for chunk in self._chunks(num_channels, self.batch_size)]
        )
        norm_1C = one.activation_1Chw.abs().sum(dim=(2, 3))
        weights_1C = torch.where(norm_1C > 0, drop_C[None] / norm_1C.clamp(min=_LEAST), 0.0)
        return weighted_cells(self.formula, one.activation_1Chw, weights_BC=weights_1C)

    def _without(self, one: _One, chunk: range) -> Tensor:
        """Scores without each of these channels."""
        ablated_NChw = one.activation_1Chw.repeat(len(chunk), 1, 1, 1)
        ablated_NChw[torch.arange(len(chunk)), torch.tensor(chunk)] = 0.0
        with _replaced(one.layer, ablated_NChw):
            logits_NK = one.model(one.x_1CHW.clone())
        if len(logits_NK) != len(chunk):
            raise ExplainError(
                f"Ablation-CAM gives {len(chunk)} variants of layer '{one.layer.name}' to what follows it, and "
                f"{type(one.model).__name__} answered {len(logits_NK)}: its head does not take a batch of any size. "
                "Use explain=hires_cam, or explain.batch_size=1."
            )
        return one.scores(logits_NK)


class ScoreCam(PerturbingCam):
    """How much the log-odds gain when only what a channel highlights is shown, averaged over the channels' maps.

    Args:
        layer: dotted name of the layer; None for the network's own `feature_layer`.
        fill: what is shown elsewhere: "blur" (the image, heavily blurred), "mean" or "zero" (as in the paper).
        batch_size: channels per pass.
    """

    name = "score_cam"
    title = "Score-CAM"
    formula = "ScoreCAM"
    description = (
        "Score-CAM: how much the log-odds of the explained class rise when the image is shown only where a feature map is "
        "active, averaged over feature maps. Broad maps take what small ones achieve."
    )

    def __init__(
        self,
        layer: str | None = None,
        fill: Replacement = "blur",
        batch_size: int = 64,
    ) -> None:
        check_replacement(fill, "explain.fill")
        super().__init__(layer, batch_size)
        self.fill = fill

    def _cells(self, one: _One) -> Tensor:
        image_hw = (one.x_1CHW.shape[2], one.x_1CHW.shape[3])
        filled_1CHW = replacement(one.x_1CHW, self.fill, sigma_px=max(1.0, max(image_hw) * _BLUR_SHARE))
        nothing = one.asked.of_image(one.index, 1).score(one.model(filled_1CHW.clone()))
        shown_Chw = _between_0_and_1(one.activation_1Chw[0])
        gains = []
        for chunk in self._chunks(len(shown_Chw), images_per_pass(one.x_1CHW, self.batch_size)):
            mask_NHW, _ = place(shown_Chw[chunk.start : chunk.stop], one.geometry, image_hw)
            mask_N1HW = mask_NHW[:, None].to(one.x_1CHW.device)
            x_NCHW = filled_1CHW + mask_N1HW * (one.x_1CHW - filled_1CHW)
            gains.append(one.scores(one.model(x_NCHW)) - nothing)
        weights_1C = torch.cat(gains)[None] / len(shown_Chw)
        return weighted_cells(self.formula, shown_Chw[None], weights_BC=weights_1C)


def _between_0_and_1(activation_Chw: Tensor) -> Tensor:
    """Each channel stretched to [0, 1]; one that is the same everywhere highlights nothing."""
    low_C11 = activation_Chw.amin(dim=(1, 2), keepdim=True)
    span_C11 = activation_Chw.amax(dim=(1, 2), keepdim=True) - low_C11
    return torch.where(span_C11 > 0, (activation_Chw - low_C11) / span_C11.clamp(min=_LEAST), 0.0)


@contextmanager
def _replaced(layer: Layer, activation_NChw: Tensor) -> Iterator[None]:
    """The layer gives this instead of what it computed; the hook is removed on leaving, also when something raises."""
    handle = layer.module.register_forward_hook(lambda *_: activation_NChw.clone())
    try:
        yield
    finally:
        handle.remove()
