"""Units of unequal size dealt into parts so that every class comes near to its share in every part.

Largest units first, each to the part where it lowers the chi-square distance between what the parts hold and what they
should hold, summed over classes. A class that a part lacks though it has units enough is then brought there by moving
one unit.

Legend of axes: U units, K classes, P parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def assign_units(
    items: Sequence[tuple[str, str | None]],
    *,
    shares: Sequence[float],
    seed: int,
    held: Sequence[tuple[int, str | None]] = (),
) -> list[int]:
    """Part of each item.

    Args:
        items: (unit, class) of each; items of one unit always go to one part. None is a class of its own.
        shares: of the parts, all above 0, summing to one.
        seed: draws the order of units of equal size.
        held: part and class of items that are in their part already; they count towards its share.

    Returns:
        Numbers of parts, 0 to P - 1, in the order of `items`.
    """
    units = sorted({unit for unit, _ in items})
    classes = sorted({target or "" for _, target in (*items, *held)})
    unit_index = {unit: place for place, unit in enumerate(units)}
    class_index = {name: place for place, name in enumerate(classes)}
    counts_UK = np.zeros((len(units), len(classes)))
    for unit, target in items:
        counts_UK[unit_index[unit], class_index[target or ""]] += 1
    order_U = np.random.default_rng(seed).permutation(len(units))
    order_U = order_U[np.argsort(-counts_UK[order_U].sum(axis=1), kind="stable")]
    held_PK = np.zeros((len(shares), len(classes)))
    for part, target in held:
        held_PK[part, class_index[target or ""]] += 1
    wanted_PK = np.outer(shares, counts_UK.sum(axis=0) + held_PK.sum(axis=0))
    part_U = _dealt(counts_UK, order_U, wanted_PK, held_PK)
    _bring_absent_classes(counts_UK, order_U, wanted_PK, held_PK, part_U)
    return [int(part_U[unit_index[unit]]) for unit, _ in items]


def _dealt(
    counts_UK: NDArray[np.float64],
    order_U: NDArray[np.int64],
    wanted_PK: NDArray[np.float64],
    held_PK: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Part of each unit, each put where the chi-square distance falls most."""
    now_PK = held_PK.copy()
    part_U = np.zeros(len(counts_UK), np.int64)
    for unit in order_U:
        counts_K = counts_UK[unit]
        added_P = (counts_K * (counts_K + 2 * (now_PK - wanted_PK)) / wanted_PK).sum(axis=1)
        part_U[unit] = part = int(np.argmin(added_P))
        now_PK[part] += counts_K
    return part_U


def _bring_absent_classes(
    counts_UK: NDArray[np.float64],
    order_U: NDArray[np.int64],
    wanted_PK: NDArray[np.float64],
    held_PK: NDArray[np.float64],
    part_U: NDArray[np.int64],
) -> None:
    """Move units into parts that lack a class, in place: rarest class first; first part, last part, then those between.

    A part gives a unit only if it keeps another one of every class that the unit holds.
    """
    num_parts = len(wanted_PK)
    units_K = (counts_UK > 0).sum(axis=0)
    for target in np.argsort(units_K, kind="stable"):
        for part in (0, *range(num_parts - 1, 0, -1)):
            if held_PK[part, target] > 0 or (counts_UK[part_U == part, target] > 0).any():
                continue
            spare = [unit for unit in order_U if counts_UK[unit, target] > 0 and _is_spare(unit, counts_UK, part_U)]
            if spare:
                distances = [_distance_after(unit, part, counts_UK, wanted_PK, held_PK, part_U) for unit in spare]
                part_U[spare[int(np.argmin(distances))]] = part


def _is_spare(unit: int, counts_UK: NDArray[np.float64], part_U: NDArray[np.int64]) -> bool:
    units_K = (counts_UK[part_U == part_U[unit]] > 0).sum(axis=0)
    return bool((units_K[counts_UK[unit] > 0] > 1).all())


def _distance_after(
    unit: int,
    part: int,
    counts_UK: NDArray[np.float64],
    wanted_PK: NDArray[np.float64],
    held_PK: NDArray[np.float64],
    part_U: NDArray[np.int64],
) -> float:
    """Chi-square distance if `unit` went to `part`."""
    now_PK = held_PK.copy()
    np.add.at(now_PK, part_U, counts_UK)
    now_PK[part_U[unit]] -= counts_UK[unit]
    now_PK[part] += counts_UK[unit]
    return float(((now_PK - wanted_PK) ** 2 / wanted_PK).sum())
