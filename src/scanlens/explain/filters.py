"""What a network looks for: its first filters, and the feature maps of one image, as plain numbers.

Legend: N filters or feature maps, C channels, H rows, W columns.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain.layers import find_layer, reading
from scanlens.explain.scope import untouched


def first_filters(model: nn.Module) -> NDArray[np.float32]:
    """Weights (N, C, kh, kw) of the first convolution of the network, a copy.

    C is the number of channels that one filter sees (fewer than the image has, in a grouped convolution).

    Raises:
        ExplainError: if the network has no two-dimensional convolution.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.weight.detach().float().cpu().numpy().copy()
    raise ExplainError(f"{type(model).__name__} has no convolution, so there are no filters to show.")


def feature_maps(model: nn.Module, x_1CHW: Tensor, layer: str | None = None) -> NDArray[np.float32]:
    """Activations (N, h, w) of one layer for one image, signed and unscaled.

    Args:
        model: the network; left as it was.
        x_1CHW: exactly one image.
        layer: dotted name of the layer; None for the network's own `feature_layer`.

    Raises:
        ExplainError: if there is no such layer, it gives no maps, or there is not exactly one image.
    """
    found = find_layer(model, layer)
    if x_1CHW.ndim != 4 or len(x_1CHW) != 1:
        raise ExplainError(f"feature maps are shown for one image (1, C, H, W); got {tuple(x_1CHW.shape)}.")
    with untouched(model, x_1CHW) as clean_1CHW, torch.no_grad(), reading(found) as read:
        model(clean_1CHW)
        activation = read.taken(found)
    if activation.ndim != 4:
        raise ExplainError(f"layer '{found.name}' gives a tensor of shape {tuple(activation.shape)}, not feature maps.")
    return activation[0].float().cpu().numpy().copy()
