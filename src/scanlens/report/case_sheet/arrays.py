"""The numbers behind a map of a case, and what can be said of them by measuring: shares, places, areas, outlines.

Legend: H rows, W columns of the network's input.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import contourpy
import numpy as np
from numpy.typing import NDArray

from scanlens.errors import RunError
from scanlens.files import check_unpacked_size

MAX_SIDE = 4096
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}\.npz")
_KEYS = ("map", "cells", "covered", "scan")
_QUADRANTS = (("upper left", "upper right"), ("lower left", "lower right"))
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class MapArrays:
    """A map as `explain` measured it.

    Args:
        map_HW: signed.
        cells: at the resolution of the layer.
        covered_HW: where it has a value.
        scan: (H, W) or (H, W, C) in [0, 1].
    """

    map_HW: Floats
    cells: Floats
    covered_HW: NDArray[np.bool_]
    scan: Floats

    @property
    def known_HW(self) -> Floats:
        """The map with 0 where it has no value."""
        return np.where(self.covered_HW & np.isfinite(self.map_HW), self.map_HW, 0).astype(np.float32)


def read_map(folder: Path, name: object) -> MapArrays | None:
    """Read `<case>_<method>.npz`; None if there is none. Nothing in it is executed.

    Raises:
        RunError: if it is there but holds something else.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not (folder / name).is_file():
        return None
    path = folder / name
    try:
        check_unpacked_size(path, most=32 * MAX_SIDE**2)
        with np.load(path, allow_pickle=False) as stored:
            found = MapArrays(*(np.asarray(stored[key]) for key in _KEYS))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(
            f"{path} is not what explaining writes ({error}). Remove it, or explain the run again."
        ) from error
    shape = found.map_HW.shape
    if (
        found.map_HW.ndim != 2
        or found.covered_HW.shape != shape
        or found.scan.shape[:2] != shape
        or max(shape) > MAX_SIDE
    ):
        raise RunError(
            f"{path}: map, covered and scan should have the same rows and columns, at most {MAX_SIDE}; got {shape}, "
            f"{found.covered_HW.shape}, {found.scan.shape}. Explain the run again."
        )
    return found


def level_of(map_HW: Floats, covered_HW: NDArray[np.bool_], share: float) -> float | None:
    """The value that the strongest `share` of the covered pixels reach; None if nothing is positive there."""
    values = map_HW[covered_HW & np.isfinite(map_HW)]
    if not values.size:
        return None
    level = float(np.quantile(values, 1 - share, method="higher"))
    positive = values[values > 0]
    if not positive.size:
        return None
    return level if level > 0 else float(positive.min())


def outlines(map_HW: Floats, level: float) -> list[list[tuple[float, float]]]:
    """Closed or open lines (x, y) around what is above `level`, in pixels, with the middle of the first pixel at (0.5, 0.5)."""
    padded = np.pad(map_HW, 1, constant_values=np.float32(min(0.0, float(map_HW.min(initial=0.0)))))
    lines = [np.asarray(line, dtype=np.float64) - 0.5 for line in contourpy.contour_generator(z=padded).lines(level)]
    return [[(round(float(x), 2), round(float(y), 2)) for x, y in line] for line in lines if len(line) > 2]


def measured(arrays: MapArrays, *, share: float, mm_per_px: Sequence[float] | None) -> dict[str, Any]:
    """What can be said of the map in numbers; parts that cannot be said are None.

    Args:
        arrays: of the map.
        share: of the covered pixels that are outlined.
        mm_per_px: rows and columns of a pixel in millimeters.
    """
    known_HW = arrays.known_HW
    positive_HW, negative_HW = np.clip(known_HW, 0, None), np.clip(-known_HW, 0, None)
    level = level_of(arrays.map_HW, arrays.covered_HW, share)
    against = level_of(-arrays.map_HW, arrays.covered_HW, share)
    inside_HW = np.zeros(known_HW.shape, dtype=bool) if level is None else known_HW >= level
    peak = np.unravel_index(int(np.argmax(known_HW)), known_HW.shape) if level is not None else None
    total, opposed = float(positive_HW.sum(dtype=np.float64)), float(negative_HW.sum(dtype=np.float64))
    return {
        "level_for": level,
        "level_against": None if against is None else -against,
        "share": share,
        "evidence_for": total,
        "evidence_against": opposed,
        "share_for": total / (total + opposed) if total + opposed > 0 else None,
        "quadrant": _quadrant(positive_HW),
        "peak_yx": None if peak is None else [int(peak[0]), int(peak[1])],
        "outlined_px": int(inside_HW.sum()),
        "outlined_mm2": None if mm_per_px is None else float(inside_HW.sum()) * mm_per_px[0] * mm_per_px[1],
        "evidence_in_outline": float(positive_HW[inside_HW].sum(dtype=np.float64)) / total if total > 0 else None,
    }


def _quadrant(positive_HW: Floats) -> dict[str, Any] | None:
    """The quarter of the picture that holds most evidence for the class, and how much of it."""
    height, width = positive_HW.shape
    rows, columns = (slice(0, height // 2), slice(height // 2, None)), (slice(0, width // 2), slice(width // 2, None))
    sums = np.array([[positive_HW[row, column].sum(dtype=np.float64) for column in columns] for row in rows])
    if sums.sum() <= 0:
        return None
    row, column = np.unravel_index(int(np.argmax(sums)), sums.shape)
    return {"name": _QUADRANTS[row][column], "share": float(sums[row, column] / sums.sum())}
