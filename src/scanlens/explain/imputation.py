"""Regions filled in from the pixels around them, with noise: the removal of ROAD, remove and debias.

Rong et al. 2022, arXiv:2202.00449. Every missing pixel becomes the weighted mean of its eight neighbors, found for all
of them at once; the equations are those of the `grad-cam` library, which are right. Its choice of pixels is not: it takes
what lies strictly above a percentile, which of a map that is mostly zero is either nothing or all. Its noise has no seed.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from scanlens.explain.removal import check_regions
from scanlens.seeds import derived_seed

NOISE = 0.01
"""Standard deviation of the noise for images in [0, 1], as in the paper."""


def imputed(x_BCHW: Tensor, region_BHW: Tensor, *, seed: int) -> Tensor:
    """Images whose regions are filled in from their surroundings by noisy linear imputation.

    Args:
        x_BCHW: images, floating point, in [0, 1].
        region_BHW: True where something is taken out; an image without any stays as it is.
        seed: of the noise.

    Returns:
        Images of the same shape, type and device, clipped to the range of each image.

    Raises:
        ExplainError: if sizes differ, or a region is a whole image: nothing is left to fill it from.
    """
    check_regions(x_BCHW, region_BHW)
    images = x_BCHW.detach().float().cpu()
    filled = [
        _filled(image_CHW, region_HW, derived_seed(seed, b))
        for b, (image_CHW, region_HW) in enumerate(zip(images, region_BHW.bool().cpu(), strict=True))
    ]
    return torch.stack(filled).to(device=x_BCHW.device, dtype=x_BCHW.dtype)


def _filled(image_CHW: Tensor, region_HW: Tensor, seed: int) -> Tensor:
    if not bool(region_HW.any()):
        return image_CHW
    from pytorch_grad_cam.metrics.road import NoisyLinearImputer, neighbors_weights  # heavy
    from scipy.sparse.linalg import spsolve

    kept_HW = (~region_HW).numpy().astype(np.float32)
    matrix, right_NC = NoisyLinearImputer.setup_sparse_system(kept_HW, image_CHW.numpy(), neighbors_weights)
    inside_NC = np.asarray(spsolve(matrix.tocsc(), right_NC)).reshape(right_NC.shape)
    smooth_CHW = image_CHW.clone()
    smooth_CHW[:, region_HW] = torch.from_numpy(inside_NC.T).float()
    noise_CHW = NOISE * torch.randn(image_CHW.shape, generator=torch.Generator().manual_seed(seed))
    inside_CHW = (smooth_CHW + noise_CHW).clamp(image_CHW.min(), image_CHW.max())
    return torch.where(region_HW, inside_CHW, image_CHW)
