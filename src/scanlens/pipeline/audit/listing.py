"""Groups of copies as a reader wants them: the worst first, each with a row of pictures, all in a table.

Legend of axes: N images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.cache import FULL_SCALE
from scanlens.data.partners import Partners, best_partners
from scanlens.files import write_csv
from scanlens.pipeline.audit.copies import members, near_groups
from scanlens.pipeline.decode import Listed
from scanlens.pipeline.division import Division
from scanlens.report.sheets import row_png
from scanlens.types import SPLITS

MOST_IN_A_ROW = 6
SHORTEST_CHAIN = 3
COLUMNS = ("kind", "group", "index", "target", "split", "given", "partner", "correlation", "likeness")


@dataclass(frozen=True, slots=True)
class _Group:
    """Images that belong together.

    Args:
        kind: copy or near.
        number: of the group, among those of its kind.
        indices: of its images.
        crosses: whether it lies in two splits of the run.
        crosses_given: whether it lies in two splits that the data set brings.
        conflict: whether its images are of several classes.
    """

    kind: str
    number: int
    indices: list[int]
    crosses: bool
    crosses_given: bool
    conflict: bool


def listed_groups(
    listed: Listed, division: Division, splits: Sequence[str | None], *, folder: Path, most: int
) -> dict[str, Any]:
    """Write `copies.csv` and pictures of the first groups; the part of audit.json that names them.

    Args:
        listed, division: the images and their groups.
        splits: final split of each image.
        folder: for the table and the pictures.
        most: groups that are drawn; the table holds all.
    """
    kinds = {"copy": division.copy_N, "near": near_groups(division, num=len(listed.records))}
    found = [
        _described(listed, splits, kind, number, indices)
        for kind, group_N in kinds.items()
        if group_N is not None
        for number, indices in by_group(group_N).items()
        if kind == "copy" or not are_copies(division.copy_N, indices)
    ]
    found.sort(key=_rank)
    partners = best_partners(listed.images.thumbnails, division.near.group_N) if division.near is not None else None
    rows = (row for one in found for row in _rows(listed, splits, one, partners))
    write_csv(folder / "copies.csv", COLUMNS, rows)
    shown = []
    for one in found[:most]:
        chosen = _to_show(one.indices, splits)
        name = f"{one.kind}-{one.number:05d}.png"
        row_png([shown_image(listed, i) for i in chosen], folder / name)
        shown.append(
            {
                "kind": one.kind,
                "group": one.number,
                "num": len(one.indices),
                "crosses": one.crosses,
                "crosses_given": one.crosses_given,
                "conflict": one.conflict,
                "members": [
                    member | _likeness(one, partners, member["index"])
                    for member in members(listed.records, splits, chosen)
                ],
                "picture": name,
            }
        )
    return {"num_groups": len(found), "groups": shown}


def by_group(group_N: NDArray[np.int64]) -> Mapping[int, list[int]]:
    """Indices of each group, without those below 0."""
    found: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(group_N.tolist()):
        if group >= 0:
            found[group].append(index)
    return found


def shown_image(listed: Listed, index: int) -> NDArray[np.float32]:
    """(C, H, W) in [0, 1], as prepared for the network."""
    return listed.images.images[index].astype(np.float32) / np.float32(FULL_SCALE)


def _described(listed: Listed, splits: Sequence[str | None], kind: str, number: int, indices: list[int]) -> _Group:
    records = [listed.records[i] for i in indices]
    final, given = {splits[i] for i in indices} - {None}, {record.split for record in records} - {None}
    targets = {record.target for record in records} - {None}
    return _Group(kind, number, indices, len(final) > 1, len(given) > 1, len(targets) > 1)


def are_copies(copy_N: NDArray[np.int64], indices: Sequence[int]) -> bool:
    """Whether a group of near-duplicates is one of exact copies, which is told already."""
    return bool(copy_N[indices[0]] >= 0 and (copy_N[indices] == copy_N[indices[0]]).all())


def _rank(one: _Group) -> tuple[bool, bool, bool, str, int, int]:
    return (not one.conflict, not one.crosses, not one.crosses_given, one.kind, -len(one.indices), one.number)


def _to_show(indices: Sequence[int], splits: Sequence[str | None]) -> list[int]:
    """A few images of a group, of each split in turn."""
    of_split = {name: [i for i in indices if splits[i] == name] for name in (*SPLITS, None)}
    chosen: list[int] = []
    while len(chosen) < min(MOST_IN_A_ROW, len(indices)):
        for rest in of_split.values():
            if rest and len(chosen) < MOST_IN_A_ROW:
                chosen.append(rest.pop(0))
    return chosen


def _likeness(one: _Group, partners: Partners | None, index: int) -> dict[str, Any]:
    """Whom an image of a group of near-duplicates is most like, and what turns it into that one."""
    if one.kind == "copy" or partners is None:
        return {}
    return {
        "partner": int(partners.partner_N[index]),
        "correlation": round(float(partners.correlation_N[index]), 4),
        "likeness": partners.name(index),
    }


def _rows(listed: Listed, splits: Sequence[str | None], one: _Group, partners: Partners | None) -> list[dict[str, Any]]:
    empty = dict.fromkeys(("partner", "correlation", "likeness"), "")
    return [
        {"kind": one.kind, "group": one.number} | member | empty | _likeness(one, partners, member["index"])
        for member in members(listed.records, splits, one.indices)
    ]


def listed_chains(
    listed: Listed, division: Division, splits: Sequence[str | None], *, folder: Path, most: int
) -> dict[str, Any] | None:
    """Write `chains.csv` and pictures of the first chains of slices; the part of audit.json on patients that nobody named."""
    hidden = division.hidden
    if hidden is None:
        return None
    if hidden.threshold is None:
        return {"num_chains": 0, "sentence": hidden.note}
    chains = [(number, found) for number, found in by_group(hidden.group_N).items() if len(found) >= SHORTEST_CHAIN]
    rows = (
        {
            "chain": number,
            "index": i,
            "target": listed.records[i].target,
            "split": splits[i],
        }
        for number, indices in chains
        for i in indices
    )
    write_csv(folder / "chains.csv", ("chain", "index", "target", "split"), rows)
    num_divided = sum(len({splits[i] for i in indices} - {None}) > 1 for _, indices in chains)
    shown = []
    for number, indices in chains[:most]:
        chosen = [indices[place] for place in np.linspace(0, len(indices) - 1, MOST_IN_A_ROW).round().astype(int)]
        row_png([shown_image(listed, i) for i in chosen], folder / f"chain-{number:05d}.png")
        ends = members(listed.records, splits, [indices[0], indices[-1]])
        shown.append({"num": len(indices), "members": ends, "picture": f"chain-{number:05d}.png"})
    return {"num_chains": len(chains), "num_divided": num_divided, "sentence": hidden.note, "listed": shown}
