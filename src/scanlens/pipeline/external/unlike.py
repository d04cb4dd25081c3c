"""Are new images like those of the training: numbers of each image, what the network sees, and what a classifier tells.

Legend of axes: N known images, M new ones, F numbers of an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scanlens.data.image_facts import FACTS
from scanlens.data.shortcut_features import ShortcutFeature, fact_features
from scanlens.evaluation.drift import Drift, measure_drift, share_beyond
from scanlens.evaluation.shortcuts import Shortcut, measure_shortcuts
from scanlens.models.base import Network
from scanlens.pipeline.decode import Listed
from scanlens.pipeline.fingerprint import (
    MOST_EMBEDDED,
    MOST_IMAGES,
    SIDE,
    Fingerprint,
    embedded,
    small_thumbnails,
    whole_groups,
)

NUMBERS = tuple(name for name in FACTS if name not in ("file_kind", "file_mode"))  # kinds have no order
PICTURES, FEATURES = "unlike training pictures", "unlike to the network"
_NUM_RESAMPLES = 200


@dataclass(frozen=True, slots=True, eq=False)
class _New:
    """New images, whole groups of them, and the part that goes through the network."""

    facts_MF: NDArray[np.float64]
    group_M: NDArray[np.int64]
    thumbs_MD: NDArray[np.float64]
    features_MD: NDArray[np.float64] | None
    feature_group_M: NDArray[np.int64]


def measure_unlike(
    known: Fingerprint, listed: Listed, network: Network, group_N: NDArray[np.int64], *, seed: int
) -> dict[str, Any]:
    """The part `drift` of an external evaluation.

    Args:
        known: of the training.
        listed: new images.
        network: with the weights of the run.
        group_N: equal numbers for new images that belong together.
        seed: of exchanges, folds and resamples.

    Returns:
        `numbers` (a `Drift` each, those of scores last), `beyond` (by score, see `share_beyond`), `told_apart` (a `Shortcut`
        each, of training against new images), `num_known`, `num_new`.
    """
    new = _look_at(known, listed, network, group_N, seed=seed)
    rows, beyond = _scores(known, new)
    columns = [FACTS.index(name) for name in NUMBERS]
    facts = measure_drift(
        NUMBERS, known.facts_NF[:, columns], known.group_N, new.facts_MF[:, columns], new.group_M, seed=seed
    )
    scores = [one for row in rows for one in measure_drift(*row, seed=seed)]
    return {
        "numbers": [one.as_dict() for one in (*facts, *scores) if _is_told(one)],
        "beyond": beyond,
        "told_apart": [_plain(one) for one in _told_apart(known, new, seed=seed)],
        "num_known": len(known.group_N),
        "num_new": len(new.group_M),
    }


def _look_at(known: Fingerprint, listed: Listed, network: Network, group_N: NDArray[np.int64], *, seed: int) -> _New:
    cached, everything = listed.images, np.arange(len(group_N))
    taken = whole_groups(everything, group_N, most=MOST_IMAGES, seed=seed)
    seen = whole_groups(taken, group_N, most=MOST_EMBEDDED, seed=seed) if known.features is not None else taken[:0]
    features = embedded(network, cached, seen) if len(seen) else None
    return _New(
        np.asarray(cached.facts[taken]), group_N[taken], small_thumbnails(cached, taken), features, group_N[seen]
    )


def _scores(known: Fingerprint, new: _New) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """Arguments of `measure_drift`, and the share of new images beyond nearly all known ones, for both scores."""
    rows: list[tuple[Any, ...]] = []
    beyond: dict[str, Any] = {}
    if known.pictures is not None:
        of_known, of_new = known.residual_N[known.judges_N], known.pictures.residual(new.thumbs_MD)
        rows.append(((PICTURES,), of_known[:, None], known.group_N[known.judges_N], of_new[:, None], new.group_M))
        beyond[PICTURES] = share_beyond(of_known, of_new, new.group_M)
    if known.features is not None and new.features_MD is not None:
        of_known, of_new = known.val_distance_N, known.features.distance(new.features_MD)
        rows.append(((FEATURES,), of_known[:, None], known.val_group_N, of_new[:, None], new.feature_group_M))
        beyond[FEATURES] = share_beyond(of_known, of_new, new.feature_group_M)
    return rows, beyond


def _is_told(one: Drift) -> bool:
    return one.known_median is not None or one.new_median is not None


def _told_apart(known: Fingerprint, new: _New, *, seed: int) -> list[Shortcut]:
    """How well training and new images are told apart by one thing alone; 0.5 is chance."""
    facts = fact_features(np.concatenate([known.facts_NF, new.facts_MF]))
    found = _measured(facts, known.group_N, new.group_M, seed)
    if known.pictures is not None:
        of_known, of_new = known.thumbs_ND[known.judges_N], known.pictures.coordinates(new.thumbs_MD)
        pictures = [_feature(f"thumbnail of {SIDE} x {SIDE}", of_known, of_new)]
        found += _measured(pictures, known.group_N[known.judges_N], new.group_M, seed)
    if known.features is not None and new.features_MD is not None:
        seen = [_feature("what the network sees", known.val_ND, known.features.coordinates(new.features_MD))]
        found += _measured(seen, known.val_group_N, new.feature_group_M, seed)
    return found


def _feature(name: str, known_ND: NDArray[np.float64], new_MD: NDArray[np.float64]) -> ShortcutFeature:
    kind: Literal["numbers"] = "numbers"
    return ShortcutFeature(name, kind, "picture", np.concatenate([known_ND, new_MD]))


def _measured(
    features: list[ShortcutFeature], known_N: NDArray[np.int64], new_M: NDArray[np.int64], seed: int
) -> list[Shortcut]:
    target = np.r_[np.zeros(len(known_N), np.int64), np.ones(len(new_M), np.int64)]
    groups = np.r_[known_N, new_M + int(known_N.max(initial=0)) + 1]
    return measure_shortcuts(features, target, groups, seed=seed, num_resamples=_NUM_RESAMPLES)


def _plain(one: Shortcut) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("name", "origin", "auroc", "low", "high", "reason")}
