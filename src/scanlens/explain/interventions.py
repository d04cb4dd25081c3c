"""What is given from one image to another, so that one can see whether a network cares: a region, or a look of the whole.

A region is pasted as it is. Looks of the whole image are those that no map can show: brightness, noise, sharpness.
Everything else of the image stays.

Legend: B images, C channels, H rows, W columns, F bins of spatial frequency.

References:
    Immerkaer, Fast noise variance estimation, CVIU 64:300-302, 1996 (noise from the difference of two Laplacians).
    Adebayo et al., Post hoc explanations may be ineffective for detecting unknown spurious correlation, ICLR 2022,
    arXiv:2212.04629 (no map shows a shortcut that has no place).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from scanlens.errors import ExplainError
from scanlens.explain.replacement import replacement

_FINE_SIGMA_PX = 1.0
_MOST_GAIN = 8.0
_FINEST_KEPT = 1 / 8  # cycles per pixel: larger structures keep their strength
_ZERO = 1e-6


def swapped(x_BCHW: Tensor, donor_BCHW: Tensor, region_BHW: Tensor) -> Tensor:
    """Images with the region of another image pasted in at the same place.

    Args:
        x_BCHW: who receives.
        donor_BCHW: who gives.
        region_BHW: True where something is pasted.

    Raises:
        ExplainError: if sizes differ.
    """
    if x_BCHW.shape != donor_BCHW.shape or region_BHW.shape != (len(x_BCHW), *x_BCHW.shape[2:]):
        raise ExplainError(
            f"a swap needs images of one size and a region (H, W) for each; got images {tuple(x_BCHW.shape)} and "
            f"{tuple(donor_BCHW.shape)}, and regions {tuple(region_BHW.shape)}."
        )
    return torch.where(region_BHW[:, None], donor_BCHW, x_BCHW)


@dataclass(frozen=True, slots=True)
class Look:
    """Something of the whole image that one image can be given of another.

    Args:
        title: for a reader.
        about: what is given.
        give: images (B, C, H, W) with the look of the second ones; the seed is that of noise, where some is added.
    """

    title: str
    about: str
    give: Callable[[Tensor, Tensor, int], Tensor]


def brightened(x_BCHW: Tensor, donor_BCHW: Tensor, seed: int = 0) -> Tensor:
    """The mean of each channel becomes that of the donor, by an offset; in [0, 1]."""
    return (x_BCHW + _mean(donor_BCHW) - _mean(x_BCHW)).clamp(0, 1)


def amplified(x_BCHW: Tensor, donor_BCHW: Tensor, seed: int = 0) -> Tensor:
    """The standard deviation of each channel becomes that of the donor, by a factor on all values; in [0, 1]."""
    factor = _spread(donor_BCHW) / _spread(x_BCHW).clamp_min(_ZERO)
    return torch.where(_spread(x_BCHW) > _ZERO, x_BCHW * factor, x_BCHW).clamp(0, 1)


def as_noisy(x_BCHW: Tensor, donor_BCHW: Tensor, seed: int = 0) -> Tensor:
    """As noisy as the donor: white noise is added, or the finest detail (below a Gaussian of 1 px) weakened; in [0, 1]."""
    own, wanted = noise_level(x_BCHW), noise_level(donor_BCHW)
    generator = torch.Generator().manual_seed(seed)
    white = torch.randn(x_BCHW.shape, generator=generator).to(x_BCHW)
    noisier = x_BCHW + (wanted.square() - own.square()).clamp_min(0).sqrt() * white
    smooth = replacement(x_BCHW, "blur", sigma_px=_FINE_SIGMA_PX)
    calmer = smooth + (wanted / own.clamp_min(_ZERO)).clamp_max(1) * (x_BCHW - smooth)
    return torch.where(wanted > own, noisier, calmer).clamp(0, 1)


def as_sharp(x_BCHW: Tensor, donor_BCHW: Tensor, seed: int = 0) -> Tensor:
    """Structures below 8 px become as strong, frequency by frequency, as those of the donor (mean spectrum); in [0, 1].

    Phases, and so the places of structures, stay.
    """
    height, width = x_BCHW.shape[2:]
    frequency_HW = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]).to(x_BCHW.device)
    bin_HW = (frequency_HW * max(height, width)).round().long()
    spectrum = torch.fft.rfft2(x_BCHW.float())
    own, wanted = (_power(torch.fft.rfft2(_faded(one)), bin_HW) for one in (x_BCHW, donor_BCHW))
    gain_BCF = (wanted / own.clamp_min(_ZERO**2)).sqrt().clamp(1 / _MOST_GAIN, _MOST_GAIN)
    gain = torch.where(frequency_HW >= _FINEST_KEPT, gain_BCF[:, :, bin_HW], 1.0)
    return torch.fft.irfft2(spectrum * gain, s=(height, width)).to(x_BCHW.dtype).clamp(0, 1)


def with_histogram(x_BCHW: Tensor, donor_BCHW: Tensor, seed: int = 0) -> Tensor:
    """The histogram of each channel becomes that of the donor (equal values stay equal)."""
    from skimage.exposure import match_histograms  # heavy

    pairs = zip(x_BCHW.cpu().numpy(), donor_BCHW.cpu().numpy(), strict=True)
    matched = np.stack([match_histograms(image, other, channel_axis=0) for image, other in pairs])
    return torch.from_numpy(matched).to(x_BCHW)


def noise_level(x_BCHW: Tensor) -> Tensor:
    """Standard deviation of white noise (B, C, 1, 1), estimated (Immerkaer 1996); edges count as some."""
    kernel = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]], dtype=x_BCHW.dtype).to(x_BCHW.device)
    if min(x_BCHW.shape[2:]) < 3:
        return torch.zeros_like(_mean(x_BCHW))
    found = F.conv2d(x_BCHW.flatten(0, 1)[:, None], kernel[None, None]).abs().mean(dim=(1, 2, 3))
    return (math.sqrt(math.pi / 2) / 6 * found).view(*x_BCHW.shape[:2], 1, 1)


LOOKS: dict[str, Look] = {
    "offset": Look("brightness (offset)", "the mean of another image, by adding a constant", brightened),
    "gain": Look("brightness (gain)", "the spread of another image, by multiplying with a constant", amplified),
    "histogram": Look("histogram", "the histogram of another image", with_histogram),
    "noise": Look("noise level", "as much noise as another image has", as_noisy),
    "sharpness": Look("sharpness", "fine structure (below 8 px) as strong as that of another image", as_sharp),
}
"""By name, in the order of a report."""


def _mean(x_BCHW: Tensor) -> Tensor:
    return x_BCHW.mean(dim=(2, 3), keepdim=True)


def _spread(x_BCHW: Tensor) -> Tensor:
    return x_BCHW.std(dim=(2, 3), keepdim=True, unbiased=False)


def _faded(x_BCHW: Tensor) -> Tensor:
    """Towards its mean at the borders (Hann window), so that opposite borders that differ do not pass for fine structure."""
    rows, columns = (torch.hann_window(side, periodic=False, device=x_BCHW.device) for side in x_BCHW.shape[2:])
    return (x_BCHW.float() - _mean(x_BCHW).float()) * rows[:, None] * columns


def _power(spectrum: Tensor, bin_HW: Tensor) -> Tensor:
    """Mean power of each ring of frequencies, (B, C, F)."""
    num = torch.bincount(bin_HW.flatten()).clamp_min(1)
    total = torch.zeros(*spectrum.shape[:2], len(num), device=spectrum.device)
    total.index_add_(2, bin_HW.flatten(), spectrum.abs().square().flatten(2))
    return total / num
