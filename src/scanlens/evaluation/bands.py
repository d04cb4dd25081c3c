"""Numbers cut into bands with names, so that they can be groups: ages by decades, sizes by quartiles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from scanlens.evaluation.checks import Floats, checked_values

MOST_VALUES = 10  # different numbers up to which a column is a list of kinds (grades, scanners), not a measure


def as_numbers(values: Sequence[str | int | float]) -> Floats | None:
    """A column as numbers, NaN where a cell is empty; None if any other cell is no number, or few different ones are there."""
    numbers = [_number(value) for value in values]
    if any(number is None for number in numbers):
        return None
    found = np.array(numbers, dtype=np.float64)
    return found if len(np.unique(found[np.isfinite(found)])) > MOST_VALUES else None


def in_bands(
    values_N: ArrayLike, *, edges: Sequence[float] | None = None, width: float | None = None, num: int = 4
) -> tuple[list[str], list[str]]:
    """The band of each number, and the bands from low to high; NaN has the band "".

    A band holds its lower end and not its upper one; only the last holds both.

    Args:
        values_N: numbers, NaN where unknown.
        edges: ends of the bands, rising; what lies outside is in "below ..." or "... or more".
        width: of equal bands that start at multiples of it, such as 10 for decades of age.
        num: of bands with about as many images each (quartiles), where neither is given.

    Raises:
        ValueError: if edges do not rise, `width` or `num` is not positive, or a number is infinite.
    """
    value_N = np.asarray(values_N, dtype=np.float64)
    known_N = ~np.isnan(value_N)
    known = checked_values(value_N[known_N], name="values_N")
    if not len(known):
        return [""] * len(value_N), []
    ends = _ends(known, edges=edges, width=width, num=num)
    names = _names(ends)
    place = np.searchsorted(ends, known, side="right")
    if edges is None:
        place = np.clip(place, 1, len(ends) - 1)  # the highest number closes the last band
    named = iter(names[p] for p in place)
    bands = [next(named) if is_known else "" for is_known in known_N]
    return bands, [name for name in names if name in set(bands)]


def _ends(known: Floats, *, edges: Sequence[float] | None, width: float | None, num: int) -> Floats:
    if edges is not None:
        ends = np.array(edges, dtype=np.float64)
        if not len(ends) or (np.diff(ends) <= 0).any():
            raise ValueError(f"edges: expected at least one number, rising, got {list(edges)}")
        return ends
    if width is not None:
        if not width > 0:
            raise ValueError(f"width: expected a number above 0, got {width}")
        return np.arange(np.floor(known.min() / width), np.floor(known.max() / width) + 2) * width
    if num < 1:
        raise ValueError(f"num: expected at least one band, got {num}")
    ends = np.unique(np.quantile(known, np.linspace(0, 1, num + 1)))
    return ends if len(ends) > 1 else np.r_[ends, ends + 1]


def _names(ends: Floats) -> list[str]:
    """One for each gap between ends, and for what lies below the first and above the last."""
    shown = [f"{end:.4g}" for end in ends]
    between = [f"{low} to {high}" for low, high in pairwise(shown)]
    return [f"below {shown[0]}", *between, f"{shown[-1]} or more"]


def _number(value: str | int | float) -> float | None:
    text = str(value).strip()
    if not text:
        return float("nan")
    try:
        return float(text)
    except ValueError:
        return None
