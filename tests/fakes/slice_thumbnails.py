"""Made-up thumbnails that behave like slices of heads, fast enough to make a hundred thousand.

Unrelated ones correlate by about 0.6 to 0.8, neighboring slices of a head by 0.9 to 0.99, copies by more.

Legend of axes: N images, H rows, W columns, G knots of a coarse grid.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from scanlens.data.correlation import TRANSFORMATIONS, transformed

SIZE = 48
SLICES = 8  # of a head
COPY_SHARE = 0.1
_KNOTS = (7, 16)  # of coarse and of finer structure
_BATCH_HEADS = 256


def slice_thumbnails(num: int, *, seed: int) -> Iterator[NDArray[np.float32]]:
    """Batches (N, 48, 48) of heads in slices; a tenth are copies: brighter, noisy, mirrored or turned."""
    rng = np.random.default_rng(seed)
    weights = [zoom(np.eye(knots), (SIZE / knots, 1), order=3) for knots in _KNOTS]
    made = 0
    while made < num:
        originals_NHW = _heads(rng, weights)
        which = rng.random(len(originals_NHW)) < COPY_SHARE
        batch = np.concatenate([originals_NHW, _copies(originals_NHW[which], rng)])[: num - made]
        made += len(batch)
        yield rng.permutation(batch).astype(np.float32)


def _heads(rng: np.random.Generator, weights: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    place = np.arange(SLICES) / SLICES * rng.uniform(0.8, 1.6, (_BATCH_HEADS, 1)) + rng.uniform(0, 6, (_BATCH_HEADS, 1))
    inside_NHW = 0.0
    for weights_HG, strength in zip(weights, (0.22, 0.08), strict=True):
        num_knots = weights_HG.shape[1]
        two = rng.normal(size=(2, _BATCH_HEADS, 1, num_knots, num_knots))
        grid = np.cos(place)[..., None, None] * two[0] + np.sin(place)[..., None, None] * two[1]
        inside_NHW = inside_NHW + strength * (weights_HG @ grid.reshape(-1, num_knots, num_knots) @ weights_HG.T)
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) * 2 - 1
    shape = rng.uniform([0.74, 0.62, -0.05, -0.05], [0.92, 0.8, 0.05, 0.05], (_BATCH_HEADS, 4)).repeat(SLICES, 0)
    height, width, down, right = shape.T[:, :, None, None]
    far_NHW = np.hypot((y - down) / height, (x - right) / width)
    brain_NHW = np.clip((0.86 - far_NHW) / 0.06, 0, 1)
    scalp_NHW = np.clip(1 - np.abs(far_NHW - 0.96) / 0.06, 0, 1)
    return brain_NHW * (0.5 + inside_NHW) + 0.7 * scalp_NHW + 0.02 * rng.normal(size=far_NHW.shape)


def _copies(originals_NHW: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    made = originals_NHW * rng.uniform(0.5, 1.5, (len(originals_NHW), 1, 1)) + rng.uniform(0, 0.3)
    for index, transformation in enumerate(rng.integers(len(TRANSFORMATIONS), size=len(made))):
        made[index] = transformed(made[index : index + 1], int(transformation))[0]
    return made + 0.01 * rng.normal(size=made.shape)
