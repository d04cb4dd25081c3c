"""Images listed in a CSV file, or windows around boxes in them, with label, patient, split, mask and further columns of any names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scanlens.data.image_io import read_image
from scanlens.data.sources.csv_rows import check_columns, filled, read_rows
from scanlens.data.sources.files import WINDOW_BOX, FileSource
from scanlens.data.sources.label_table import chosen_classes
from scanlens.data.sources.layout import SPLIT_FOLDERS
from scanlens.data.sources.listing import existing_root, is_inside
from scanlens.data.sources.windows import PixelBox, Window, WindowPlan, window_plan
from scanlens.errors import ConfigError, DataError, ImageError, did_you_mean
from scanlens.types import RawImage, Record, Split

_SPLIT_WORDS: dict[str, Split] = {**SPLIT_FOLDERS, "dev": "val"}
_NUM_HELD = 2  # whole images kept decoded, since windows of one image follow each other


class TableSource(FileSource):
    """Images that a CSV file lists, one a row; the separator may be a comma, a semicolon or a tab.

    With `box`, a row is one object in an image, and what is read is a window around its box (see `windows`), whose mask is the
    box. Its id is the path with the box behind it, `smears/1.png#68_315_286_480`, so that two windows of one file are two
    images everywhere; where no patient is known the file stands in for one, since windows of a file may overlap. A row whose
    box cannot be used, or repeats one above, is listed as `smears/1.png#row 17` and fails with its reason when it is read.

    Args:
        root: folder that all paths are relative to; None is refused with a word on where to get it.
        file: the CSV file, relative to the root.
        folder: that the paths of images and masks start from, relative to the root; None for the root.
        path: column of image files.
        target: column of class names; None if there are no classes. An empty cell is an unknown class.
        patient: column of whoever must not be divided between splits; None if nobody is known.
        split: column of train, val or test (or training, valid ...); None if none is given. An empty cell is no split.
        mask: column of mask files; None if there are none. An empty cell is no mask.
        box: columns `xmin`, `ymin`, `xmax`, `ymax` of edges in pixels of the upright image, `context`, the side of the window
            as a multiple of the box's longer side, and `seed`, of its place. None: the whole image.
        meta: further columns to keep.
        name: short name of the data set.
        about: public source, licence and citation.
        get_it_from: where the data set can be had, for the message when it is absent.
        class_names: the classes to use, in the order of the class index; rows of other classes are left out.
            None: all in the table, sorted.
        color: gray, rgb, or channels (three sequences, not colors); None to find out from some files.
        sides_matter: left and right must not be exchanged.
        look_for_duplicates: whether near-duplicates are looked for where no patient is known.
        max_rows: refuse longer tables.
        max_pixels: refuse larger images.

    Raises:
        ConfigError: `box` cannot be meant so, or comes with a column of masks.
        DataError: columns, paths, splits or classes that do not fit, with the first row concerned.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        file: str = "images.csv",
        folder: str | None = None,
        path: str = "path",
        target: str | None = "label",
        patient: str | None = "patient",
        split: str | None = None,
        mask: str | None = None,
        box: dict[str, str | float] | None = None,
        meta: list[str] | None = None,
        name: str = "table",
        about: str = "",
        get_it_from: str = "",
        class_names: list[str] | None = None,
        color: Literal["gray", "rgb", "channels"] | None = None,
        sides_matter: bool = True,
        look_for_duplicates: bool = True,
        max_rows: int = 2_000_000,
        max_pixels: int = 64_000_000,
    ) -> None:
        settings = {key: value for key, value in locals().items() if key not in ("self", "root", "__class__")}
        settings = {key: value for key, value in settings.items() if key not in ("folder", "box") or value is not None}
        self._plan = window_plan(box)
        if self._plan is not None and mask is not None:
            raise ConfigError([f"data.mask={mask}: with data.box the mask is the box; set one of them to null."])
        self._box_of: dict[str, PixelBox] = {}
        self._why_not: dict[str, str] = {}
        self._whole = lru_cache(maxsize=_NUM_HELD)(self._read_whole)
        below = existing_root(root, name=name, get_it_from=get_it_from)
        table = below / file
        rows = read_rows(table, max_rows=max_rows)
        columns = {"data.path": path, "data.target": target, "data.patient": patient, "data.split": split}
        columns |= {"data.mask": mask, **{f"data.meta[{place}]": column for place, column in enumerate(meta or [])}}
        if self._plan is not None:
            edges = ("xmin", "ymin", "xmax", "ymax")
            columns |= {f"data.box.{edge}": column for edge, column in zip(edges, self._plan.columns, strict=True)}
        check_columns(table, rows, columns)
        reader = _RowReader(table, below, folder or "", path, target, patient, split, mask, list(meta or []))
        records = [reader.record(number, row) for number, row in enumerate(rows, start=2)]
        if self._plan is not None:
            records = self._with_boxes(records, rows, self._plan)
        _check_ids(table, records)
        records, names, notes = _of_classes(records, class_names, has_targets=target is not None, table=table)
        notes += _check_presence(table, records)
        super().__init__(
            name=name,
            about=about,
            root=below,
            records=records,
            class_names=names,
            color=color,
            sides_matter=sides_matter,
            look_for_duplicates=look_for_duplicates,
            settings=settings,
            extra_files=[table],
            notes=notes,
            max_pixels=max_pixels,
        )

    def read(self, record: Record) -> RawImage:
        """The pixels of one record, the window where there is one, as gray, rgb or channels like the whole data set.

        Raises:
            ImageError: the file cannot be read, or the box is none.
        """
        if self._plan is None:
            return super().read(record)
        window, whole = self._window(record, self._plan)
        return replace(whole, pixels=window.cut(whole.pixels))

    def read_mask(self, record: Record) -> NDArray[np.uint8] | None:
        """The lesion, or the box in its window, (H, W) of 0 and 1 at the image's own size; None if the record has no mask.

        Raises:
            ImageError: the mask cannot be read, is not of the image's size, or the box is none.
        """
        return super().read_mask(record) if self._plan is None else self._window(record, self._plan)[0].mask()

    def _with_boxes(
        self, records: Sequence[Record], rows: Sequence[Mapping[str, str]], plan: WindowPlan
    ) -> list[Record]:
        """The records, told apart by their boxes; what cannot be used is remembered with its reason."""
        number_of: dict[str, int] = {}
        patients = _patient_of_each_file(records)
        found = []
        for number, (record, row) in enumerate(zip(records, rows, strict=True), start=2):
            mask = None
            try:
                box = plan.box_of(row)
                name, mask = f"{record.id}#{box}", f"{WINDOW_BOX}{box}"
                if name in number_of:
                    raise ImageError(
                        f"row {number} of the table repeats the image and the box of row {number_of[name]}"
                    )
                number_of[name], self._box_of[name] = number, box
            except ImageError as error:
                name, mask = f"{record.id}#row {number}", None
                self._why_not[name] = str(error)
            found.append(replace(record, id=name, mask=mask, patient=patients.get(record.id, record.id)))
        return found

    def _window(self, record: Record, plan: WindowPlan) -> tuple[Window, RawImage]:
        """The window of one record, and the image that it lies in."""
        if record.id in self._why_not:
            raise ImageError(self._why_not[record.id])
        whole = self._whole(record.path)
        height, width = whole.pixels.shape[:2]
        return plan.window(self._box_of[record.id], name=record.id, shape_hw=(height, width)), whole

    def _read_whole(self, path: str) -> RawImage:
        return read_image(path, color=self.color, max_pixels=self._max_pixels)


