"""How alike two maps are: by the order of their cells, and by their local structure.

Legend: h rows, w columns of a map.

References:
    Adebayo et al. 2018, arXiv:1810.03292 (rank correlation and structural similarity of maps before and after weights
    are randomized). Wang et al. 2004, doi:10.1109/TIP.2003.819861 (structural similarity).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

_FLAT_SHARE = 1e-6
_WINDOW = 7


def rank_correlation(a_hw: ArrayLike, b_hw: ArrayLike) -> float | None:
    """Spearman's rank correlation of two maps, -1 to 1, ties sharing their mean rank; None if either is flat.

    Raises:
        ValueError: if they are not two maps of the same size.
    """
    a, b = _both(a_hw, b_hw)
    if _is_flat(a) or _is_flat(b):
        return None
    rank_a, rank_b = (rankdata(one.ravel()) - (one.size + 1) / 2 for one in (a, b))
    return float(np.clip(rank_a @ rank_b / np.sqrt((rank_a @ rank_a) * (rank_b @ rank_b)), -1, 1))


def structural_similarity(a_hw: ArrayLike, b_hw: ArrayLike) -> float | None:
    """Structural similarity of two maps, each divided by its largest absolute value; None if either is flat.

    The window is 7 x 7, or the largest odd one that fits; None also where no window of 3 fits.

    Raises:
        ValueError: if they are not two maps of the same size.
    """
    a, b = _both(a_hw, b_hw)
    window = min(_WINDOW, *(side - 1 + side % 2 for side in a.shape))
    if _is_flat(a) or _is_flat(b) or window < 3:
        return None
    from skimage.metrics import structural_similarity as ssim  # heavy

    scaled = (one / np.abs(one).max() for one in (a, b))
    return float(ssim(*scaled, data_range=2.0, win_size=window))


def _both(a_hw: ArrayLike, b_hw: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(a_hw, dtype=np.float64), np.asarray(b_hw, dtype=np.float64)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"two maps (h, w) of the same size are compared; got {a.shape} and {b.shape}.")
    return a, b


def _is_flat(one: NDArray[np.float64]) -> bool:
    return not np.isfinite(one).all() or float(np.ptp(one)) <= _FLAT_SHARE * float(np.abs(one).max())
