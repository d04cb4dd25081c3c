"""One layer of a network: find it by name, and read its activation and gradient once, unharmed.

Legend: B images, C channels of the layer, h rows and w columns of the layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError, did_you_mean


@dataclass(frozen=True)
class Layer:
    """A submodule and its dotted name in the network."""

    name: str
    module: nn.Module


@dataclass
class Reading:
    """What the hook saw: the activation as it left the layer, before any in-place successor."""

    activation: Tensor | None = None

    def taken(self, layer: Layer) -> Tensor:
        if self.activation is None:
            raise ExplainError(
                f"layer '{layer.name}' took no part in this pass through the network, so it cannot be explained. "
                "Name a layer that the image goes through."
            )
        return self.activation


def find_layer(model: nn.Module, name: str | None) -> Layer:
    """The layer of that dotted name, or the network's own `feature_layer` if the name is None.

    Raises:
        ExplainError: if there is no such layer, or the network names none.
    """
    modules = {key: module for key, module in model.named_modules() if key}
    if name is not None:
        if name not in modules:
            hint = did_you_mean(name, modules)
            raise ExplainError(f"{type(model).__name__} has no layer '{name}'. {hint}")
        return Layer(name, modules[name])
    module = getattr(model, "feature_layer", None)
    if not isinstance(module, nn.Module):
        raise ExplainError(
            f"{type(model).__name__} names no feature layer, so there is no place to read a map from. "
            "Set explain.layer to the dotted name of a convolutional layer, or use explain=integrated_gradients or "
            "explain=occlusion, which need none."
        )
    return Layer(next((key for key, found in modules.items() if found is module), "feature_layer"), module)


@contextmanager
def reading(layer: Layer, *, cut: bool = True) -> Iterator[Reading]:
    """Hook that keeps the activation of the layer; removed on leaving, also when something raises.

    The network goes on with a copy, so an in-place successor (VGG's ReLU) cannot overwrite what was kept.

    Args:
        layer: where to read.
        cut: start a new graph at the layer: its gradient is had with a frozen backbone and without gradients of
            anything before it.

    Raises:
        ExplainError: when the layer runs more than once in a pass (its maps would be mixed up), or gives no tensor.
    """
    read = Reading()

    def keep(module: nn.Module, inputs: object, output: object) -> Tensor:
        if read.activation is not None:
            raise ExplainError(
                f"layer '{layer.name}' ({type(layer.module).__name__}) runs more than once in a pass, so its maps "
                "cannot be told apart. Choose a layer that is used once, or give each use a module of its own."
            )
        if not isinstance(output, Tensor):
            raise ExplainError(
                f"layer '{layer.name}' gives {type(output).__name__} instead of a tensor. Choose a convolution, "
                "an activation or a pooling layer."
            )
        read.activation = output.detach().clone().requires_grad_(torch.is_grad_enabled()) if cut else output
        return read.activation.clone()

    handle = layer.module.register_forward_hook(keep)
    try:
        yield read
    finally:
        handle.remove()


def check_is_map(activation_BChw: Tensor, layer: Layer, earlier: str | None) -> None:
    """Refuse a layer that has no places: not (B, C, h, w), or a single cell.

    Args:
        activation_BChw: output of the layer.
        layer: for the message.
        earlier: an earlier layer that does have a map, for the hint.
    """
    hint = f"Choose an earlier layer, such as '{earlier}'." if earlier else "Choose a convolutional layer before it."
    if activation_BChw.ndim != 4:
        raise ExplainError(
            f"layer '{layer.name}' gives a tensor of shape {tuple(activation_BChw.shape)}, not maps (B, C, h, w). "
            f"{hint}"
        )
    if activation_BChw.shape[2] * activation_BChw.shape[3] == 1:
        raise ExplainError(f"layer '{layer.name}' has a single cell (1x1): it cannot say where anything is. {hint}")


def gradient_at(scalar_B: Tensor, activation: Tensor, layer: Layer) -> Tensor:
    """Gradient of the scalars by the activation, image by image; the parameters' `.grad` is not touched.

    Raises:
        ExplainError: if the scalars do not depend on the layer.
    """
    (gradient,) = (
        torch.autograd.grad(scalar_B.sum(), activation, allow_unused=True) if scalar_B.requires_grad else (None,)
    )
    if gradient is None:
        raise ExplainError(f"what is explained does not depend on layer '{layer.name}'. Choose a layer on its way.")
    return gradient
