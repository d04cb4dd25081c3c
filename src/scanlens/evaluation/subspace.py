"""The few directions in which vectors of known images vary, and how far another vector lies from them.

Legend of axes: N images, D numbers of a vector, C components.

References:
    Jackson & Mudholkar 1979, doi:10.1080/00401706.1979.10489779 (residuals of principal components);
    Lee et al. 2018, arXiv:1807.03888 (Mahalanobis distance of features, here without classes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from scanlens.evaluation.checks import Floats

MOST_COMPONENTS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Subspace:
    """Principal components of vectors.

    Args:
        mean_D: of the vectors.
        basis_CD: orthonormal directions, that of the largest variance first.
        spread_C: standard deviation along each, above 0.
    """

    mean_D: NDArray[np.float32]
    basis_CD: NDArray[np.float32]
    spread_C: NDArray[np.float32]

    def __post_init__(self) -> None:
        num, size = self.basis_CD.shape if self.basis_CD.ndim == 2 else (-1, -1)
        if self.mean_D.shape != (size,) or self.spread_C.shape != (num,):
            raise ValueError(
                f"subspace: mean, basis and spread do not fit: {self.mean_D.shape}, {self.basis_CD.shape}, {self.spread_C.shape}"
            )
        if not all(np.isfinite(part).all() for part in (self.mean_D, self.basis_CD, self.spread_C)):
            raise ValueError("subspace: finite numbers are expected")
        if not (self.spread_C > 0).all():
            raise ValueError("subspace: spreads above 0 are expected")

    def coordinates(self, values_ND: Floats) -> Floats:
        """(N, C), each in units of its spread.

        Raises:
            ValueError: if vectors have another length.
        """
        if values_ND.ndim != 2 or values_ND.shape[1] != len(self.mean_D):
            raise ValueError(f"subspace: vectors of {len(self.mean_D)} numbers are expected, got {values_ND.shape}")
        return (values_ND - self.mean_D) @ self.basis_CD.T.astype(np.float64) / self.spread_C

    def distance(self, values_ND: Floats) -> Floats:
        """Mahalanobis distance (N,) within the subspace, in units of the spreads."""
        return np.sqrt(np.square(self.coordinates(values_ND)).mean(axis=1))

    def residual(self, values_ND: Floats) -> Floats:
        """Root mean square (N,) of what the components cannot show, in the unit of the vectors."""
        rebuilt_ND = self.mean_D + (self.coordinates(values_ND) * self.spread_C) @ self.basis_CD.astype(np.float64)
        return np.sqrt(np.square(values_ND - rebuilt_ND).mean(axis=1))


def fit_subspace(values_ND: Floats, *, seed: int, most_components: int = MOST_COMPONENTS) -> Subspace | None:
    """Up to `most_components` components that vary at all; None if none does.

    Args:
        values_ND: finite, at least one row.
        seed: of the randomized decomposition.
        most_components: 1 or more.
    """
    num = min(most_components, len(values_ND) - 1, values_ND.shape[1])
    if num < 1 or bool((values_ND == values_ND[:1]).all()):
        return None
    model = PCA(num, svd_solver="randomized", random_state=seed % 2**32).fit(np.asarray(values_ND, np.float64))
    spread_C = np.sqrt(model.explained_variance_)
    is_varying_C = spread_C > 1e-6 * max(1.0, float(np.abs(values_ND).max()))
    if not is_varying_C.any():
        return None
    parts = (model.mean_, model.components_[is_varying_C], spread_C[is_varying_C])
    return Subspace(*(part.astype(np.float32) for part in parts))
