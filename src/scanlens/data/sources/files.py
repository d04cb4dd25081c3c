"""What all sources of ordinary image files share: reading a record and its mask in the data set's color."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.image_io import MAX_PIXELS, read_image, read_mask
from scanlens.data.sources.listing import fingerprint_of
from scanlens.errors import ConfigError, DataError, ImageError
from scanlens.types import Color, RawImage, Record

_NUM_LOOKED_AT = 24
_BOXES = "boxes:"
WINDOW_BOX = "window:"  # begins the mask of a record whose source cuts windows; the box itself follows

Box = tuple[float, float, float, float]


class FileSource:
    """A listed data set of image files.

    Args:
        name: short name of the data set.
        about: public source, licence and citation, for the report.
        root: absolute folder that all records lie in.
        records: what was found.
        class_names: in the order of the class index.
        color: what the images are; None: found by looking at some files spread over the set.
        sides_matter: left and right must not be exchanged.
        look_for_duplicates: whether near-duplicates are to be looked for where no patient is known.
        settings: everything that chose these records, for the fingerprint.
        extra_files: further files that decided something (tables of patients, boxes).
        notes: sentences for the summary of the run.
        max_pixels: refuse larger images.

    Raises:
        DataError: there is not one image.
        ConfigError: `color` is none of these.
    """

    def __init__(
        self,
        *,
        name: str,
        about: str,
        root: Path,
        records: Sequence[Record],
        class_names: Sequence[str],
        color: Color | None,
        sides_matter: bool,
        look_for_duplicates: bool,
        settings: Mapping[str, Any],
        extra_files: Sequence[Path] = (),
        notes: Sequence[str] = (),
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if not records:
            raise DataError(f"{name}: no image was found under {root}. {' '.join(notes)}".rstrip())
        if color not in (None, "gray", "rgb", "channels"):
            raise ConfigError([f"data.color: gray, rgb, channels or null is expected, '{color}' came."])
        self.name = name
        self.about = about
        self.root = root
        self.class_names = list(class_names)
        self.sides_matter = sides_matter
        self.look_for_duplicates = look_for_duplicates
        self.notes = list(notes)
        self._records = sorted(records, key=lambda record: record.id)
        self._settings = {key: value for key, value in settings.items() if key != "root"}
        self._extra_files = list(extra_files)
        self._max_pixels = max_pixels
        self.color: Color = color if color is not None else self._color_on_disk()

    def records(self) -> list[Record]:
        """All images, sorted by id."""
        return list(self._records)

    def read(self, record: Record) -> RawImage:
        """The pixels of one record, as gray, rgb or channels like the whole data set.

        Raises:
            ImageError: the file cannot be read.
        """
        return read_image(record.path, color=self.color, max_pixels=self._max_pixels)

    def read_mask(self, record: Record) -> NDArray[np.uint8] | None:
        """The lesion, (H, W) of 0 and 1 at the image's own size; None if the record has no mask.

        Raises:
            ImageError: the mask cannot be read or is not of the image's size.
        """
        if record.mask is None:
            return None
        height, width = self.read(record).pixels.shape[:2]
        if record.mask.startswith(_BOXES):
            return boxes_to_mask(_boxes_of(record.mask), height, width)
        mask_HW = read_mask(record.mask, max_pixels=self._max_pixels)
        if mask_HW.shape != (height, width):
            raise ImageError(
                f"the mask has {mask_HW.shape[1]} x {mask_HW.shape[0]} pixels, its image {width} x {height}"
            )
        return mask_HW

    def fingerprint(self) -> str:
        """sha256 that changes with any image, mask, table or setting; where the folder lies does not matter."""
        files = {f"image/{record.id}": Path(record.path) for record in self._records}
        for record in self._records:
            if record.mask is not None and not record.mask.startswith((_BOXES, WINDOW_BOX)):
                files[f"mask/{record.id}"] = Path(record.mask)
        files |= {f"table/{path.name}": path for path in self._extra_files}
        return fingerprint_of(files, {"name": self.name, "color": self.color, **self._settings})

    def _color_on_disk(self) -> Color:
        """Gray if all files looked at are gray, channels if one has such, else rgb (also if none can be read)."""
        step = max(1, len(self._records) // _NUM_LOOKED_AT)
        found: set[Color] = set()
        for record in self._records[::step]:
            try:
                found.add(read_image(record.path, max_pixels=self._max_pixels).color)
            except ImageError:
                continue  # it will be met again, and listed, when the data set is read
        if "channels" in found:
            return "channels"
        return "gray" if found == {"gray"} else "rgb"


def boxes_to_mask(boxes: Sequence[Box], height: int, width: int) -> NDArray[np.uint8]:
    """(H, W) of 0 and 1: ones inside boxes given as center x, center y, width, height, relative to the image.

    Edges go to the nearest pixel border; a box covers at least one pixel.
    """
    mask_HW = np.zeros((height, width), np.uint8)
    for x_center, y_center, box_width, box_height in boxes:
        left, right = _pixel_span(x_center, box_width, width)
        top, bottom = _pixel_span(y_center, box_height, height)
        mask_HW[top:bottom, left:right] = 1
    return mask_HW


def _pixel_span(center: float, extent: float, size: int) -> tuple[int, int]:
    first = min(max(round((center - extent / 2) * size), 0), size - 1)
    return first, min(max(round((center + extent / 2) * size), first + 1), size)


def boxes_as_text(boxes: Sequence[Box]) -> str:
    """How a record's `mask` holds boxes."""
    return _BOXES + ";".join(",".join(f"{number:g}" for number in box) for box in boxes)


def _boxes_of(text: str) -> list[Box]:
    return [tuple(map(float, box.split(","))) for box in text.removeprefix(_BOXES).split(";")]  # type: ignore[misc]
