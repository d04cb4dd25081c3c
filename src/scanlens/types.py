"""The nouns that every room shares: plain data, no behaviour.

Legend of axes: B images in a batch, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Color = Literal["gray", "rgb", "channels"]


@dataclass(frozen=True, slots=True)
class Record:
    """One image as a source lists it, before anything is read.

    Args:
        id: unique within the data set and stable between runs: the path below the root, with forward slashes.
        path: where the pixels are; an absolute file name, or a name that only its source understands.
        target: class name, or None if unknown.
        patient: whoever must not be divided between splits; None if unknown.
        split: the split that the data set itself gives, or None.
        mask: where the lesion mask is, or None.
        meta: further columns (site, sex, lesion size ...), as written.
    """

    id: str
    path: str
    target: str | None = None
    patient: str | None = None
    split: Split | None = None
    mask: str | None = None
    meta: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sides:
    """Which side of the patient lies at each edge of a picture: letters R, L, A, P, H, F, one or more at each."""

    left: str
    right: str
    top: str
    bottom: str


@dataclass(frozen=True, slots=True)
class RawImage:
    """Pixels as stored, with their meaning settled.

    Args:
        pixels: (H, W) or (H, W, C), in the file's own depth (uint8, uint16, float32); larger is brighter.
        color: "gray" for (H, W); "rgb" for three color channels; "channels" for (H, W, C) of anything else,
            such as three MRI sequences.
        value_range: the smallest and largest value that this kind of file can hold, such as (0, 255) or (0, 65535); or
            the window in which to show it, if `is_windowed`.
        spacing_mm: (row, column) distance of pixel centers, or None if unknown.
        is_windowed: `value_range` is a window that means something, of the header or percentiles of a whole volume; what
            lies beyond may be clipped.
        sides: of the patient at the edges, as the header tells them; None if unknown.
        burnt_in: why the header lets one fear text in the pixels; "" where nothing in it does.
    """

    pixels: NDArray[np.generic]
    color: Color
    value_range: tuple[float, float]
    spacing_mm: tuple[float, float] | None = None
    is_windowed: bool = False
    sides: Sides | None = None
    burnt_in: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that could not be used, and why (one line, no path of the machine in it)."""

    id: str
    reason: str
