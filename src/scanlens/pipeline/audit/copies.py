"""The part of an audit on copies: exact ones, near-duplicates, and what leaks from one split to another.

Legend of axes: N images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.leaks import Leak, find_leaks
from scanlens.pipeline.decode import Listed
from scanlens.pipeline.division import Division
from scanlens.types import Record

ALONE = -1


def copies_part(listed: Listed, division: Division, splits: Sequence[str | None]) -> dict[str, Any]:
    """Numbers of copies and near-duplicates, leaks between splits, and patients who share pictures.

    Args:
        listed: the images.
        division: with the groups that were found.
        splits: final split of each image; None where there is none.
    """
    near_N = near_groups(division, num=len(listed.records))
    given = [record.split for record in listed.records]
    patient_N = codes([record.patient for record in listed.records])
    kinds = {"copy": division.copy_N, "near": near_N, "patient": patient_N}
    return {
        "copies": _sizes(division.copy_N),
        "near": None if near_N is None else _sizes(near_N),
        "leaks": {
            "final": _leaks(kinds, splits),
            "given": _leaks(kinds, given) if any(given) else None,
        },
        "patients_who_share": {
            "copies": num_shared(division.copy_N, patient_N),
            "near": None if near_N is None else num_shared(near_N, patient_N),
        },
    }


def near_groups(division: Division, *, num: int) -> NDArray[np.int64] | None:
    """Group of each image that has a near-duplicate, -1 for all others; None where they were not looked for."""
    if division.near is None:
        return None
    group_N = division.near.group_N.copy()
    group_N[np.bincount(group_N, minlength=num)[group_N] < 2] = ALONE
    return group_N


def codes(names: Sequence[str | None]) -> NDArray[np.int64]:
    """A number for each name, -1 for None."""
    known = {name: number for number, name in enumerate(dict.fromkeys(name for name in names if name))}
    return np.array([known.get(name, ALONE) if name else ALONE for name in names], dtype=np.int64)


def num_shared(group_N: NDArray[np.int64], patient_N: NDArray[np.int64]) -> int:
    """Groups that hold images of two or more known patients."""
    is_known_N = (group_N >= 0) & (patient_N >= 0)
    pairs = np.unique(np.stack([group_N[is_known_N], patient_N[is_known_N]]), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum()) if pairs.size else 0


def members(records: Sequence[Record], splits: Sequence[str | None], indices: Sequence[int]) -> list[dict[str, Any]]:
    """What is told of images: their numbers, never their names."""
    return [
        {"index": int(i), "target": records[i].target, "split": splits[i] or None, "given": records[i].split}
        for i in indices
    ]


def _sizes(group_N: NDArray[np.int64]) -> Mapping[str, int]:
    counts = np.bincount(group_N[group_N >= 0])
    counts = counts[counts > 1]
    return {"num_groups": len(counts), "num_images": int(counts.sum()), "largest": int(counts.max(initial=0))}


def _leaks(kinds: Mapping[str, NDArray[np.int64] | None], splits: Sequence[str | None]) -> list[dict[str, Any]]:
    found = []
    for kind, group_N in kinds.items():
        leaks: list[Leak] = [] if group_N is None else find_leaks(group_N, splits)
        for leak in leaks:
            content = asdict(leak)
            content["num_groups"] = len(content.pop("groups"))
            found.append({"kind": kind, **content})
    return found
