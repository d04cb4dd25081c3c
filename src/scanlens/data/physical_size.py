"""Millimeters of a pixel as the network sees it, where the files say how far their pixels lie apart.

Legend of axes: N images, F facts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.image_facts import FACTS


def pixel_mm(
    facts_NF: NDArray[np.float64], *, size: int, preprocess: dict[str, Any], axis: str = "axial"
) -> NDArray[np.float64]:
    """Side of a prepared pixel in millimeters, mm_N; NaN where it is not known.

    Only the distance of rows is noted of an image, so its pixels are taken as square. It is not known where pictures are
    stretched to the square (preprocess.keeps_aspect=false), nor of volumes cut along another axis than the axial one, whose
    pixels are seldom square.

    Args:
        facts_NF: of the images, in the order of `FACTS`.
        size: rows and columns of the prepared image.
        preprocess: settings of the run.
        axis: along which volumes are cut.
    """
    facts_NF = np.asarray(facts_NF, dtype=np.float64)
    if not preprocess.get("keeps_aspect", True) or axis != "axial":
        return np.full(len(facts_NF), np.nan)
    height, width, spacing_mm = (facts_NF[:, FACTS.index(name)] for name in ("height", "width", "spacing_mm"))
    is_usable_N = np.isfinite(spacing_mm) & (spacing_mm > 0)
    return np.where(is_usable_N, spacing_mm * np.maximum(height, width) / size, np.nan)
