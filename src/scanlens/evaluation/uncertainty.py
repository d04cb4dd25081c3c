"""How sure several networks, or several passes of one, are together: entropy, and how much of it they disagree on.

Legend of axes: M members (networks or passes), N images, K classes.

References:
    Houlsby et al. 2011, arXiv:1112.5745 (mutual information between answer and network, "BALD");
    Lakshminarayanan et al. 2017, arXiv:1612.01474 (ensembles: the mean of probabilities).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy

from scanlens.evaluation.checks import Floats, checked_probabilities


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """What members say together.

    Args:
        probabilities_NK: mean of their probabilities.
        entropy_N: of that mean, in nats: 0 (sure) to log K. All uncertainty.
        mutual_information_N: that entropy less the mean entropy of the members, in nats, from 0 (they agree): the part that
            comes from not knowing the network, rather than from the image.
    """

    probabilities_NK: Floats
    entropy_N: Floats
    mutual_information_N: Floats


def entropy(probabilities_NK: Floats) -> Floats:
    """Of each row, in nats; 0 log 0 is 0."""
    return -xlogy(probabilities_NK, probabilities_NK).sum(axis=-1)


def together(probabilities_MNK: ArrayLike) -> Together:
    """Mean, entropy and mutual information of members that judged the same images.

    Args:
        probabilities_MNK: of each member finite, in [0, 1], rows with sum 1.

    Raises:
        ValueError: if there are fewer than two members, or a row is at fault.
    """
    given = np.asarray(probabilities_MNK, dtype=np.float64)
    if given.ndim != 3 or len(given) < 2:
        raise ValueError(f"probabilities_MNK: expected at least two members (M, N, K), got shape {given.shape}")
    members = np.stack([checked_probabilities(one_NK) for one_NK in given])
    mean_NK = members.mean(axis=0)
    entropy_N = entropy(mean_NK)
    information_N = np.maximum(entropy_N - entropy(members).mean(axis=0), 0.0)  # rounding can go below
    return Together(mean_NK, entropy_N, information_N)
