"""An image without information, for methods that ask what happens when something is taken away.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Replacement = Literal["blur", "mean", "zero"]


def replacement(x_BCHW: Tensor, how: Replacement, *, sigma_px: float) -> Tensor:
    """Images of the same shape that lack the detail of `x_BCHW`.

    Args:
        x_BCHW: images.
        how: "blur" for a Gaussian blur, "mean" for each image's and channel's own mean, "zero" for zero.
            Zero is "no signal" in MRI, but a black hole in a bright microscopy field.
        sigma_px: standard deviation of the blur, in pixels; positive.
    """
    if how == "zero":
        return torch.zeros_like(x_BCHW)
    if how == "mean":
        return x_BCHW.mean(dim=(2, 3), keepdim=True).expand_as(x_BCHW).clone()
    return _blurred(x_BCHW, sigma_px)


def check_replacement(how: str, setting: str) -> None:
    """Raise ValueError if there is no such way of replacing, naming the setting."""
    if how not in get_args(Replacement):
        raise ValueError(f"{setting} must be one of {', '.join(get_args(Replacement))}; got {how!r}.")


def _blurred(x_BCHW: Tensor, sigma_px: float) -> Tensor:
    radius = max(1, math.ceil(3 * sigma_px))
    offsets = torch.arange(-radius, radius + 1, device=x_BCHW.device, dtype=x_BCHW.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma_px).square())
    kernel = kernel / kernel.sum()
    planes = x_BCHW.flatten(0, 1)[:, None]
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), mode="replicate"), kernel[None, None, None, :])
    planes = F.conv2d(F.pad(planes, (0, 0, radius, radius), mode="replicate"), kernel[None, None, :, None])
    return planes.reshape(x_BCHW.shape)
