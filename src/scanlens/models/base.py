"""What every network offers to tasks, explanations and reports."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Literal

from torch import Tensor, nn

from scanlens.models.standardize import Standardize

HeadKind = Literal["flatten", "gap", "none"]

_log = logging.getLogger(__name__)


class Network(nn.Module):
    """A network that standardizes its own input and knows which of its layers is worth explaining.

    Attributes:
        standardize: the first step of `forward`; its mean and standard deviation are part of the weights.
        feature_layer_name: dotted name of the layer worth explaining. Its output has axes BCHW and no in-place
            operation follows it, so what a hook stores is what the layer gave.
        head_kind: "flatten" if the linear head keeps positions apart, "gap" if it sees averages over all positions,
            "none" if there is no classifier. Plain Grad-CAM is faithful for "gap" only.
        weights_note: one sentence on where the initial weights came from; empty if drawn at random as intended.
    """

    standardize: Standardize
    feature_layer_name: str
    head_kind: HeadKind
    weights_note: str = ""

    @property
    def feature_layer(self) -> nn.Module:
        """The layer worth explaining."""
        return self.get_submodule(self.feature_layer_name)

    @property
    def first_conv(self) -> nn.Conv2d | None:
        """The convolution nearest to the input, whose kernels can be looked at; None if there is none."""
        return next((module for module in self.modules() if isinstance(module, nn.Conv2d)), None)

    def embed(self, x_BCHW: Tensor) -> Tensor:
        """Features z_BD, one vector an image: what the last linear layer sees."""
        raise NotImplementedError

    def parameter_groups(self, lr: float, block_decay: float = 1.0) -> list[dict[str, Any]]:
        """Groups for a torch optimizer: weight decay acts on kernels and matrices, never on biases and norms.

        Args:
            lr: learning rate of the head.
            block_decay: factor of the rate from one block to the block below it; only networks with blocks
                (VGG-19) use it.

        Returns:
            All parameters, frozen ones too, so that thawing a block later needs no new group.
        """
        if block_decay != 1.0:
            _log.warning("%s has no blocks: block_decay=%g has no effect", type(self).__name__, block_decay)
        return split_by_decay(self.named_parameters(), lr=lr, name="network")

    def rebuild_arguments(self) -> dict[str, Any]:
        """Constructor arguments to set when this network is built again only to receive saved weights.

        They hold what the constructor decided by itself the first time, as plain values, and make it load nothing.
        """
        return {"input_mean": self.standardize.mean_C.tolist(), "input_std": self.standardize.std_C.tolist()}


def split_by_decay(
    named_parameters: Iterable[tuple[str, nn.Parameter]], *, lr: float, name: str
) -> list[dict[str, Any]]:
    """One optimizer group for tensors of two and more axes, one without weight decay for the others; none empty."""
    parameters = [parameter for _, parameter in named_parameters]
    kernels = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    groups: list[dict[str, Any]] = []
    if kernels:
        groups.append({"params": kernels, "lr": lr, "name": name})
    if others:
        groups.append({"params": others, "lr": lr, "weight_decay": 0.0, "name": f"{name}/no_decay"})
    return groups


def activation(kind: Literal["sigmoid", "relu", "tanh"]) -> nn.Module:
    """A fresh, never in-place activation module: explanations need one module per place."""
    return {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}[kind]()


def initialize(module: nn.Module, *, gain_of: Literal["sigmoid", "relu", "tanh"] = "relu") -> None:
    """Draws kernels and matrices anew: He (2015) for ReLU, Glorot (2010) for sigmoid and tanh; biases zero."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            if gain_of == "relu":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
