"""Explanations of an autoencoder: it knows no classes, only what it can and cannot reconstruct.

An anomaly is not a diagnosis: what differs may be an artifact, and a lesion that is reconstructed well does not show.

Legend: B images, C channels, H rows, W columns; D numbers of the latent code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain.base import Explainer, Finding
from scanlens.explain.cam import weighted_cells
from scanlens.explain.geometry import PIXELS, geometry_of, traced
from scanlens.explain.layers import check_is_map, find_layer, gradient_at, reading
from scanlens.explain.target import Question


class Residual(Explainer):
    """Image minus reconstruction, mean over channels: positive where the image is brighter than expected."""

    name = "residual"
    title = "Residual"
    unit = "intensity"
    score_name = "mean squared residual"
    needs_class = False
    is_two_sided = True
    description = (
        "Where the reconstruction differs: image minus reconstruction; positive where the image is brighter than the "
        "autoencoder expected. A difference is not a diagnosis."
    )

    def __init__(self) -> None:
        super().__init__()

    def check(self, model: nn.Module) -> None:
        _require_autoencoder(model, "the residual")

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        with torch.no_grad():
            rebuilt_BCHW = model(x_BCHW.clone())
        if not isinstance(rebuilt_BCHW, Tensor) or rebuilt_BCHW.shape != x_BCHW.shape:
            came = tuple(rebuilt_BCHW.shape) if isinstance(rebuilt_BCHW, Tensor) else type(rebuilt_BCHW).__name__
            raise ExplainError(
                f"the residual needs a reconstruction of the shape of the images {tuple(x_BCHW.shape)}; "
                f"{type(model).__name__} gives {came}. For a classifier use explain=auto."
            )
        residual_BCHW = x_BCHW - rebuilt_BCHW
        score_B = residual_BCHW.square().mean(dim=(1, 2, 3))
        return Finding(residual_BCHW.mean(dim=1), PIXELS, "input", None, score_B)


class LatentCam(Explainer):
    """Grad-CAM of the latent energy, half the squared length of the code: where the code gets its strength from.

    Args:
        layer: dotted name of a layer of the encoder; None for the network's own `feature_layer`.
    """

    name = "latent_cam"
    title = "Grad-CAM of the latent energy"
    unit = "latent energy"
    score_name = "latent energy"
    needs_class = False
    keeps_positions = False
    description = (
        "Grad-CAM of the latent energy: which places the autoencoder's code is made of. It shows what was encoded, "
        "not what is abnormal."
    )

    def __init__(self, layer: str | None = None) -> None:
        self.layer = layer

    def check(self, model: nn.Module) -> None:
        _require_autoencoder(model, self.title)
        if not callable(getattr(model, "encode", None)):
            raise ExplainError(
                f"{self.title} needs a network with `encode(x) -> latent`; {type(model).__name__} has none. "
                "Use explain=residual."
            )
        find_layer(model, self.layer)

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        layer = find_layer(model, self.layer)
        with traced(model, layer) as trace, reading(layer) as read:
            latent_BD = model.encode(x_BCHW).flatten(1)  # type: ignore[operator]
        activation_BChw = read.taken(layer)
        check_is_map(activation_BChw, layer, trace.last_map_before_target())
        energy_B = 0.5 * latent_BD.square().sum(dim=1)
        gradient_BChw = gradient_at(energy_B, activation_BChw, layer)
        cells_Bhw = weighted_cells("GradCAM", activation_BChw, gradient_BChw)
        geometry = geometry_of(trace, (x_BCHW.shape[2], x_BCHW.shape[3]))
        return Finding(cells_Bhw, geometry, layer.name, None, energy_B)


def _require_autoencoder(model: nn.Module, method: str) -> None:
    if getattr(model, "head_kind", "none") != "none":
        raise ExplainError(
            f"{method} needs an autoencoder, whose output is its input again; {type(model).__name__} is a classifier. "
            "Use explain=auto, or model=autoencoder."
        )
