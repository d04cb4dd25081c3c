"""The first step of every network: from intensities in [0, 1] to mean zero and standard deviation one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scanlens.errors import ModelError

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of RGB in [0, 1]; torchvision, VGG19_Weights.transforms()
IMAGENET_STD = (0.229, 0.224, 0.225)
SMALLEST_STD = 1e-4  # an eighth of a gray level of 8 bits: below it a channel is constant


class Standardize(nn.Module):
    """(x - mean) / std by channel, with both as buffers, so that saved weights are complete.

    Args:
        num_channels: channels of the input.
        mean: one number per channel, of intensities in [0, 1]; one number serves all channels; None means 0.
        std: likewise; None means 1. A channel with std below 1e-4 is constant and is only shifted.

    Raises:
        ModelError: if a list has another length, or a value is not finite or a std is negative.
    """

    mean_C: Tensor
    std_C: Tensor

    def __init__(
        self, num_channels: int, *, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        means = _per_channel("input_mean", mean, num_channels, default=0.0)
        stds = _per_channel("input_std", std, num_channels, default=1.0)
        if min(stds) < 0:
            raise ModelError(f"input_std must not be negative, got {stds}. Compute it from the training split again.")
        self.register_buffer("mean_C", torch.tensor(means))
        self.register_buffer("std_C", torch.tensor([s if s >= SMALLEST_STD else 1.0 for s in stds]))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if x_BCHW.ndim != 4 or x_BCHW.shape[1] != self.mean_C.numel():
            raise ModelError(
                f"The network takes images with axes (batch, {self.mean_C.numel()} channels, rows, columns), got shape "
                f"{tuple(x_BCHW.shape)}. Give it images prepared with the run's own preprocess settings."
            )
        return (x_BCHW - self.mean_C[:, None, None]) / self.std_C[:, None, None]

    def extra_repr(self) -> str:
        return f"mean={[round(m, 4) for m in self.mean_C.tolist()]}, std={[round(s, 4) for s in self.std_C.tolist()]}"


def _per_channel(name: str, values: Sequence[float] | None, num_channels: int, *, default: float) -> list[float]:
    if values is None:
        return [default] * num_channels
    numbers = [float(v) for v in values]
    if len(numbers) == 1:
        numbers *= num_channels
    if len(numbers) != num_channels or not all(math.isfinite(v) for v in numbers):
        raise ModelError(
            f"{name} must hold {num_channels} finite numbers, one per channel, got {list(values)}. "
            f"Compute it from the training split, or leave it out."
        )
    return numbers
