"""Maps that know nothing of what a network has learned: whoever claims that a method points at lesions compares it with these.

A map of random cells, of the middle, of what is bright and of edges often look convincing, and score well where lesions
lie in the middle or are bright (Adebayo et al. 2018, arXiv:1810.03292: an edge detector resembles some saliency maps).
None depends on weights or on a class.

Legend: B images, C channels, H rows, W columns; h, w cells.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

from scanlens.explain.base import Explainer, Finding
from scanlens.explain.geometry import PIXELS, Geometry, geometry_of, traced
from scanlens.explain.layer_choice import check_layer, has_own_layer, layer_for
from scanlens.explain.replacement import replacement
from scanlens.explain.target import Question
from scanlens.seeds import derived_seed

_GRID = 8  # cells along the shorter side where a network has no layer of maps
_CENTER_SHARE = 1 / 4
_BLUR_SHARE = 1 / 32
_LEVELS = 65535


class Control(Explainer):
    """A map that needs no trained network; it explains nothing, so it has no class and no score."""

    unit = "arbitrary"
    score_name = "nothing"
    needs_class = False
    is_control = True
    keeps_positions = False
    asks_network = False

    def check(self, model: nn.Module) -> None:
        """Nothing is asked of the network."""

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        return _found(self._pixels(x_BCHW), PIXELS, "input")

    def _pixels(self, x_BCHW: Tensor) -> Tensor:
        """The map at the resolution of the image, pixels_BHW."""
        raise NotImplementedError


class RandomMap(Control):
    """Normally distributed cells, as many and as large as those of a class activation map of the network.

    They depend on the seed and on the content of the image (to 16 bits), not on its place in a batch.

    Args:
        layer: dotted name of the layer whose cells are drawn; None for the network's own `feature_layer`, or 8 along
            the shorter side of the image where there is none.
        seed: another one gives other maps.
    """

    name = "random"
    title = "Random map"
    description = (
        "Control: random numbers in cells of the size of a class activation map. It knows nothing of the network or of "
        "the image; a method has to beat it."
    )
    asks_network = True  # at most, for the number and the place of the cells

    def __init__(self, layer: str | None = None, seed: int = 0) -> None:
        self.layer, self.seed = layer, seed

    def check(self, model: nn.Module) -> None:
        if self.layer is not None:
            check_layer(model, self.layer)

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        hw, geometry, layer = self._cells(model, x_BCHW)
        return _found(torch.stack([self._drawn(x_CHW, hw) for x_CHW in x_BCHW]), geometry, layer)

    def _cells(self, model: nn.Module, x_BCHW: Tensor) -> tuple[tuple[int, int], Geometry, str]:
        """Number of cells, their place, and the name of the layer that has them."""
        image_hw = (x_BCHW.shape[2], x_BCHW.shape[3])
        if self.layer is not None or has_own_layer(model):
            layer = layer_for(model, self.layer, x_BCHW)
            with torch.no_grad(), traced(model, layer) as trace:
                model(x_BCHW[:1].clone())
            hw = trace.target_hw
            if hw is not None and 1 < hw[0] * hw[1] < image_hw[0] * image_hw[1]:
                return hw, geometry_of(trace, image_hw), layer.name
        side = max(1, min(image_hw) // _GRID)
        hw = (-(-image_hw[0] // side), -(-image_hw[1] // side))
        return hw, Geometry((float(side),) * 2, ((side - 1) / 2,) * 2, (float(side),) * 2), "input"

    def _drawn(self, x_CHW: Tensor, hw: tuple[int, int]) -> Tensor:
        if not bool(torch.isfinite(x_CHW).all()):
            return torch.full(hw, float("nan"))
        content = (x_CHW.cpu().double() * _LEVELS).round().long().contiguous().numpy().tobytes()
        digest = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
        generator = torch.Generator().manual_seed(derived_seed(self.seed, digest))
        return torch.randn(hw, generator=generator)


class CenterMap(Control):
    """A bell around the middle of the image, with a standard deviation of a quarter of the shorter side."""

    name = "center"
    title = "Middle of the image"
    description = (
        "Control: the closer to the middle of the image, the higher. It knows nothing of the network or of the image; "
        "a method has to beat it."
    )

    def __init__(self) -> None:
        super().__init__()

    def _pixels(self, x_BCHW: Tensor) -> Tensor:
        height, width = x_BCHW.shape[2:]
        sigma = max(1.0, min(height, width) * _CENTER_SHARE)
        row_H, column_W = (torch.arange(size) - (size - 1) / 2 for size in (height, width))
        squared_HW = row_H[:, None].square() + column_W[None, :].square()
        return torch.exp(-0.5 * squared_HW / sigma**2).expand(len(x_BCHW), -1, -1)


class BlurredIntensity(Control):
    """The image itself, mean over channels, blurred: high where it is bright.

    Args:
        sigma_px: standard deviation of the blur in pixels, positive; None for a 32nd of the shorter side.
    """

    name = "blurred_intensity"
    title = "Blurred brightness"
    description = (
        "Control: the blurred image, high where it is bright. It knows nothing of the network; a method has to beat it."
    )

    def __init__(self, sigma_px: float | None = None) -> None:
        self.sigma_px = _positive(sigma_px)

    def _pixels(self, x_BCHW: Tensor) -> Tensor:
        return _smooth(x_BCHW, self.sigma_px or max(1.0, min(x_BCHW.shape[2:]) * _BLUR_SHARE))


class Edges(Control):
    """Size of the gradient of the image, mean over channels, after a slight blur: high at edges.

    Args:
        sigma_px: standard deviation of the blur in pixels, positive; None for 1.
    """

    name = "edges"
    title = "Edges"
    description = (
        "Control: where the brightness of the image changes, that is, its edges. It knows nothing of the network; a method "
        "has to beat it."
    )

    def __init__(self, sigma_px: float | None = None) -> None:
        self.sigma_px = _positive(sigma_px)

    def _pixels(self, x_BCHW: Tensor) -> Tensor:
        smooth_BHW = _smooth(x_BCHW, self.sigma_px or 1.0)
        padded_BHW = nn.functional.pad(smooth_BHW[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
        down_BHW = (padded_BHW[:, 2:, 1:-1] - padded_BHW[:, :-2, 1:-1]) / 2
        right_BHW = (padded_BHW[:, 1:-1, 2:] - padded_BHW[:, 1:-1, :-2]) / 2
        return torch.hypot(down_BHW, right_BHW)


def _smooth(x_BCHW: Tensor, sigma_px: float) -> Tensor:
    return replacement(x_BCHW.mean(dim=1, keepdim=True), "blur", sigma_px=sigma_px)[:, 0]


def _positive(sigma_px: float | None) -> float | None:
    if sigma_px is not None and not sigma_px > 0:
        raise ValueError(f"explain.sigma_px must be positive, or null for the default; got {sigma_px}.")
    return sigma_px


def _found(cells_Bhw: Tensor, geometry: Geometry, layer: str) -> Finding:
    return Finding(cells_Bhw, geometry, layer, None, torch.full((len(cells_Bhw),), float("nan")))
