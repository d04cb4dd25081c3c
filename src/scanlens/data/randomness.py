"""Random numbers that are pure functions of where they are used: seed, epoch, image, and a stream of their own.

Nothing is drawn in sequence, so the order of calls, the number of workers and the number of processes do not matter.

References:
    Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014 (the mixing function).
    Salmon et al.: Parallel random numbers: as easy as 1, 2, 3, SC 2011 (counter-based generation).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanlens.seeds import derived_seed

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ORDER_STREAM = 100
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniforms(
    seed: int, epoch: int, indices_B: Sequence[int] | NDArray[np.integer], num: int, *, stream: int = 0
) -> NDArray[np.float64]:
    """`num` numbers in [0, 1) for each image, (B, num); the same for an image whatever else is in the batch.

    Args:
        seed: of the run.
        epoch: counted from 0.
        indices_B: place of each image in the data set.
        num: how many numbers an image needs.
        stream: a number for each purpose, so that two purposes never share numbers.
    """
    start = np.uint64(derived_seed(seed, epoch, stream))
    index_B = np.asarray(indices_B, dtype=np.int64).astype(np.uint64)
    with np.errstate(over="ignore"):
        image_B1 = _mix(start + (index_B + np.uint64(1)) * _GOLDEN)[:, None]
        bits = _mix(image_B1 + np.arange(1, num + 1, dtype=np.uint64)[None, :] * _GOLDEN)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def permutation(seed: int, epoch: int, num: int) -> NDArray[np.int64]:
    """The order of images in an epoch: a permutation of 0 .. num-1, by the rank of a number that each image draws.

    It depends on no library's shuffling, so it is the same under every version of NumPy.
    """
    return np.argsort(uniforms(seed, epoch, np.arange(num), 1, stream=_ORDER_STREAM)[:, 0], kind="stable")


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))
