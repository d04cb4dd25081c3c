"""What a network is made of, layer by layer: shapes, parameters, multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer in the order of the forward pass.

    Args:
        name: dotted name in the network.
        kind: class of the layer, such as Conv2d.
        output_shape: without the batch axis: (C, H, W) or (D,).
        num_parameters: learned numbers, frozen ones too; a layer used twice counts the first time only.
        num_multiply_adds: of convolutions and linear layers, for one image; 0 for all others.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    num_parameters: int
    num_multiply_adds: int


def describe(model: nn.Module, input_size: int, in_channels: int) -> list[LayerRow]:
    """The layers that one square image passes, in that order; the network is left as it was.

    Args:
        model: any network that takes x_BCHW.
        input_size: rows and columns, in pixels.
        in_channels: channels of the image.
    """
    names = {module: name for name, module in model.named_modules() if not any(True for _ in module.children())}
    rows: list[LayerRow] = []
    seen: set[nn.Module] = set()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        count = 0 if module in seen else sum(p.numel() for p in module.parameters())
        seen.add(module)
        shape = tuple(output.shape[1:])
        work = _multiply_adds(module, inputs[0], output)
        rows.append(LayerRow(names[module], type(module).__name__, shape, count, work))

    first = next(iter(model.parameters()), torch.empty(0))
    modes = {module: module.training for module in model.modules()}
    hooks = [module.register_forward_hook(note) for module in names]
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(1, in_channels, input_size, input_size, device=first.device, dtype=first.dtype))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    return rows


def _multiply_adds(module: nn.Module, x: Tensor, output: Tensor) -> int:
    if isinstance(module, nn.Conv2d):
        return output[0].numel() * module.weight[0].numel()
    if isinstance(module, nn.ConvTranspose2d):
        return x[0].numel() * module.weight[0].numel()
    if isinstance(module, nn.Linear):
        return output[0].numel() * module.in_features
    return 0
