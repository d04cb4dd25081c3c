"""Standardized thumbnails of some images, read a chunk at a time, so that memory does not grow with their number.

Legend of axes: N images of the cache, M chosen ones, H rows, W columns, D pixels of a thumbnail.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanlens.data.correlation import standardized


def block_means(thumbs_NHW: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Smaller thumbnails (N, side, side), each pixel the mean of an area; `side` divides H and W."""
    num, height, width = thumbs_NHW.shape
    return thumbs_NHW.reshape(num, side, height // side, side, width // side).mean(axis=(2, 4))


class ThumbnailRows:
    """What `standardized` would give of chosen thumbnails, (M, D); rows are made when they are sliced.

    Args:
        thumbs_NHW: of all images, such as the memory-mapped ones of the cache.
        indices: the M chosen ones.
    """

    def __init__(self, thumbs_NHW: NDArray[np.float32], indices: Sequence[int]) -> None:
        self._thumbs_NHW = thumbs_NHW
        self._indices = np.asarray(indices, dtype=np.int64)
        self.shape = (len(self._indices), int(np.prod(thumbs_NHW.shape[1:])))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        return standardized(np.asarray(self._thumbs_NHW[self._indices[rows]]))
