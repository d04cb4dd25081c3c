"""Which explanations suit a network: chosen by how its head reads the feature maps, the primary one first."""

from __future__ import annotations

from torch import nn

from scanlens.errors import ExplainError
from scanlens.explain.base import Explainer
from scanlens.explain.cam import GradCam, HiResCam
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.explain.layer_choice import has_convolution, has_own_layer
from scanlens.explain.layers import find_layer
from scanlens.explain.occlusion import Occlusion
from scanlens.explain.residual import LatentCam, Residual


class Auto:
    """The explanations that suit the network.

    Args:
        layer: dotted name of the layer to explain; None for the network's own `feature_layer`.
    """

    def __init__(self, layer: str | None = None) -> None:
        self.layer = layer

    def explainers_for(self, model: nn.Module) -> list[Explainer]:
        """See `choose_explainers`."""
        return choose_explainers(model, layer=self.layer)


class Nothing:
    """No explanations."""

    def __init__(self) -> None:
        super().__init__()

    def explainers_for(self, model: nn.Module) -> list[Explainer]:
        """An empty list."""
        return []


def choose_explainers(model: nn.Module, *, layer: str | None = None) -> list[Explainer]:
    """Explanations that suit the network, the primary one first; the `legend` of each says why it was chosen.

    A head that averages the feature layer over positions ("gap") gives no position a weight of its own, so Grad-CAM
    loses none; it is exact there and equal to HiResCAM. A head that flattens has learned a weight for every position,
    which Grad-CAM averages away, and what lies between an earlier layer and the head weighs its positions too: there
    HiResCAM is exact, and Grad-CAM stands beside it for comparison only. An autoencoder ("none") has no classes.
    Without a convolution only the pixels remain. Of a network that says nothing of its head or layer, HiResCAM at the
    last layer that suits (see `layer_choice`) is taken, since it is exact for either head.

    Args:
        model: any network; those with `head_kind` and `feature_layer` are known best.
        layer: dotted name of the layer to explain; None for the network's own.

    Raises:
        ExplainError: if the network has a head of an unknown kind, or has no such layer.
    """
    head = getattr(model, "head_kind", None)
    if head == "none":
        chosen = _for_autoencoder(layer)
    elif head not in (None, "gap", "flatten"):
        raise ExplainError(
            f"{type(model).__name__}.head_kind must be 'gap', 'flatten', 'none' or absent for explain=auto; got {head!r}. "
            "Name a method instead, such as explain=hires_cam explain.layer=<dotted name>."
        )
    elif layer is None and not has_convolution(model):
        chosen = _for_pixels()
    elif head is None or (layer is None and not has_own_layer(model)):
        chosen = _for_unknown_head(layer)
    elif head == "gap" and _is_own_layer(model, layer):
        why = "this network averages its feature maps, so no position has a weight of its own that it could lose"
        chosen = [_because(GradCam(layer), f"Chosen because it is exact here: {why}. HiResCAM would be the same map.")]
    else:
        chosen = _for_weighed_positions(layer)
    for explainer in chosen:
        explainer.check(model)
    return chosen


def _for_autoencoder(layer: str | None) -> list[Explainer]:
    return [
        _because(Residual(), "Chosen because an autoencoder knows no classes."),
        _because(LatentCam(layer), "Shown beside the residual; an autoencoder knows no classes."),
    ]


def _for_pixels() -> list[Explainer]:
    why = "this network has no feature maps to read a class activation map from."
    return [
        _because(IntegratedGradients(), f"Chosen because {why}"),
        _because(Occlusion(), f"Chosen as a second opinion because {why}"),
    ]


def _for_unknown_head(layer: str | None) -> list[Explainer]:
    why = "it is exact for heads that average positions and for heads that weigh them, and this network names neither"
    where = "" if layer else "; its layer is the last one with more than one cell that everything goes through"
    return [_because(HiResCam(layer), f"Chosen because {why}{where}.")]


def _for_weighed_positions(layer: str | None) -> list[Explainer]:
    why = "this network weighs every position of this layer differently"
    averaged = "which Grad-CAM averages away, so it may point at the wrong place"
    return [
        _because(HiResCam(layer), f"Chosen because {why}."),
        _because(GradCam(layer), f"Shown for comparison only: {why}, {averaged}."),
    ]


def _is_own_layer(model: nn.Module, layer: str | None) -> bool:
    """Whether the network's own feature layer is explained, the one that its head reads."""
    return layer is None or find_layer(model, layer).module is getattr(model, "feature_layer", None)


def _because(explainer: Explainer, reason: str) -> Explainer:
    explainer.reason = reason
    return explainer