class _RowReader:
    """One row of the table to a record."""

    def __init__(
        self,
        table: Path,
        root: Path,
        folder: str,
        path: str,
        target: str | None,
        patient: str | None,
        split: str | None,
        mask: str | None,
        meta: Sequence[str],
    ) -> None:
        self._table, self._root, self._folder = table, root, folder
        self._path, self._target, self._patient = path, target, patient
        self._split, self._mask, self._meta = split, mask, meta

    def record(self, number: int, row: Mapping[str, str]) -> Record:
        if not row[self._path]:
            raise DataError(f"{self._table}, row {number}: the column '{self._path}' is empty; an image is expected.")
        path = self._inside(number, row[self._path])
        mask = self._cell(row, self._mask)
        return Record(
            id=path.relative_to(self._root).as_posix(),
            path=str(path),
            target=self._cell(row, self._target),
            patient=self._cell(row, self._patient),
            split=self._split_of(number, row),
            mask=None if mask is None else str(self._inside(number, mask)),
            meta={column: row[column] for column in self._meta},
        )

    def _cell(self, row: Mapping[str, str], column: str | None) -> str | None:
        return filled(row[column]) if column is not None else None

    def _inside(self, number: int, written: str) -> Path:
        path = Path(os.path.normpath(self._root / self._folder / written.replace("\\", "/")))
        if not path.is_relative_to(self._root) or not is_inside(path, self._root):
            raise DataError(
                f"{self._table}, row {number}: '{written}' leads out of {self._root}. "
                "Paths are relative to data.root and data.folder; set data.root to a folder above all images."
            )
        return path

    def _split_of(self, number: int, row: Mapping[str, str]) -> Split | None:
        word = self._cell(row, self._split)
        if word is not None and word.lower() not in _SPLIT_WORDS:
            raise DataError(
                f"{self._table}, row {number}: split '{word}' is unknown. "
                f"{did_you_mean(word.lower(), _SPLIT_WORDS)} For none, set data.split=null."
            )
        return _SPLIT_WORDS[word.lower()] if word is not None else None


