"""Patients that nobody named: chains of neighboring slices that look like one head each.

Each image is linked to those it is most like, and links below a threshold are cut; what still hangs together is taken for
one patient (single linkage). The threshold is not given but read off the images: where slices come in series, links
within a head and links between heads are of two kinds, and over a wide range of thresholds the number of groups hardly
changes. Where there is no such plateau, or too few images lie in chains, nothing is claimed.

References:
    Gower, Ross: Minimum spanning trees and single linkage cluster analysis, Applied Statistics 18 (1969).

Legend of axes: N images, H rows, W columns, E links of the tree by falling likeness, L numbers of links
used, K partners of an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from scanlens.data.similar_pairs import EXACT_UP_TO, PairIndex

_PARTNERS = 8  # images that each one is linked to
_HIGHEST, _LOWEST = 0.995, 0.85  # thresholds that are tried: above are copies, below other heads
_CHAIN = 3  # images that make a chain
_LEAST_IN_CHAINS = 0.5  # share of the images, for a set of series
_LARGEST_SHARE = 0.34  # of one patient
_STEADY = 0.02  # share by which the number of groups may change within a plateau
_LEAST_WIDTH = 1.5  # of a plateau: unlikeness (1 - correlation) at its lower end over that at its upper end


@dataclass(frozen=True, slots=True)
class HiddenPatients:
    """Groups of images that look like one patient each.

    Args:
        group_N: group of each image, numbered from 0 in order of first appearance; every image its own where nothing
            was found.
        threshold: correlation that neighbors exceed; None where nothing was found.
        note: what was found, and how far to trust it.
    """

    group_N: NDArray[np.int64]
    threshold: float | None
    note: str


def hidden_patients(
    thumbs_NHW: NDArray[np.float32],
    *,
    labels: Sequence[str | None] | None = None,
    exact_up_to: int = EXACT_UP_TO,
    seed: int = 0,
) -> HiddenPatients:
    """Chains of neighboring slices, at a threshold that the images themselves suggest.

    Args:
        thumbs_NHW: square thumbnails, in memory or mapped.
        labels: something that all images of a patient share, such as the grade of a disease; images of two labels are
            never linked. None, for all or for one image, where nothing is known.
        exact_up_to, seed: of the index of pairs (`similar_pairs.PairIndex`).

    Raises:
        ValueError: thumbnails that are not (N, H, H), or labels of another number.
    """
    num = len(thumbs_NHW)
    if labels is not None and len(labels) != num:
        raise ValueError(f"a label for each of {num} images is expected, {len(labels)} came.")
    unlikeness_E, pairs_2E = _tree(PairIndex(thumbs_NHW, seed=seed, exact_up_to=exact_up_to), labels)
    for cut in _plateaus(unlikeness_E, num):
        group_N = _components_of(pairs_2E[:, unlikeness_E < cut], num)
        sizes = np.bincount(group_N)
        in_chains = sizes[sizes >= _CHAIN].sum()
        if in_chains >= _LEAST_IN_CHAINS * num and 0 < sizes.max(initial=0) <= _LARGEST_SHARE * num:
            return HiddenPatients(group_N, 1 - cut, _found(sizes, in_chains, 1 - cut))
    return HiddenPatients(
        np.arange(num),
        None,
        "No chains of neighboring slices were found: only near-duplicates count as of one patient.",
    )


def _found(sizes: NDArray[np.int64], in_chains: int, threshold: float) -> str:
    chains = sizes[sizes >= _CHAIN]
    return (
        f"{in_chains} of {sizes.sum()} images lie in {len(chains)} chains of neighboring slices (correlation above "
        f"{threshold:.3f}; {chains.min()} to {chains.max()} images, {int(np.median(chains))} in the middle). Each is probably "
        "one patient. This was guessed from the pictures: two series of one patient may count as two."
    )


def _plateaus(unlikeness_E: NDArray[np.float64], num: int) -> Iterator[float]:
    """Middles of ranges of unlikeness over which the number of groups is steady, widest first, none within another."""
    used_L = np.arange(len(unlikeness_E) + 1)
    last_L = np.minimum(used_L + (_STEADY * (num - used_L)).astype(int), len(unlikeness_E))
    steps_L = np.clip(np.concatenate([[0], unlikeness_E, [1]]), 1 - _HIGHEST, 1 - _LOWEST)
    low_L, high_L = steps_L[used_L], steps_L[last_L + 1]
    is_open_L = high_L >= _LEAST_WIDTH * low_L
    while is_open_L.any():
        widest = np.argmax(np.where(is_open_L, high_L / low_L, 0))
        yield float(np.sqrt(low_L[widest] * high_L[widest]))
        middle_L = np.sqrt(low_L * high_L)
        is_open_L &= (middle_L < low_L[widest]) | (middle_L > high_L[widest])


def _tree(index: PairIndex, labels: Sequence[str | None] | None) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The links (2, E) of the minimum spanning forest over nearest images, and their unlikeness, ascending."""
    num = len(index)
    partner_NK, correlation_NK = index.nearest(min(_PARTNERS, max(num - 1, 0)))
    first = np.repeat(np.arange(num), partner_NK.shape[1])
    second, unlikeness = partner_NK.reshape(-1), 1 - correlation_NK.reshape(-1).astype(np.float64)
    is_link = second >= 0
    if labels is not None:
        names = np.array([name or "" for name in labels], dtype=object)
        is_link &= (names[first] == names[second]) | (names[first] == "") | (names[second] == "")
    links = coo_array(
        (np.maximum(unlikeness[is_link], 1e-9), (first[is_link], second[is_link])), shape=(num, num)
    ).tocsr()
    tree = minimum_spanning_tree(links.maximum(links.T)).tocoo()
    order = np.argsort(tree.data, kind="stable")
    return tree.data[order], np.stack(tree.coords)[:, order].astype(np.int64)


def _components_of(pairs_2E: NDArray[np.int64], num: int) -> NDArray[np.int64]:
    links = coo_array((np.ones(pairs_2E.shape[1], bool), tuple(pairs_2E)), shape=(num, num))
    _, group_N = connected_components(links, directed=False)
    _, first, numbered_N = np.unique(group_N, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbered_N].astype(np.int64)
