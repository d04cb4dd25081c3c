"""Numbers of a picture as the network gets it: brightness, contrast, noise, sharpness, saturation, empty ground.

Legend: C channels, H rows, W columns, L looks.

References:
    Immerkaer 1996, doi:10.1006/cviu.1996.0060 (noise by a mask that no edge or ramp answers to);
    Pertuz et al. 2013, doi:10.1016/j.patcog.2012.11.011 (energy of the Laplacian as a measure of focus).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

LOOKS = ("brightness", "contrast", "noise", "sharpness", "saturated_share", "blank_share")
_STEP = 1 / 255  # one gray level of 8 bits
_NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float64)
_LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=np.float64)


def picture_looks(x_CHW: ArrayLike) -> NDArray[np.float64]:
    """One row (L,) in the order of `LOOKS`, of the mean of the channels.

    brightness: mean. contrast: standard deviation. noise: standard deviation of noise, by Immerkaer. sharpness: standard
    deviation of the Laplacian over that of the picture, 0 where there is no contrast; noise raises it. saturated_share and
    blank_share: of pixels at the upper and lower end of the range, padding included.

    Args:
        x_CHW: in [0, 1], at least 3 x 3 pixels.
    """
    gray_HW = np.asarray(x_CHW, dtype=np.float64).mean(axis=0)
    inner = (slice(1, -1), slice(1, -1))
    contrast = float(gray_HW.std())
    edges = ndimage.convolve(gray_HW, _LAPLACE)[inner]
    rough = np.abs(ndimage.convolve(gray_HW, _NOISE_MASK)[inner])
    return np.array(
        [
            gray_HW.mean(),
            contrast,
            math.sqrt(math.pi / 2) / 6 * rough.mean(),
            edges.std() / contrast if contrast > 1e-6 else 0.0,
            (gray_HW >= 1 - _STEP / 2).mean(),
            (gray_HW <= _STEP / 2).mean(),
        ]
    )
