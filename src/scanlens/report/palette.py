"""Colors of the report: a diverging pair of ramps for evidence, and a short list for lines and bars.

The ramps are built in OKLab, where equal steps look equal: warm and cool have the same lightness at the same
strength, so neither side of a map looks stronger than the other, also in grayscale print, where the sign is then
carried by the peak mark and the words.

References:
    Ottosson, "A perceptual color space for image processing", 2020 (OKLab). Okabe and Ito, "Color universal design", 2008.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WARM_HUE, COOL_HUE = 52.0, 254.0  # degrees; orange and blue stay apart for all common color vision deficiencies
LIGHT_WEAK, LIGHT_STRONG = 0.82, 0.66
CHROMA_WEAK, CHROMA_STRONG = 0.08, 0.155
MAX_ALPHA = 0.80

SERIES = ("#0072b2", "#d55e00", "#009e73", "#b5578f", "#7a6c00", "#3d87c4", "#8a5a44", "#6b6b6b")
DASHES = ("-", "--", "-.", ":")


def evidence_rgb(strength: NDArray[np.floating]) -> NDArray[np.float32]:
    """Color of signed evidence.

    Args:
        strength: any shape (...), in [-1, 1]; beyond is clipped. Positive is warm (for the class), negative cool (against).

    Returns:
        (..., 3) float32 in [0, 1], sRGB.
    """
    t = np.clip(np.asarray(strength, dtype=np.float64), -1.0, 1.0)
    size = np.abs(t)
    lightness = LIGHT_WEAK + (LIGHT_STRONG - LIGHT_WEAK) * size
    chroma = CHROMA_WEAK + (CHROMA_STRONG - CHROMA_WEAK) * size
    hue = np.deg2rad(np.where(t >= 0, WARM_HUE, COOL_HUE))
    return oklab_to_srgb(np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1))


def evidence_alpha(strength: NDArray[np.floating]) -> NDArray[np.float32]:
    """Opacity (...) in [0, MAX_ALPHA], in proportion to |strength|: what is weak against the cohort stays invisible."""
    size = np.clip(np.abs(np.asarray(strength, dtype=np.float64)), 0.0, 1.0)
    return (MAX_ALPHA * size).astype(np.float32)


def oklab_to_srgb(lab: NDArray[np.floating]) -> NDArray[np.float32]:
    """(..., 3) OKLab to (..., 3) sRGB in [0, 1]; colors outside sRGB are clipped."""
    to_cones = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(((lab @ to_cones.T) ** 3) @ to_linear.T, 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(srgb, 0.0, 1.0).astype(np.float32)
