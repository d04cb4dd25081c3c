"""A region taken out of an image so that what is left still looks like an image: nothing is cut to black.

Filling with zeros is off the distribution that a network was trained on; its answer then says more about holes than
about evidence (Hooker et al. 2019, arXiv:1806.10758; Rong et al. 2022, arXiv:2202.00449).

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor

from scanlens.errors import ExplainError
from scanlens.seeds import derived_seed

Removal = Literal["blur_noise", "inpaint"]
_LEAST_SIGMA_PX = 1.0
_FINE_SIGMA_PX = 1.0
_LEAST_WEIGHT = 1e-4


def removed(x_BCHW: Tensor, region_BHW: Tensor, *, how: Removal = "blur_noise", seed: int) -> Tensor:
    """Images whose regions are replaced by what lies around them.

    "blur_noise": inside, a Gaussian blur of the pixels outside of the region only (normalized convolution, Knutsson &
    Westin 1993, doi:10.1109/CVPR.1993.341081), as wide as the region is thick, plus white noise as strong as the fine detail
    around it. "inpaint": biharmonic inpainting (scikit-image), smooth, slower.

    Args:
        x_BCHW: images, floating point, in [0, 1].
        region_BHW: True where something is taken out; an image without any stays as it is.
        how: see above.
        seed: of the noise; image b of a batch gets the same noise wherever it stands only if the seed says so.

    Returns:
        Images of the same shape, type and device, clipped to the range of each image.

    Raises:
        ExplainError: if sizes differ, `how` is not known, or a region is a whole image: nothing is left to fill it from.
    """
    if how not in get_args(Removal):
        raise ExplainError(f"a region is removed by one of {', '.join(get_args(Removal))}; got {how!r}.")
    check_regions(x_BCHW, region_BHW)
    images = x_BCHW.detach().cpu().double().numpy()
    regions = region_BHW.detach().cpu().numpy().astype(bool)
    filled = [
        _filled(image_CHW, region_HW, how, derived_seed(seed, b))
        for b, (image_CHW, region_HW) in enumerate(zip(images, regions, strict=True))
    ]
    return torch.from_numpy(np.stack(filled)).to(device=x_BCHW.device, dtype=x_BCHW.dtype)


def check_regions(x_BCHW: Tensor, region_BHW: Tensor) -> None:
    """Raise ExplainError if sizes differ, or a region is a whole image: nothing is left to fill it from."""
    if x_BCHW.ndim != 4 or region_BHW.shape != (len(x_BCHW), *x_BCHW.shape[2:]):
        raise ExplainError(
            f"one region (H, W) for each image (B, C, H, W) is needed; got {tuple(region_BHW.shape)} for images "
            f"{tuple(x_BCHW.shape)}."
        )
    if bool(region_BHW.bool().flatten(1).all(dim=1).any()):
        raise ExplainError("a region covers its whole image, so nothing is left to fill it from. Remove less.")


def _filled(
    image_CHW: NDArray[np.float64], region_HW: NDArray[np.bool_], how: Removal, seed: int
) -> NDArray[np.float64]:
    if not region_HW.any():
        return image_CHW
    if how == "inpaint":
        from skimage.restoration import inpaint_biharmonic  # heavy

        inside_CHW = np.stack([inpaint_biharmonic(plane_HW, region_HW) for plane_HW in image_CHW])
    else:
        smooth_CHW = np.where(region_HW, _blurred_from_outside(image_CHW, region_HW), image_CHW)
        inside_CHW = smooth_CHW + _noise(smooth_CHW, region_HW, seed)
    low, high = image_CHW.min(), image_CHW.max()
    return np.where(region_HW, np.clip(inside_CHW, low, high), image_CHW)


def _blurred_from_outside(image_CHW: NDArray[np.float64], region_HW: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Blur of the outside alone; so wide that it reaches the middle of the region, nearest pixel where it does not."""
    depth_HW, (row_HW, column_HW) = distance_transform_edt(region_HW, return_indices=True)
    sigma = max(_LEAST_SIGMA_PX, float(depth_HW.max()) / 2)
    outside_HW = (~region_HW).astype(np.float64)
    weight_HW = gaussian_filter(outside_HW, sigma, mode="nearest")
    blurred = [gaussian_filter(plane * outside_HW, sigma, mode="nearest") for plane in image_CHW]
    nearest_CHW = image_CHW[:, row_HW, column_HW]
    return np.where(weight_HW > _LEAST_WEIGHT, np.stack(blurred) / np.maximum(weight_HW, _LEAST_WEIGHT), nearest_CHW)


def _noise(smooth_CHW: NDArray[np.float64], region_HW: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """White noise; its deviation is that of the fine detail in a ring around the region, equally large in area."""
    distance_HW = distance_transform_edt(~region_HW)
    outside = np.sort(distance_HW[~region_HW])
    reach = outside[min(len(outside), int(region_HW.sum())) - 1]
    ring_HW = ~region_HW & (distance_HW <= reach)
    rng = np.random.default_rng(seed)
    planes = []
    for plane_HW in smooth_CHW:
        fine_HW = plane_HW - gaussian_filter(plane_HW, _FINE_SIGMA_PX, mode="nearest")
        spread = 1.4826 * np.median(np.abs(fine_HW[ring_HW] - np.median(fine_HW[ring_HW])))
        planes.append(rng.normal(0.0, spread, plane_HW.shape))
    return np.stack(planes)
