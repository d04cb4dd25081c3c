"""Windows around boxes: an object with what lies around it, cut out of a larger image, and where in the window it is.

A window is a square whose side is a multiple of the box's longer side. It holds the whole box and lies inside the image; where in
these bounds is drawn for each object, so that the object is not always in the middle, where a map that knows nothing would hit it.
Every pixel of a window is a pixel of the image, nothing is padded: beside an image too small for it, the square shrinks to the image's
shorter side, and around a box longer than that it becomes a rectangle, cut at the image's edges.

Edges of boxes are counted in pixels from the upper left corner of the upright image: a box from 0 to 8 covers columns 0 to 7.

Legend of axes: H rows, W columns.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scanlens.errors import ConfigError, ImageError, did_you_mean
from scanlens.seeds import derived_seed

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_KEYS = (*_EDGES, "context", "seed")
_MOST_CONTEXT = 100
_LONGEST_SHOWN = 30  # characters of a cell in a message or an id
_DRAWN_BELOW = 2**63  # see derived_seed


class PixelBox(NamedTuple):
    """Edges of a box in pixels of its image; fractions are allowed."""

    left: float
    top: float
    right: float
    bottom: float

    def __str__(self) -> str:
        return "_".join(f"{edge:.10g}" for edge in self)


class Span(NamedTuple):
    """Pixels `first` to `end` - 1 of one axis."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an image, and the box in it; all in whole pixels of the image.

    Args:
        rows, columns: of the window.
        box_rows, box_columns: of the box, inside the window.
    """

    rows: Span
    columns: Span
    box_rows: Span
    box_columns: Span

    def cut(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """A copy of the window's pixels, of an image (H, W) or (H, W, C)."""
        return pixels[slice(*self.rows), slice(*self.columns)].copy()

    def mask(self) -> NDArray[np.uint8]:
        """(H, W) of the window: ones inside the box."""
        mask_HW = np.zeros((self.rows.end - self.rows.first, self.columns.end - self.columns.first), np.uint8)
        top, left = self.rows.first, self.columns.first
        mask_HW[
            self.box_rows.first - top : self.box_rows.end - top,
            self.box_columns.first - left : self.box_columns.end - left,
        ] = 1
        return mask_HW


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """Which columns hold a box, and how a window is laid around it.

    Args:
        columns: of left, top, right and bottom edge.
        context: side of the window as a multiple of the box's longer side, from 1 to 100.
        seed: of the place of windows.
    """

    columns: tuple[str, str, str, str]
    context: float
    seed: int

    def box_of(self, row: Mapping[str, str]) -> PixelBox:
        """The box that a row of a table holds.

        Raises:
            ImageError: it is no box; one line that says why.
        """
        numbers = []
        for column in self.columns:
            number = _number(row[column])
            if number is None or not math.isfinite(number):
                raise ImageError(
                    f"the box has {column}='{row[column][:_LONGEST_SHOWN]}'; a number of pixels is expected"
                )
            numbers.append(number)
        box = PixelBox(*numbers)
        width, height = box.right - box.left, box.bottom - box.top
        if width <= 0 or height <= 0:
            raise ImageError(f"the box {width:g} wide and {height:g} high has no area; edges are {_shown(box)}")
        if max(width, height) < 1:
            raise ImageError(f"the box is smaller than a pixel; edges in pixels are expected, {_shown(box)} came")
        return box

    def window(self, box: PixelBox, *, name: str, shape_hw: tuple[int, int]) -> Window:
        """The window around a box.

        Args:
            box: parts beyond the image are cut off.
            name: of the object; its place in the window is a pure function of this name and the seed.
            shape_hw: rows and columns of the image.

        Raises:
            ImageError: the box lies outside of the image.
        """
        height, width = shape_hw
        if box.left >= width or box.top >= height or box.right <= 0 or box.bottom <= 0:
            raise ImageError(f"the box {_shown(box)} lies outside of its image of {width} x {height} pixels")
        box_rows, box_columns = _span(box.top, box.bottom, height), _span(box.left, box.right, width)
        longer = max(box_rows.end - box_rows.first, box_columns.end - box_columns.first)
        side = max(longer, min(round(self.context * longer), height, width))
        draw = derived_seed(self.seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
        return Window(
            rows=_around(box_rows, side, height, draw=derived_seed(draw, 0)),
            columns=_around(box_columns, side, width, draw=derived_seed(draw, 1)),
            box_rows=box_rows,
            box_columns=box_columns,
        )


def window_plan(box: Mapping[str, str | int | float] | None) -> WindowPlan | None:
    """What the setting `data.box` asks for; None for None.

    Args:
        box: the columns `xmin`, `ymin`, `xmax` and `ymax`, and optionally `context` (2.5) and `seed` (1).

    Raises:
        ConfigError: all mistakes together.
    """
    if box is None:
        return None
    mistakes = [f"data.box.{key} is unknown. {did_you_mean(key, _KEYS)}" for key in box if key not in _KEYS]
    mistakes += [f"data.box.{key} is missing: the column of this edge." for key in _EDGES if not box.get(key)]
    context, seed = box.get("context", 2.5), box.get("seed", 1)
    if isinstance(context, bool) or not isinstance(context, int | float) or not 1 <= context <= _MOST_CONTEXT:
        mistakes.append(f"data.box.context: a number from 1 to {_MOST_CONTEXT} is expected, '{context}' came.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        mistakes.append(f"data.box.seed: a whole number is expected, '{seed}' came.")
    if mistakes:
        raise ConfigError(mistakes)
    left, top, right, bottom = (str(box[key]) for key in _EDGES)
    return WindowPlan((left, top, right, bottom), float(context), int(seed))


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _shown(box: PixelBox) -> str:
    return f"({', '.join(f'{edge:g}' for edge in box)})"


def _span(low: float, high: float, size: int) -> Span:
    """To the nearest pixel borders inside the image; at least one pixel."""
    first = min(max(round(low), 0), size - 1)
    return Span(first, min(max(round(high), first + 1), size))


def _around(box: Span, side: int, size: int, *, draw: int) -> Span:
    """One of the spans of this side that hold the box and lie inside the image, all equally likely."""
    side = min(side, size)
    lowest, highest = max(box.end - side, 0), min(box.first, size - side)
    first = lowest + draw * (highest - lowest + 1) // _DRAWN_BELOW
    return Span(first, first + side)
