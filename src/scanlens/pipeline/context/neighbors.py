"""`neighbors.npz`: training images as the network sees them, so that the most similar ones of any image can be found.

It holds standardized features, labels, probabilities and looks of at most 1,500 training images, whole patients drawn by
the seed, and numbers that say who belongs together; no name, no picture. From the features of some networks a blurred
picture might be guessed.

Legend of axes: N training images, M validation images, C channels, H rows, W columns, D features, K classes, L looks.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scanlens.data.burnt_in_text import MIN_MARKS
from scanlens.data.cache import FULL_SCALE, CachedImages
from scanlens.data.image_facts import FACTS
from scanlens.data.module import ScanData
from scanlens.data.picture_looks import LOOKS, picture_looks
from scanlens.errors import RunError
from scanlens.evaluation.similar import Scale, fit_scale, joined_units, nearest_distances
from scanlens.files import check_unpacked_size, write_bytes
from scanlens.models.base import Network
from scanlens.pipeline.context.batch import Floats, seen_and_said
from scanlens.pipeline.fingerprint import MOST_EMBEDDED, MOST_IMAGES, whole_groups
from scanlens.runs import Run

MOST_VALUES = 8_000_000  # features of all images together: 64 MB while they are standardized
MAX_BYTES = 64 * 2**20
_BATCH = 32
_VERSION = 1
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Neighbors:
    """Training images that similar ones are looked for among.

    Args:
        index_N: their rows in `split.csv`, ascending.
        target_N: class numbers.
        unit_N: equal numbers for images of one patient or group, in the numbers of `units_of`.
        probabilities_NK: what the trained network says of them.
        has_text_N: whether letter-like marks are in them.
        looks_NL: as `picture_looks` makes them.
        features_ND: standardized by `scale`.
        scale: of the features.
        reference_M: distance of each validation image to its nearest training image of another unit.
        num_reference_units: patients or groups that these validation images are of.
        num_training: training images of the run, searched or not.
    """

    index_N: Ints
    target_N: Ints
    unit_N: Ints
    probabilities_NK: NDArray[np.float32]
    has_text_N: NDArray[np.bool_]
    looks_NL: Floats
    features_ND: NDArray[np.float16]
    scale: Scale
    reference_M: Floats
    num_reference_units: int
    num_training: int


def units_of(run: Run) -> Ints:
    """One number a row of `split.csv`: equal for images of one patient, of one group, and of groups that share a patient."""
    rows = run.split_rows
    return joined_units([row["group"] for row in rows], [row["patient"] for row in rows])


def look_for_neighbors(run: Run, network: Network, data: ScanData) -> Neighbors:
    """Send training and validation images through the network once more; at most 1,500 and 600 of them.

    Raises:
        RunError: if there is no training image, or no feature of them varies.
    """
    seed, unit_N, cached = int(run.config["seed"]), units_of(run), data.cached
    train, val = (np.array(run.indices(split), dtype=np.int64) for split in ("train", "val"))
    if not len(train):
        raise RunError("the run has no training images, so none can be similar")
    num_features = _through(network, cached, train[:1])[0].shape[1]
    most = max(1, min(MOST_IMAGES, MOST_VALUES // max(1, num_features)))
    searched = whole_groups(train, unit_N, most=most, seed=seed)
    features_ND, probabilities_NK = _through(network, cached, searched)
    scale = fit_scale(features_ND)
    if not scale.num_varying:
        raise RunError("the network sees the same in all training images, so none is more similar than another")
    scaled_ND = scale.of(features_ND)
    judges = whole_groups(val, unit_N, most=min(most, MOST_EMBEDDED), seed=seed)
    reference_M = np.zeros(0)
    if len(judges):
        scaled_MD = scale.of(_through(network, cached, judges)[0])
        reference_M = nearest_distances(scaled_ND, unit_N[searched], scaled_MD, unit_N[judges])
    return Neighbors(
        searched,
        data.targets_N[searched],
        unit_N[searched],
        probabilities_NK,
        np.asarray(cached.facts[searched])[:, FACTS.index("text_score")] >= MIN_MARKS,
        np.array([picture_looks(_image(cached, index)) for index in searched.tolist()]),
        scaled_ND,
        scale,
        reference_M,
        len(np.unique(unit_N[judges])) if len(reference_M) else 0,
        len(train),
    )


def _image(cached: CachedImages, index: int) -> NDArray[np.float32]:
    return cached.images[index].astype(np.float32) / np.float32(FULL_SCALE)


def _through(network: Network, cached: CachedImages, indices: Ints) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Features (N, D) and probabilities (N, K), a batch at a time."""
    device = next(network.parameters()).device
    features, probabilities = [], []
    for start in range(0, len(indices), _BATCH):
        values = cached.images[indices[start : start + _BATCH]].astype(np.float32) / np.float32(FULL_SCALE)
        seen_BD, logits_BK = seen_and_said(network, torch.from_numpy(values).to(device))
        features.append(seen_BD.astype(np.float32))
        probabilities.append(logits_BK.softmax(dim=1).numpy().astype(np.float32))
    return np.concatenate(features), np.concatenate(probabilities)


