"""An index of thumbnails that answers who may be similar to whom, without comparing all pairs.

Thumbnails of unit length are projected on the principal components of a sample. What the projection leaves out of two of
them can change their correlation by no more than the product of its lengths (Cauchy-Schwarz), so nearly all pairs are settled by
a short dot product, and the few in between by the full correlation: no pair is accepted that all pairs would not accept.

Up to `EXACT_UP_TO` images everyone meets everyone, and nothing is missed. Beyond, images are sorted into cells around the
centers of a k-means (an inverted file), and each one, turned and mirrored in eight ways, meets the images of its nearest cells only.
The cost then grows with N^1.5 rather than N^2. A pair is missed if each of the two lies in none of the other's nearest cells.

Thumbnails are read in blocks and may be mapped from a file; held in memory are a few hundred numbers an image.

References:
    Sivic, Zisserman: Video Google, ICCV 2003; Jegou, Douze, Schmid: Product quantization for nearest neighbor search,
    TPAMI 2011 (inverted files with several probes; we keep plain projections instead of quantized ones, which makes bounds exact).

Legend of axes: N images of the index, H rows, W columns, D pixels, K components, Z cells; R, C images of a look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils.extmath import randomized_svd

from scanlens.data.correlation import SAME, correlations, standardized, transformed

EXACT_UP_TO = 4096
_BLOCK = 2048
_COMPONENTS = 256
_SAMPLE = 4096  # images that components are fitted on
_CELL_COMPONENTS = 64  # first components, in which cells are told apart
_CELLS_PER_ROOT = 2.0  # cells for each square root of the number of images
_PROBES = 8  # nearest cells that are looked into
_PER_CELL = 64  # images a cell that its center is fitted on
_ROUNDING = 1e-5  # more than what float32 dot products lose


@dataclass(frozen=True, slots=True)
class Look:
    """Some images that met some others.

    Args:
        rows_R, columns_C: their places in the index, ascending; those of the rows were transformed.
        most_RC: what their correlation cannot exceed; -1 where an image met itself.
        rest_R, rest_C: length of what their projections leave out.
    """

    rows_R: NDArray[np.int64]
    columns_C: NDArray[np.int64]
    most_RC: NDArray[np.float32]
    rest_R: NDArray[np.float32]
    rest_C: NDArray[np.float32]

    def least_RC(self) -> NDArray[np.float32]:
        """What their correlation cannot fall below."""
        return self.most_RC - 2 * np.outer(self.rest_R, self.rest_C)


class PairIndex:
    """Finds similar pairs among thumbnails.

    Args:
        thumbs_NHW: square thumbnails, in memory or mapped. They must stay as they are.
        seed: of the sample, the components and the centers: the same seed finds the same pairs.
        exact_up_to: number of images up to which all pairs meet.

    Raises:
        ValueError: thumbnails that are not (N, H, H).
    """

    def __init__(self, thumbs_NHW: NDArray[np.float32], *, seed: int = 0, exact_up_to: int = EXACT_UP_TO) -> None:
        if thumbs_NHW.ndim != 3 or thumbs_NHW.shape[1] != thumbs_NHW.shape[2]:
            raise ValueError(f"square thumbnails of shape (N, H, H) are expected, {thumbs_NHW.shape} came.")
        self._thumbs_NHW, self._seed, self._exact_up_to = thumbs_NHW, seed, exact_up_to
        self._number_N = np.arange(len(thumbs_NHW))  # of each image of the index among all thumbnails
        self._basis_KD = _components(thumbs_NHW, seed=seed)
        self._own_NK = self._projected(SAME)
        self._centers_ZK: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self._number_N)

    def among(self, chosen: NDArray[np.int64]) -> PairIndex:
        """The index of some of its images alone, numbered from 0 in the given order."""
        part = object.__new__(PairIndex)
        part._thumbs_NHW, part._seed, part._exact_up_to = self._thumbs_NHW, self._seed, self._exact_up_to
        part._number_N, part._basis_KD, part._own_NK = self._number_N[chosen], self._basis_KD, self._own_NK[chosen]
        part._centers_ZK = None
        return part

    def looks(self, transformation: int = SAME) -> Iterator[Look]:
        """Every pair that is to meet, in blocks.

        Args:
            transformation: what is done to the images of the rows, place in `TRANSFORMATIONS`.
        """
        asking_NK = self._own_NK if transformation == SAME else self._projected(transformation)
        for rows_R, columns_C in self._meetings(asking_NK):
            most_RC = asking_NK[rows_R] @ self._own_NK[columns_C].T
            _, own_row, own_column = np.intersect1d(rows_R, columns_C, assume_unique=True, return_indices=True)
            most_RC[own_row, own_column] = -1
            yield Look(rows_R, columns_C, most_RC, asking_NK[rows_R, -1], self._own_NK[columns_C, -1])

    def exact(
        self, rows_R: NDArray[np.int64], columns_C: NDArray[np.int64], transformation: int = SAME
    ) -> NDArray[np.float32]:
        """Full correlations (R, C) of images of the index, those of the rows transformed."""
        numbers = self._number_N
        return correlations(self._thumbs_NHW, numbers[rows_R], numbers[columns_C], transformation)

    def _projected(self, transformation: int) -> NDArray[np.float32]:
        """Coefficients of the transformed images (N, K), the last the length of what they leave out.

        The dot product of two rows is then the most that two images can correlate by.
        """
        basis_KD = _that_transforms(self._basis_KD, transformation, size=self._thumbs_NHW.shape[1])
        found_NK = np.empty((len(self), len(basis_KD) + 1), np.float32)
        for top in range(0, len(self), _BLOCK):
            part = slice(top, top + _BLOCK)
            units_ND = standardized(np.asarray(self._thumbs_NHW[self._number_N[part]]))
            found_NK[part, :-1] = units_ND @ basis_KD.T
            left_out_N = np.vecdot(units_ND, units_ND) - np.vecdot(found_NK[part, :-1], found_NK[part, :-1])
            found_NK[part, -1] = np.sqrt(np.maximum(left_out_N, 0) + _ROUNDING)
        return found_NK

    def _meetings(self, asking_NK: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        if len(self) <= self._exact_up_to:
            blocks = [np.arange(top, min(top + _BLOCK, len(self))) for top in range(0, len(self), _BLOCK)]
            yield from combinations_with_replacement(blocks, 2)
            return
        if self._centers_ZK is None:
            self._centers_ZK = _centers(self._own_NK[:, :_CELL_COMPONENTS], seed=self._seed)
        num = len(self._centers_ZK)
        members = _by_cell(_nearest_cells(self._own_NK, self._centers_ZK, num=1), num)
        askers = _by_cell(_nearest_cells(asking_NK, self._centers_ZK, num=min(_PROBES, num)), num)
        for rows, columns in zip(askers, members, strict=True):
            for top in range(0, len(rows), _BLOCK):
                for left in range(0, len(columns), _BLOCK):
                    yield rows[top : top + _BLOCK], columns[left : left + _BLOCK]


def _that_transforms(basis_KD: NDArray[np.float32], transformation: int, *, size: int) -> NDArray[np.float32]:
    """Components whose coefficients of an image are those of the transformed image."""
    number_1HW = np.arange(size * size, dtype=np.float32).reshape(1, size, size)
    turned_KD = np.empty_like(basis_KD)
    turned_KD[:, transformed(number_1HW, transformation).reshape(-1).astype(int)] = basis_KD
    return turned_KD


def _centers(coefficients_NK: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    num = int(_CELLS_PER_ROOT * np.sqrt(len(coefficients_NK)))
    sample_NK = coefficients_NK[_sample(len(coefficients_NK), num * _PER_CELL, seed=seed)]
    means = MiniBatchKMeans(num, init="random", n_init=1, max_iter=5, batch_size=4096, random_state=seed)
    return means.fit(sample_NK).cluster_centers_.astype(np.float32)


def _sample(num: int, most: int, *, seed: int) -> NDArray[np.int64]:
    """Numbers of at most so many images, ascending."""
    if num <= most:
        return np.arange(num)
    return np.sort(np.random.default_rng(seed).choice(num, most, replace=False))


def _components(thumbs_NHW: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    """Principal components (K, D) of a sample about zero, each of length one."""
    units_ND = standardized(np.asarray(thumbs_NHW[_sample(len(thumbs_NHW), _SAMPLE, seed=seed)]))
    num = min(_COMPONENTS, *units_ND.shape)
    if num == 0:
        return np.zeros((0, units_ND.shape[1]), np.float32)
    _, _, basis_KD = randomized_svd(units_ND, num, n_iter=2, random_state=seed)
    return basis_KD.astype(np.float32)


def _nearest_cells(
    coefficients_NK: NDArray[np.float32], centers_ZK: NDArray[np.float32], *, num: int
) -> NDArray[np.int64]:
    """Numbers (N, num) of the nearest centers, in no order; only the components that centers have count."""
    half_Z = (centers_ZK**2).sum(axis=1) / 2
    found = np.empty((len(coefficients_NK), num), np.int64)
    for top in range(0, len(found), _BLOCK):
        part = slice(top, top + _BLOCK)
        far_NZ = half_Z - coefficients_NK[part, : centers_ZK.shape[1]] @ centers_ZK.T
        found[part] = np.argpartition(far_NZ, num - 1, axis=1)[:, :num]
    return found


def _by_cell(cells_NP: NDArray[np.int64], num_cells: int) -> list[NDArray[np.int64]]:
    """For each cell the images that name it, ascending."""
    flat = cells_NP.reshape(-1)
    order = np.argsort(flat, kind="stable")
    ends = np.cumsum(np.bincount(flat, minlength=num_cells))
    return np.split(order // cells_NP.shape[1], ends[:-1])
