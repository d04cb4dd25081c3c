"""Which explanations suit a network: chosen by how its head reads the feature maps, the primary one first."""

from __future__ import annotations

from torch import nn

from scanlens.errors import ExplainError
from scanlens.explain.base import Explainer
from scanlens.explain.cam import GradCam, HiResCam
from scanlens.explain.integrated_gradients import IntegratedGradients
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
    Without a convolution only the pixels remain.

    Args:
        model: a network with `head_kind` and `feature_layer`.
        layer: dotted name of the layer to explain; None for the network's own.

    Raises:
        ExplainError: if the network does not say how its head works, or has no such layer.
    """
    head = getattr(model, "head_kind", None)
    chosen: list[Explainer]
    if head == "none":
        chosen = [
            _because(Residual(), "Chosen because an autoencoder knows no classes."),
            _because(LatentCam(layer), "Shown beside the residual; an autoencoder knows no classes."),
        ]
    elif head in ("gap", "flatten") and layer is None and not _has_feature_maps(model):
        why = "this network has no feature maps to read a class activation map from."
        chosen = [
            _because(IntegratedGradients(), f"Chosen because {why}"),
            _because(Occlusion(), f"Chosen as a second opinion because {why}"),
        ]
    elif head == "gap" and _is_own_layer(model, layer):
        why = "this network averages its feature maps, so no position has a weight of its own that it could lose"
        chosen = [_because(GradCam(layer), f"Chosen because it is exact here: {why}. HiResCAM would be the same map.")]
    elif head in ("gap", "flatten"):
        why = "this network weighs every position of this layer differently"
        chosen = [
            _because(HiResCam(layer), f"Chosen because {why}."),
            _because(
                GradCam(layer),
                f"Shown for comparison only: {why}, which Grad-CAM averages away, so it may point at the wrong place.",
            ),
        ]
    else:
        raise ExplainError(
            f"{type(model).__name__}.head_kind must be 'gap', 'flatten' or 'none' for explain=auto; got {head!r}. "
            "Name a method instead, such as explain=hires_cam explain.layer=<dotted name>."
        )
    for explainer in chosen:
        explainer.check(model)
    return chosen


def _has_feature_maps(model: nn.Module) -> bool:
    """Whether there is a layer of maps to explain; a network without convolution may only name its input."""
    has_convolution = any(isinstance(module, nn.Conv2d) for module in model.modules())
    return has_convolution and getattr(model, "feature_layer", None) is not None


def _is_own_layer(model: nn.Module, layer: str | None) -> bool:
    """Whether the network's own feature layer is explained, the one that its head reads."""
    return layer is None or find_layer(model, layer).module is getattr(model, "feature_layer", None)


def _because(explainer: Explainer, reason: str) -> Explainer:
    explainer.reason = reason
    return explainer