def _patient_of_each_file(records: Sequence[Record]) -> dict[str, str]:
    """Id to patient, of files whose patient a row names.

    Raises:
        DataError: two rows of a file name two, whose windows may show the same pixels.
    """
    patients: dict[str, str] = {}
    for record in records:
        if record.patient is not None and patients.setdefault(record.id, record.patient) != record.patient:
            raise DataError(
                f"{record.id} has two patients, {patients[record.id]} and {record.patient}; one is expected for all "
                "windows of a file, which may overlap. Correct the table, or set data.patient=null."
            )
    return patients


def _check_ids(table: Path, records: Sequence[Record]) -> None:
    twice = [name for name, count in Counter(record.id for record in records).items() if count > 1]
    if twice:
        raise DataError(
            f"{table}: {len(twice)} images are listed more than once, such as '{twice[0]}'; one row each is expected."
        )


def _of_classes(
    records: list[Record], class_names: Sequence[str] | None, *, has_targets: bool, table: Path
) -> tuple[list[Record], list[str], list[str]]:
    """Records of the classes asked for, the classes in order, and notes."""
    if not has_targets:
        return records, [], []
    counts = Counter(record.target for record in records)
    found = sorted(name for name in counts if name is not None)
    wanted = chosen_classes(found, class_names, table=table)
    notes = [f"{counts[None]} rows have no class."] if counts[None] else []
    others = sum(counts[name] for name in found if name not in wanted)
    if others:
        notes.append(f"{others} rows are of no class in data.class_names and were left out.")
    return [record for record in records if record.target is None or record.target in wanted], wanted, notes


def _check_presence(table: Path, records: Sequence[Record]) -> list[str]:
    absent = [
        record.id for record in records if not os.path.exists(record.path)
    ]  # False, not an error, for a name that no disk can have
    if records and len(absent) == len(records):
        raise DataError(
            f"{table}: none of its {len(records)} images is there, for example '{absent[0]}'. "
            "Paths are relative to data.root and data.folder; set these or data.path."
        )
    return [f"{len(absent)} of {len(records)} images in data.file are not on disk."] if absent else []
