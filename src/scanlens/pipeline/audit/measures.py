"""The parts of an audit on shortcuts, odd images, labels and classes: what was measured, ready for audit.json.

Legend of axes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.audit_plan import AuditPlan
from scanlens.data.odd_images import OddImage, odd_images, small
from scanlens.data.shortcut_features import label_copies, shortcut_features
from scanlens.data.thumbnail_rows import ThumbnailRows
from scanlens.evaluation.class_counts import class_counts
from scanlens.evaluation.doubtful_labels import doubtful_labels, label_conflicts
from scanlens.evaluation.shortcuts import measure_shortcuts, verdict
from scanlens.files import write_csv
from scanlens.pipeline.audit.copies import members, near_groups
from scanlens.pipeline.audit.listing import are_copies, shown_image
from scanlens.pipeline.decode import Listed
from scanlens.pipeline.division import Division
from scanlens.report.sheets import row_png
from scanlens.types import SPLITS

MOST_MEASURED = 20_000  # images: of more, whole groups are drawn
MOST_AT_ONCE = 5_000  # images whose thumbnails are held in memory for shortcuts
MOST_ODD = 12  # drawn of each kind
_MEANING = {
    "file": "It should not depend on the disease, unless pictures were cut out along what they show: a network can be right here without having looked at the anatomy.",
    "person": "It may go with the disease, and a network may use it in place of the disease.",
    "picture": "It may be the disease, or how and where the pictures were taken: a network need not look closer.",
}
_ODD_KINDS = {
    "empty": "blank",
    "nearly empty": "blank",
    "frame": "frames",
    "text": "text",
    "unlike the others": "outliers",
}


def measured_parts(
    listed: Listed, division: Division, splits: Sequence[str | None], *, plan: AuditPlan, seed: int, folder: Path
) -> dict[str, Any]:
    """All parts, with their lists and pictures written into a folder."""
    sample = _whole_groups(division.alike_N, most=MOST_MEASURED, seed=seed)
    return {
        "num_measured": len(sample),
        "shortcuts": _shortcuts(listed, division, sample, plan=plan, seed=seed),
        "label_columns": label_copies(listed.records),
        "conflicts": _conflicts(listed, division),
        "doubtful": _doubtful(listed, division, sample, folder=folder, most=plan.most_listed),
        "odd": _odd(listed, division, splits, sample, folder=folder),
        "classes": _classes(listed, splits),
    }


def _whole_groups(group_N: NDArray[np.int64], *, most: int, seed: int) -> NDArray[np.int64]:
    """Images of whole groups in random order until there are enough, ascending."""
    if len(group_N) <= most:
        return np.arange(len(group_N))
    shuffled = np.random.default_rng(seed).permutation(int(group_N.max()) + 1)
    sizes = np.bincount(group_N, minlength=len(shuffled))
    return np.flatnonzero(np.isin(group_N, shuffled[np.cumsum(sizes[shuffled]) <= most]))


def _targets(listed: Listed) -> NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(listed.source.class_names)}
    return np.array([numbers.get(record.target or "", -1) for record in listed.records], dtype=np.int64)


def _shortcuts(
    listed: Listed, division: Division, sample: NDArray[np.int64], *, plan: AuditPlan, seed: int
) -> list[dict[str, Any]]:
    target_N = _targets(listed)
    chosen = sample[target_N[sample] >= 0]
    chosen = chosen[_whole_groups(division.alike_N[chosen], most=MOST_AT_ONCE, seed=seed)]
    features = shortcut_features(
        [listed.records[i] for i in chosen],
        facts_NF=np.asarray(listed.images.facts[chosen]),
        thumbs_NHW=np.asarray(listed.images.thumbnails[chosen]),
        group_N=division.alike_N[chosen],
    )
    found = measure_shortcuts(features, target_N[chosen], division.alike_N[chosen], seed=seed)
    names = listed.source.class_names
    return [
        asdict(one)
        | {
            "left_out": [names[k] for k in one.left_out],
            "verdict": verdict(one, file_margin=plan.file_margin, picture_margin=plan.picture_margin),
            "meaning": _MEANING[one.origin],
        }
        for one in found
    ]


def _conflicts(listed: Listed, division: Division) -> dict[str, Any] | None:
    """Groups that carry several labels; a group of near-duplicates that are all exact copies is told once. None without labels."""
    target_N = _targets(listed)
    if (target_N < 0).all():
        return None
    near_N = near_groups(division, num=len(target_N))
    exact = label_conflicts(division.copy_N, target_N)
    found = [] if near_N is None else label_conflicts(near_N, target_N)
    near = [one for one in found if not are_copies(division.copy_N, one.indices)]
    images = {i for one in (*exact, *near) for i in one.indices}
    return {"num_exact": len(exact), "num_near": len(near), "num_images": len(images)}


def _doubtful(
    listed: Listed, division: Division, sample: NDArray[np.int64], *, folder: Path, most: int
) -> dict[str, Any]:
    target_N, names = _targets(listed), listed.source.class_names
    chosen = sample[target_N[sample] >= 0]
    rows = ThumbnailRows(listed.images.thumbnails, chosen.tolist())
    found = doubtful_labels(rows, target_N[chosen], division.alike_N[chosen])
    told = [(int(chosen[one.index]), one) for one in found.found]
    write_csv(
        folder / "doubtful_labels.csv",
        ("index", "target", "suggested", "margin"),
        (
            {
                "index": i,
                "target": names[one.target],
                "suggested": names[one.suggested],
                "margin": round(one.margin, 4),
            }
            for i, one in told
        ),
    )
    shown = []
    for i, one in told[:most]:
        row_png([shown_image(listed, i)], folder / f"doubtful-{i:05d}.png")
        words = f"most similar images of others: {names[one.suggested]} (margin {one.margin:.2f})"
        content = {"index": i, "target": names[one.target], "words": words, "picture": f"doubtful-{i:05d}.png"}
        shown.append(content)
    num = None if found.reason else found.num_found
    return {"num": num, "reason": found.reason, "agreement": found.balanced_accuracy, "listed": shown}


def _odd(
    listed: Listed, division: Division, splits: Sequence[str | None], sample: NDArray[np.int64], *, folder: Path
) -> dict[str, Any]:
    facts, thumbs = listed.images.facts, listed.images.thumbnails
    found = odd_images(np.asarray(facts[sample]), small(thumbs, sample), division.alike_N[sample])
    told = [OddImage(int(sample[one.index]), one.kind, one.score) for one in found]
    rows = ({"index": one.index, "kind": one.kind, "score": round(one.score, 4)} for one in told)
    write_csv(folder / "odd_images.csv", ("index", "kind", "score"), rows)
    parts: dict[str, Any] = {}
    for name in dict.fromkeys(_ODD_KINDS.values()):
        of_kind = [one for one in told if _ODD_KINDS[one.kind] == name]
        shown = []
        for one in of_kind[:MOST_ODD]:
            picture = f"{name}-{one.index:05d}.png"
            row_png([shown_image(listed, one.index)], folder / picture)
            (member,) = members(listed.records, splits, [one.index])
            shown.append(member | {"score": round(one.score, 4), "picture": picture})
        parts[name] = {"num": len(of_kind), "listed": shown}
    return parts


def _classes(listed: Listed, splits: Sequence[str | None]) -> dict[str, Any]:
    records, names = listed.records, listed.source.class_names
    found = class_counts(
        [record.target for record in records],
        [record.patient for record in records],
        splits,
        class_names=names,
        split_names=SPLITS,
    )
    cells = {(one.split, one.target): one for one in found.counts}
    rows = []
    for name in names:
        counts = [cells[split, name] for split in SPLITS]
        rows.append([name, *(_cell(one.num_images, one.num_patients) for one in counts)])
    few = [{"name": name, "num": num} for name, num in found.few.items()]
    return {
        "heads": ["Class", *SPLITS],
        "rows": rows,
        "images_per_patient": found.images_per_patient,
        "num_mixed_patients": found.num_mixed_patients,
        "thin": few,
        "unit": "patient" if all(record.patient for record in records) else "image or patient",
    }


def _cell(num_images: int, num_patients: int | None) -> str:
    who = "" if num_patients is None else f" ({num_patients} patient{'' if num_patients == 1 else 's'})"
    return f"{num_images}{who}"
