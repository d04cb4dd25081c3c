"""`fingerprint.npz`: what the images of a run are like, so that it can be told later whether new ones are alike.

It holds numbers of at most 1,500 training images (see `image_facts`), and their coordinates in the few directions in which
small thumbnails and the features of the network vary; neither names nor classes. With the directions, coordinates give a
blurred picture of 24 x 24 pixels. Whoever fits directions sees his own images too well, and so does a network: directions of thumbnails are fitted on one half of the training patients and
distances told of the other half; those of features are told of validation patients, which taught the network nothing.

Legend of axes: N images, F facts, D numbers of a vector.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scanlens.data.cache import FULL_SCALE, CachedImages
from scanlens.data.image_facts import FACTS
from scanlens.data.module import ScanData
from scanlens.data.thumbnail_rows import block_means
from scanlens.errors import RunError
from scanlens.evaluation.subspace import Subspace, fit_subspace
from scanlens.files import check_unpacked_size, write_bytes
from scanlens.models.base import Network
from scanlens.runs import Run

MOST_IMAGES = 1500  # of which facts and thumbnails are kept
MOST_EMBEDDED = 600  # that go through the network once more
SIDE = 24  # pixels of a small thumbnail
MAX_BYTES = 64 * 2**20
_VERSION = 1
_BATCH = 32
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """Numbers of known images.

    Args:
        facts_NF: of training images, in the order of `FACTS`.
        group_N: equal numbers for those that belong together.
        judges_N: whether the image had no part in `pictures`.
        pictures: directions of thumbnails; None where they do not vary.
        thumbs_ND: small thumbnails' coordinates in them, one row an image.
        residual_N: what the directions cannot show of each.
        features: directions of what the network sees; None where they do not vary, or there is no validation image.
        val_ND: coordinates of the features of validation images.
        val_distance_N: their Mahalanobis distance.
        val_group_N: as `group_N`, of these.
    """

    facts_NF: Floats
    group_N: Ints
    judges_N: NDArray[np.bool_]
    pictures: Subspace | None
    thumbs_ND: Floats
    residual_N: Floats
    features: Subspace | None
    val_ND: Floats
    val_distance_N: Floats
    val_group_N: Ints


def write_fingerprint(run: Run, network: Network, data: ScanData) -> None:
    """Look at training and validation images once more and write `fingerprint.npz` of a run."""
    seed, cached = run.config["seed"], data.cached
    group_of = _numbered([row["group"] for row in run.split_rows])
    train = whole_groups(np.array(run.indices("train")), group_of, most=MOST_IMAGES, seed=seed)
    val = whole_groups(np.array(run.indices("val"), dtype=np.int64), group_of, most=MOST_EMBEDDED, seed=seed)
    judges_N = _half(group_of[train], seed=seed)
    thumbs_ND = small_thumbnails(cached, train)
    pictures = fit_subspace(thumbs_ND[~judges_N], seed=seed) if (~judges_N).any() else None
    fitted = whole_groups(train, group_of, most=MOST_EMBEDDED, seed=seed)
    features = fit_subspace(embedded(network, cached, fitted), seed=seed) if len(val) else None
    val_ND = embedded(network, cached, val) if features is not None else np.zeros((0, 0))
    _save(
        run.fingerprint_file,
        Fingerprint(
            np.asarray(cached.facts[train]),
            group_of[train],
            judges_N,
            pictures,
            np.zeros((0, 0)) if pictures is None else pictures.coordinates(thumbs_ND),
            np.zeros(0) if pictures is None else pictures.residual(thumbs_ND),
            features,
            val_ND if features is None else features.coordinates(val_ND),
            np.zeros(0) if features is None else features.distance(val_ND),
            group_of[val] if features is not None else np.zeros(0, np.int64),
        ),
    )


def whole_groups(indices: Ints, group_of: Ints, *, most: int, seed: int) -> Ints:
    """At most `most` of the images, ascending: whole groups in random order, at least one."""
    if len(indices) <= most:
        return indices
    groups, place_N, sizes = np.unique(group_of[indices], return_inverse=True, return_counts=True)
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    is_taken = np.zeros(len(groups), bool)
    is_taken[shuffled[np.cumsum(sizes[shuffled]) <= most]] = True
    if not is_taken.any():
        return np.sort(np.random.default_rng(seed).choice(indices, most, replace=False))
    return indices[is_taken[place_N]]


def small_thumbnails(cached: CachedImages, indices: Ints) -> Floats:
    """(N, D) of 24 x 24 pixels, as bright as they are."""
    return block_means(np.asarray(cached.thumbnails[indices]), SIDE).reshape(len(indices), -1).astype(np.float64)


def embedded(network: Network, cached: CachedImages, indices: Ints) -> Floats:
    """Features (N, D), what the last linear layer of the network sees, wherever the network lies."""
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, len(indices), _BATCH):
            values = cached.images[indices[start : start + _BATCH]].astype(np.float32) / np.float32(FULL_SCALE)
            parts.append(network.eval().embed(torch.from_numpy(values).to(device)).double().cpu().numpy())
    return np.concatenate(parts).reshape(len(indices), -1)


def read_fingerprint(path: Path) -> Fingerprint | None:
    """What `write_fingerprint` wrote; None if there is no such file.

    Raises:
        RunError: if it is something else, or larger than 64 MiB when unpacked.
    """
    if not path.exists():
        return None
    try:
        check_unpacked_size(path, most=MAX_BYTES)
        with np.load(path, allow_pickle=False) as stored:
            return _opened({name: stored[name] for name in stored.files})
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(
            f"{path} does not say what the training images are like ({str(error)[:200]}). Restore it from a copy, or remove "
            "it: whether new images are alike is not told then."
        ) from error


def _save(path: Path, one: Fingerprint) -> None:
    arrays = {name: getattr(one, name) for name in _ARRAYS} | {"version": np.array(_VERSION), "facts": np.array(FACTS)}
    for name in ("pictures", "features"):
        found: Subspace | None = getattr(one, name)
        if found is not None:
            arrays |= {f"{name}_{part}": getattr(found, part) for part in _PARTS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(path, buffer.getvalue())


_ARRAYS = (
    "facts_NF", "group_N", "judges_N", "thumbs_ND", "residual_N", "val_ND", "val_distance_N", "val_group_N",
)  # fmt: skip
_PARTS = ("mean_D", "basis_CD", "spread_C")


def _opened(stored: dict[str, NDArray]) -> Fingerprint:
    if int(stored["version"]) != _VERSION or tuple(stored["facts"].tolist()) != FACTS:
        raise ValueError("it was written by another version")
    pictures, features = (
        Subspace(*(stored[f"{name}_{part}"] for part in _PARTS)) if f"{name}_mean_D" in stored else None
        for name in ("pictures", "features")
    )
    one = Fingerprint(pictures=pictures, features=features, **{name: stored[name] for name in _ARRAYS})  # type: ignore[arg-type]
    num, num_val = len(one.group_N), len(one.val_group_N)
    fits = one.facts_NF.shape == (num, len(FACTS)) and one.judges_N.shape == (num,) and one.judges_N.dtype == np.bool_
    if pictures is not None:
        fits = fits and one.residual_N.shape == (num,) and one.thumbs_ND.shape == (num, len(pictures.spread_C))
    if features is not None:
        fits = fits and one.val_distance_N.shape == (num_val,) and one.val_ND.shape == (num_val, len(features.spread_C))
    if not fits or not num:
        raise ValueError("its parts are of different lengths")
    return one


def _numbered(names: Sequence[str]) -> Ints:
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], dtype=np.int64)


def _half(group_N: Ints, *, seed: int) -> NDArray[np.bool_]:
    """Every second group, drawn by lot; all where there is one only."""
    groups = np.random.default_rng(seed).permutation(np.unique(group_N))
    return np.isin(group_N, groups[: max(1, len(groups) // 2)])
