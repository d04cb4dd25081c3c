"""What scanners and stains do to pictures, as pure functions of a batch and parameters per image.

All take x_BCHW in [0, 1] on any device and one parameter per image (B,), 0 meaning "leave as it is". The result may leave
[0, 1] a little; the caller clips.

References:
    Gudbjartsson, Patz: The Rician distribution of noisy MRI data, Magn Reson Med 34, 1995.
    Van Leemput et al.: Automated model-based bias field correction of MR images, IEEE TMI 18, 1999 (polynomial log field).
    Shaw et al.: MRI k-space motion artefact augmentation, MIDL 2019 (lines of k-space from moved objects).
    Ruifrok, Johnston: Quantification of histochemical staining by color deconvolution, 2001 (optical density).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

FIELD_ORDER = 3
NUM_FIELD_TERMS = (FIELD_ORDER + 1) * (
    FIELD_ORDER + 2
) // 2 - 1  # all monomials of x and y up to the order, but the constant


def bias_field(x_BCHW: Tensor, coefficients_BT: Tensor) -> Tensor:
    """Smooth multiplicative field exp(sum of c_t x^i y^j), x and y from -1 to 1, i + j between 1 and 3."""
    height, width = x_BCHW.shape[-2:]
    y = torch.linspace(-1, 1, height, device=x_BCHW.device).view(-1, 1)
    x = torch.linspace(-1, 1, width, device=x_BCHW.device).view(1, -1)
    terms = [x**i * y**j for i in range(FIELD_ORDER + 1) for j in range(FIELD_ORDER + 1 - i) if i + j]
    log_field = torch.einsum("bt,thw->bhw", coefficients_BT, torch.stack([t.expand(height, width) for t in terms]))
    return x_BCHW * log_field.exp().unsqueeze(1)


def rician_noise(x_BCHW: Tensor, real_BCHW: Tensor, imaginary_BCHW: Tensor, std_B: Tensor) -> Tensor:
    """Magnitude of the image plus complex Gaussian noise; `real` and `imaginary` are standard normal."""
    std = std_B.view(-1, 1, 1, 1)
    noisy = torch.sqrt((x_BCHW + std * real_BCHW).square() + (std * imaginary_BCHW).square())
    return torch.where(std > 0, noisy, x_BCHW)


def gibbs_ringing(x_BCHW: Tensor, alpha_B: Tensor) -> Tensor:
    """Cut off k-space beyond the radius (1 - alpha) * max(H, W) * sqrt(2) / 2, in cells: MONAI's GibbsNoise."""
    from monai.transforms.intensity.array import GibbsNoise  # heavy: MONAI takes seconds to import

    rung = [
        torch.as_tensor(GibbsNoise(alpha)(x_CHW.float())).as_subclass(Tensor) if alpha > 0 else x_CHW
        for x_CHW, alpha in zip(x_BCHW, alpha_B.tolist(), strict=True)
    ]
    return torch.stack(rung)


def ghosting(x_BCHW: Tensor, strength_B: Tensor, num_ghosts_B: Tensor) -> Tensor:
    """Every n-th line of k-space is weaker by `strength`, which repeats the image n times along the rows.

    The middle of k-space, which holds the mean intensity, stays.
    """
    height = x_BCHW.shape[-2]
    line = torch.arange(height, device=x_BCHW.device) - height // 2
    is_hit = (line.view(1, -1) % num_ghosts_B.view(-1, 1) == 0) & (line.abs().view(1, -1) > height // 32)
    factor = 1 - strength_B.view(-1, 1) * is_hit
    changed = _from_k_space(_k_space(x_BCHW) * factor.view(len(x_BCHW), 1, height, 1))
    return torch.where(strength_B.view(-1, 1, 1, 1) > 0, changed, x_BCHW)


def motion(x_BCHW: Tensor, shift_px_B: Tensor, when_B: Tensor) -> Tensor:
    """The head moves by `shift_px` columns when the share `when` of the lines, top of k-space first, has been taken."""
    height, width = x_BCHW.shape[-2:]
    line = torch.arange(height, device=x_BCHW.device).view(1, -1, 1)
    frequency = (torch.arange(width, device=x_BCHW.device) - width // 2).view(1, 1, -1) / width
    has_moved = line >= when_B.view(-1, 1, 1) * height
    phase = -2 * math.pi * frequency * shift_px_B.view(-1, 1, 1) * has_moved
    k_BCHW = _k_space(x_BCHW) * torch.polar(torch.ones_like(phase), phase).unsqueeze(1)
    changed = torch.hypot(_from_k_space(k_BCHW), _from_k_space(-1j * k_BCHW))  # the magnitude, as scanners give it
    return torch.where(shift_px_B.view(-1, 1, 1, 1) != 0, changed, x_BCHW)


def blur(x_BCHW: Tensor, sigma_px_B: Tensor) -> Tensor:
    """Gaussian blur by each image's own sigma, in pixels, edges repeated."""
    radius = max(1, math.ceil(3 * float(sigma_px_B.max())))
    offset = torch.arange(-radius, radius + 1, device=x_BCHW.device, dtype=x_BCHW.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma_px_B.clamp_min(1e-3).view(-1, 1)).square())
    kernel = kernel * (
        offset.abs() <= (3 * sigma_px_B).ceil().clamp_min(1).view(-1, 1)
    )  # not the batch's largest reach
    kernel = kernel / kernel.sum(1, keepdim=True)
    batch, channels, height, width = x_BCHW.shape
    weights = kernel.repeat_interleave(channels, dim=0).unsqueeze(1)
    flat = F.pad(x_BCHW, (radius, radius, radius, radius), mode="replicate").reshape(
        1, batch * channels, height + 2 * radius, -1
    )
    flat = F.conv2d(flat, weights.unsqueeze(2), groups=batch * channels)
    flat = F.conv2d(flat, weights.unsqueeze(3), groups=batch * channels)
    return torch.where(sigma_px_B.view(-1, 1, 1, 1) > 0, flat.view(batch, channels, height, width), x_BCHW)


def stain(x_BCHW: Tensor, gain_BC: Tensor, offset_BC: Tensor) -> Tensor:
    """Stronger or weaker stain: optical density -log(x) times `gain` plus `offset`, for each color channel."""
    density = -x_BCHW.clamp_min(1 / 255).log()
    changed = torch.exp(-(density * gain_BC[:, :, None, None] + offset_BC[:, :, None, None]))
    is_stained_B = (gain_BC != 1).any(dim=1) | (offset_BC != 0).any(dim=1)
    return torch.where(is_stained_B.view(-1, 1, 1, 1), changed, x_BCHW)


def _k_space(x_BCHW: Tensor) -> Tensor:
    """Over rows and columns, its middle in the middle."""
    from monai.transforms.utils import Fourier

    return torch.as_tensor(Fourier.shift_fourier(x_BCHW.float(), 2))


def _from_k_space(k_BCHW: Tensor) -> Tensor:
    """The real part of the image."""
    from monai.transforms.utils import Fourier

    return torch.as_tensor(Fourier.inv_shift_fourier(k_BCHW, 2))
