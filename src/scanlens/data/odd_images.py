"""Images that are unlike what the rest of their set shows: empty ones, frames around the picture, text, strangers.

Legend of axes: N images, F facts, D pixels of a small thumbnail, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold

from scanlens.data.burnt_in_text import MIN_MARKS
from scanlens.data.correlation import standardized
from scanlens.data.image_facts import FACTS

Kind = Literal["empty", "nearly empty", "frame", "text", "unlike the others"]
UNLIKE = 5.0  # robust standard deviations: none of many thousands if errors were normal
_ALMOST_NOTHING = 0.004  # spread of a picture that holds nothing: one step of 8 bits
_STEADY = 0.1  # spread of a frame of one value, JPEG noise included
_OTHER_LEVEL = 0.25  # between a frame and the border that is usual in the set
_SMALL = 24
_CHUNK = 1024
_MOST_COMPONENTS = 40
_NUM_FOLDS = 5
_MIN_IMAGES = 40


@dataclass(frozen=True, slots=True)
class OddImage:
    """One image and why it is told of.

    Args:
        index: its row.
        kind: what is odd.
        score: empty: 0; nearly empty: spread of its values (range 1); frame: mean of the outermost pixels (0..1); text: letter-like
            marks; unlike the others: robust standard deviations.
    """

    index: int
    kind: Kind
    score: float


def odd_images(
    facts_NF: NDArray[np.float64], thumbs_NHW: NDArray[np.float32], group_N: NDArray[np.int64]
) -> list[OddImage]:
    """All odd images, kind by kind in the order of `Kind`, the oddest first; an image may be odd in several ways.

    Empty is one value everywhere; nearly empty, a spread below one step of 8 bits. A frame is nearly one value all along the
    edge, a quarter of the range away from what is usual in this set, and is not told of where most images have it. Text is
    three letter-like marks in a line. Unlike the others is more than 5 in `strangeness`, which needs 40 images.

    Args:
        facts_NF: as `image_facts` makes them.
        thumbs_NHW: gray thumbnails of 48 x 48, or `small` ones.
        group_N: equal numbers for images that belong together.
    """
    column = dict(zip(FACTS, np.asarray(facts_NF).T, strict=True))
    is_empty_N = column["low"] == column["high"]
    is_nearly_N = ~is_empty_N & (column["spread"] < _ALMOST_NOTHING)
    strange_N = strangeness(thumbs_NHW, group_N)
    away_N = np.abs(column["edge_mean"] - np.median(column["edge_mean"]))
    is_framed_N = ~is_empty_N & ~is_nearly_N & (column["edge_spread"] < _STEADY) & (away_N > _OTHER_LEVEL)
    return [
        *_listed("empty", is_empty_N, column["spread"]),
        *_listed("nearly empty", is_nearly_N, column["spread"], rank_N=-column["spread"]),
        *_listed("frame", is_framed_N, column["edge_mean"], rank_N=away_N),
        *_listed("text", column["text_score"] >= MIN_MARKS, column["text_score"]),
        *_listed("unlike the others", strange_N > UNLIKE, strange_N),
    ]


def small(thumbs_NHW: NDArray[np.float32], indices_M: NDArray[np.int64]) -> NDArray[np.float32]:
    """Chosen thumbnails at 24 x 24, (M, 24, 24), read a chunk at a time."""
    made = [_reduced(np.asarray(thumbs_NHW[indices_M[at : at + _CHUNK]])) for at in range(0, len(indices_M), _CHUNK)]
    return np.concatenate(made) if made else np.zeros((0, _SMALL, _SMALL), np.float32)


def _reduced(thumbs_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
    num, factor = len(thumbs_NHW), thumbs_NHW.shape[1] // _SMALL
    return thumbs_NHW.reshape(num, _SMALL, factor, _SMALL, factor).mean(axis=(2, 4))


def strangeness(thumbs_NHW: NDArray[np.float32], group_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much worse than usual an image is put together from what other images show, in robust standard deviations (N,).

    The share of a picture's variance (24 x 24, brightness and contrast taken out) that principal components of the
    images of other groups leave over; its log odds are compared with their median by the median absolute deviation.
    0 for all where there are fewer than 40 images or 5 groups, and for images without any contrast.

    Args:
        thumbs_NHW: gray thumbnails of 48 x 48, or `small` ones.
        group_N: equal numbers for images that belong together, which are left out together.
    """
    units_ND = standardized(_reduced(np.asarray(thumbs_NHW)))
    seen = np.flatnonzero(units_ND.any(axis=1))
    strange_N = np.zeros(len(units_ND))
    if len(seen) < _MIN_IMAGES or len(np.unique(group_N[seen])) < _NUM_FOLDS:
        return strange_N
    left_N = np.clip(_left_over(units_ND[seen], group_N[seen]), 1e-9, 1 - 1e-6)
    odds_N = np.log(left_N / (1 - left_N))
    away_N = odds_N - np.median(odds_N)
    spread = 1.4826 * float(np.median(np.abs(away_N)))
    strange_N[seen] = away_N / max(spread, 1e-9)
    return strange_N


def _left_over(units_ND: NDArray[np.float32], group_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Squared length of what is left of each row, whose own squared length is one."""
    left_N = np.zeros(len(units_ND))
    for fitted, judged in GroupKFold(_NUM_FOLDS).split(units_ND, groups=group_N):
        num_components = min(_MOST_COMPONENTS, len(fitted) // 4)
        pca = PCA(num_components, svd_solver="covariance_eigh").fit(units_ND[fitted])
        rest_ND = units_ND[judged] - pca.inverse_transform(pca.transform(units_ND[judged]))
        left_N[judged] = np.square(rest_ND, dtype=np.float64).sum(axis=1)
    return left_N


def _listed(
    kind: Kind, is_odd_N: NDArray[np.bool_], score_N: NDArray[np.float64], *, rank_N: NDArray[np.float64] | None = None
) -> list[OddImage]:
    odd = np.flatnonzero(is_odd_N)
    order = np.argsort(-(score_N if rank_N is None else rank_N)[odd], kind="stable")
    return [OddImage(int(i), kind, float(score_N[i])) for i in odd[order]]