_ARRAYS = (
    "index_N", "target_N", "unit_N", "probabilities_NK", "has_text_N", "looks_NL", "features_ND", "reference_M",
)  # fmt: skip
_COUNTS = ("num_reference_units", "num_training")


def write_neighbors(path: Path, one: Neighbors) -> None:
    """Write `neighbors.npz`; equal numbers give equal bytes. Units are numbered anew, from 0."""
    arrays: dict[str, Any] = {name: getattr(one, name) for name in _ARRAYS}
    arrays["unit_N"] = np.unique(one.unit_N, return_inverse=True)[1]
    arrays |= {"mean_D": one.scale.mean_D, "spread_D": one.scale.spread_D}
    arrays |= {name: np.array(getattr(one, name)) for name in _COUNTS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays, version=np.array(_VERSION), looks=np.array(LOOKS))
    write_bytes(path, buffer.getvalue())


def read_neighbors(path: Path, *, class_names: Sequence[str]) -> Neighbors | None:
    """What `write_neighbors` wrote; None if there is no such file.

    Raises:
        RunError: if it is something else, or larger than 64 MiB when unpacked.
    """
    if not path.exists():
        return None
    try:
        check_unpacked_size(path, most=MAX_BYTES)
        with np.load(path, allow_pickle=False) as stored:
            return _opened({name: stored[name] for name in stored.files}, num_classes=len(class_names))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(
            f"{path} does not hold what training images look like to the network ({str(error)[:200]}). Restore it from a "
            "copy, or remove it: similar images are not told then."
        ) from error


def _opened(stored: dict[str, NDArray[Any]], *, num_classes: int) -> Neighbors:
    if int(stored["version"]) != _VERSION or tuple(stored["looks"].tolist()) != LOOKS:
        raise ValueError("it was written by another version")
    scale = Scale(stored["mean_D"], stored["spread_D"])
    counts: dict[str, Any] = {name: int(stored[name]) for name in _COUNTS}
    arrays: dict[str, Any] = {name: stored[name] for name in _ARRAYS}
    one = Neighbors(scale=scale, **counts, **arrays)
    num = len(one.index_N)
    shapes = {
        "target_N": (num,), "unit_N": (num,), "has_text_N": (num,), "probabilities_NK": (num, num_classes),
        "looks_NL": (num, len(LOOKS)), "features_ND": (num, scale.num_varying),
    }  # fmt: skip
    wrong = [name for name, shape in shapes.items() if getattr(one, name).shape != shape]
    if wrong or not num or scale.mean_D.shape != scale.spread_D.shape or one.reference_M.ndim != 1:
        raise ValueError(f"its parts are of different lengths ({', '.join(wrong)})")
    numbers = (one.index_N, one.target_N, one.unit_N)
    if not all(np.issubdtype(part.dtype, np.integer) for part in numbers) or one.has_text_N.dtype != np.bool_:
        raise ValueError("whole numbers are expected")
    if not 0 <= int(one.target_N.min()) <= int(one.target_N.max()) < num_classes:
        raise ValueError("a class that the run does not know")
    parts = (one.probabilities_NK, one.features_ND, one.reference_M, scale.mean_D, scale.spread_D)
    if not all(np.issubdtype(part.dtype, np.floating) and np.isfinite(part).all() for part in parts):
        raise ValueError("finite numbers are expected")
    return one
