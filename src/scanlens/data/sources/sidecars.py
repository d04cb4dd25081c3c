"""Tables beside class folders: who the patient of an image is, and where lesions are boxed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scanlens.data.sources.csv_rows import check_columns, filled, read_rows
from scanlens.data.sources.files import Box
from scanlens.errors import ConfigError, DataError, did_you_mean

_SIDECAR_KEYS = ("file", "path", "patient", "meta")
_BOX_KEYS = ("file", "path", "x_center", "y_center", "width", "height")


@dataclass(frozen=True, slots=True)
class SidecarTable:
    """What a table says of images, by relative name.

    Args:
        patients: name to patient.
        meta: name to further columns, as written.
        boxes: name to lesion boxes, relative to width and height.
        file: the table; None where there is none.
        notes: what is missing.
    """

    patients: dict[str, str] = field(default_factory=dict)
    meta: dict[str, dict[str, str]] = field(default_factory=dict)
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    file: Path | None = None
    notes: list[str] = field(default_factory=list)


def read_sidecar(
    root: Path, sidecar: Mapping[str, str | list[str]] | None, *, names: Collection[str], setting: str = "sidecar"
) -> SidecarTable:
    """Patients and further columns.

    Args:
        root: folder of the data set.
        sidecar: `file` (below the root), `path` (column of relative image names), `patient` (column) and optionally
            `meta` (list of columns). None for nothing.
        names: the images there are.
        setting: what the settings are called, for messages.

    Raises:
        ConfigError, DataError: wrong keys or columns, or one image with two patients.
    """
    if sidecar is None:
        return SidecarTable()
    _check_keys(setting, sidecar, _SIDECAR_KEYS, optional=("meta", "patient"))
    meta = sidecar.get("meta", [])
    columns = [meta] if isinstance(meta, str) else list(meta)
    file = root / str(sidecar["file"])
    if not file.is_file():
        return SidecarTable(
            notes=[f"data.{setting}.file is not under data.root, so what it says of patients is not known."]
        )
    rows = read_rows(file)
    patient_column = str(sidecar["patient"]) if "patient" in sidecar else None
    wanted: dict[str, str | None] = {f"{setting}.path": str(sidecar["path"]), f"{setting}.patient": patient_column}
    check_columns(file, rows, wanted | {f"{setting}.meta[{place}]": name for place, name in enumerate(columns)})
    patients: dict[str, str] = {}
    meta_of: dict[str, dict[str, str]] = {}
    for row in rows:
        name = _relative(row[str(sidecar["path"])])
        meta_of[name] = {column: row[column] for column in columns}
        patient = filled(row[patient_column]) if patient_column else None
        if patient and patients.setdefault(name, patient) != patient:
            raise DataError(f"{file}: {name} has two patients, {patients[name]} and {patient}.")
    return SidecarTable(patients, meta_of, file=file, notes=_coverage(f"data.{setting}.file", names, meta_of))


def read_boxes(root: Path, boxes: Mapping[str, str] | None) -> SidecarTable:
    """Lesion boxes, several an image allowed.

    Args:
        root: folder of the data set.
        boxes: `file` and the columns `path`, `x_center`, `y_center`, `width`, `height`, the last four as shares of the
            image's width and height. None for nothing.

    Raises:
        ConfigError, DataError: wrong keys, columns or numbers.
    """
    if boxes is None:
        return SidecarTable()
    _check_keys("boxes", boxes, _BOX_KEYS, optional=())
    file = root / boxes["file"]
    if not file.is_file():
        return SidecarTable(notes=["data.boxes.file is not under data.root, so no lesion boxes are known."])
    rows = read_rows(file)
    check_columns(file, rows, {f"boxes.{key}": boxes[key] for key in _BOX_KEYS if key != "file"})
    found: dict[str, list[Box]] = {}
    for number, row in enumerate(rows, start=2):
        found.setdefault(_relative(row[boxes["path"]]), []).append(_box(file, number, row, boxes))
    return SidecarTable(boxes=found, file=file)


def _box(file: Path, number: int, row: Mapping[str, str], boxes: Mapping[str, str]) -> Box:
    try:
        x_center, y_center, width, height = (float(row[boxes[key]]) for key in _BOX_KEYS[2:])
    except ValueError as error:
        raise DataError(f"{file}, row {number}: numbers are expected for the box ({error}).") from error
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in (x_center, y_center, width, height)):
        raise DataError(f"{file}, row {number}: a box is given in shares of the image, between 0 and 1.")
    return x_center, y_center, width, height


def _coverage(table: str, names: Collection[str], rows: Collection[str]) -> list[str]:
    notes = []
    if num_absent := len(set(rows) - set(names)):
        notes.append(f"{table} names {num_absent} images that are not on disk.")
    if num_unnamed := len(set(names) - set(rows)):
        notes.append(f"{table} says nothing of {num_unnamed} of {len(names)} images.")
    return notes


def _relative(path: str) -> str:
    return Path(path.replace("\\", "/")).as_posix()


def _check_keys(setting: str, given: Mapping[str, object], keys: Sequence[str], *, optional: Sequence[str]) -> None:
    mistakes = [f"{setting}.{key} is unknown. {did_you_mean(key, keys)}" for key in given if key not in keys]
    mistakes += [f"{setting}.{key} is missing." for key in keys if key not in given and key not in optional]
    if mistakes:
        raise ConfigError(mistakes)
