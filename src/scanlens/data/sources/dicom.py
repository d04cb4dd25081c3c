"""DICOM files below one folder, grouped by their headers into patients, studies, series and slices."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from scanlens.data.dicom_files import (
    IDENTITY,
    IMAGE,
    MAX_BYTES,
    has_dicom_head,
    numbers,
    opened,
    parsing,
    read_header,
    text,
    whole,
)
from scanlens.data.dicom_pixels import Window, check_size, group_of, read_frame, spacing_of
from scanlens.data.image_io import as_color
from scanlens.data.sources.label_table import (
    Labels,
    chosen_classes,
    keyed_by,
    label_mistakes,
    read_label_meta,
    read_labels,
)
from scanlens.data.sources.layout import find_layout
from scanlens.data.sources.listing import existing_root, files_below, fingerprint_of
from scanlens.errors import ConfigError, DataError, ImageError
from scanlens.types import Color, RawImage, Record

By = Literal["patient", "study", "series", "file"]
_DICOM_NAMES = (".dcm", ".dicom", ".ima", ".dcm.gz")
_FRAME = "#f"


@dataclass(frozen=True, slots=True)
class _Slice:
    """One frame of one file, as its header describes it; `keys` never leave this module."""

    name: str
    frame: int | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    instance: str = ""
    number: float = 0.0
    position_mm: float | None = None
    modality: str = ""
    description: str = ""
    spacing_mm: tuple[float, float] | None = None
    is_color: bool = False
    is_readable: bool = True
    num_bytes: int = 0

    @property
    def id(self) -> str:
        return self.name if self.frame is None else f"{self.name}{_FRAME}{self.frame + 1:04d}"


class DicomSource:
    """Slices of DICOM files of any name below one folder, each frame of a multi-frame file one image.

    A record's `meta` says manufacturer and model of the scanner, and the institution as a hash: any may serve as site.
    Patients are known by a hash of PatientID and IssuerOfPatientID; neither these nor names leave the folder. Slices of a
    series follow each other by position along the normal of the slices, else by InstanceNumber (PS3.3 C.7.6.2.1.1).

    Args:
        root: folder of the files; None is refused with a word on where to get them.
        name: short name of the data set.
        about: public source, licence and citation.
        get_it_from: where the data set can be had, for the message when it is absent.
        labels: {file, by, key, label, meta}: a CSV file below the root, what its rows stand for (patient, study, series: the
            values of PatientID, StudyInstanceUID, SeriesInstanceUID; file: relative names), its columns of these keys
            and of class names, and further ones to keep, such as [site]. None: class folders, as in `data=folder`.
        class_names: the classes to use, in the order of the class index; others are left out. None: all found, sorted.
        modality: only this modality, such as MR; None for all.
        series_description_pattern: regular expression; only series whose description has a match. None for all.
        every: take each n-th slice of a series; 1 for all.
        window: "header": the window of the header where there is one, else percentiles; "percentile": always these.
        color: gray or rgb; None to find out from the headers.
        sides_matter: left and right must not be exchanged.
        look_for_duplicates: whether near-duplicates are looked for where no patient is known.
        max_pixels: refuse larger images (rows times columns).
        max_bytes: refuse larger files, also when unzipped.

    Raises:
        ConfigError, DataError: what is asked for does not fit what is on disk.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        name: str = "dicom",
        about: str = "",
        get_it_from: str = "",
        labels: dict[str, str | list[str]] | None = None,
        class_names: list[str] | None = None,
        modality: str | None = None,
        series_description_pattern: str | None = None,
        every: int = 1,
        window: Window = "header",
        color: Literal["gray", "rgb"] | None = None,
        sides_matter: bool = True,
        look_for_duplicates: bool = True,
        max_pixels: int = 64_000_000,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        settings = {key: value for key, value in locals().items() if key not in ("self", "root", "__class__")}
        pattern = _checked(labels, series_description_pattern, every, window, color)
        self.name, self.about = name, about
        self.root = existing_root(root, name=name, get_it_from=get_it_from)
        self.sides_matter, self.look_for_duplicates = sides_matter, look_for_duplicates
        self.notes: list[str] = []
        self._window, self._max_pixels, self._max_bytes = window, max_pixels, max_bytes
        table = self.root / str(labels["file"]) if labels is not None else None
        names = [each for each in files_below(self.root, notes=self.notes) if self.root / each != table]
        slices = _without_doubles(self._listed(names), self.notes)
        slices = _in_order(_chosen(slices, modality, pattern, self.notes), every)
        if not slices:
            raise DataError(f"{name}: no DICOM image was found under {self.root}. {' '.join(self.notes)}".rstrip())
        target_of, self.class_names = self._targets(slices, labels, class_names)
        self._label_by, self._label_meta = keyed_by(labels or {}), {}
        if labels is not None and table is not None:
            self._label_meta = read_label_meta(table, labels)
        self._records = [self._record(each, target_of[each.id]) for each in slices if each.id in target_of]
        if not self._records:
            raise DataError(f"{name}: no image under {self.root} has a class. {' '.join(self.notes)}".rstrip())
        _note_unknown_patients(self._records, self.notes)
        is_rgb = any(each.is_color for each in slices if each.is_readable)
        self.color: Color = color if color is not None else ("rgb" if is_rgb else "gray")
        self._fingerprint = fingerprint_of(
            {each: self.root / each for each in names} | ({"table": table} if table is not None else {}),
            {**settings, "color": self.color},
        )

    def records(self) -> list[Record]:
        """All slices, series after series, each in the order of its slices."""
        return list(self._records)

    def read(self, record: Record) -> RawImage:
        """The slice, gray (H, W) or rgb (H, W, 3); see `read_frame` for units and window.

        Raises:
            ImageError: it cannot be read.
        """
        path, _, frame = record.path.rpartition("#")
        raw = read_frame(path, int(frame), window=self._window, max_pixels=self._max_pixels, max_bytes=self._max_bytes)
        return as_color(raw, self.color)

    def read_mask(self, record: Record) -> NDArray[np.uint8] | None:
        """None: masks of DICOM segmentations are not read."""
        return None

    def fingerprint(self) -> str:
        """sha256 that changes with any file below the root or any setting; where the folder lies does not matter."""
        return self._fingerprint

    def _listed(self, names: Sequence[str]) -> list[_Slice]:
        slices, left_out = [], Counter[str]()
        for name in names:
            is_named_so = name.lower().endswith(_DICOM_NAMES)
            if not is_named_so and not has_dicom_head(self.root / name):
                left_out["are no DICOM files"] += 1
                continue
            try:
                found = self._slices_of(name)
            except ImageError:
                found = [_Slice(name, is_readable=False)]  # its reason goes to quarantine when it is read
            if not found:
                left_out["are DICOM files without an image (plans, reports, directories)"] += 1
            slices += found
        self.notes += [f"{count} files {what} and were left out." for what, count in left_out.items()]
        return slices

    def _slices_of(self, name: str) -> list[_Slice]:
        with opened(self.root / name, max_bytes=self._max_bytes) as file:
            header = read_header(file, keywords=IDENTITY + IMAGE, max_bytes=self._max_bytes)
            with parsing():
                if "Rows" not in header and "Columns" not in header:
                    return []
                num_frames = check_size(header, file.num_bytes, self._max_pixels)
                frames = [None] if num_frames == 1 else list(range(num_frames))
                return [_slice(name, header, frame, file.num_bytes) for frame in frames]

    def _record(self, one: _Slice, target: str | None) -> Record:
        meta: dict[str, str | int | float] = {"modality": one.modality, "series": _hash(one.keys.get("series", ""))}
        meta["position_mm"] = "" if one.position_mm is None else round(one.position_mm, 4)
        meta["spacing_mm"] = "" if one.spacing_mm is None else f"{one.spacing_mm[0]:g} x {one.spacing_mm[1]:g}"
        meta |= {name: one.keys.get(name, "") for name in ("manufacturer", "model")}
        meta["institution"] = _hash(one.keys.get("institution", ""))
        meta |= self._label_meta.get(_key(one, self._label_by), {})
        patient = one.keys.get("patient", "")
        return Record(
            id=one.id,
            path=f"{self.root / one.name}#{one.frame or 0}",
            target=target,
            patient=_hash(f"{one.keys.get('issuer', '')}\0{patient}") if patient else None,
            meta=meta,
        )

    def _targets(
        self, slices: Sequence[_Slice], labels: Labels | None, class_names: Sequence[str] | None
    ) -> tuple[dict[str, str | None], list[str]]:
        """Class of each slice that belongs to the data set, and the classes in order."""
        if labels is None:
            names = sorted({each.name for each in slices})
            layout = find_layout(
                names, class_names=class_names, class_folders=None, given_splits={}, source=self.name, root=self.root
            )
            self.notes += layout.notes
            return {s.id: layout.places[s.name].target for s in slices if s.name in layout.places}, layout.class_names
        table, by = self.root / str(labels["file"]), keyed_by(labels)
        label_of = read_labels(table, labels)
        target_of = {each.id: label_of.get(_key(each, by)) for each in slices}
        found = {target for target in target_of.values() if target is not None}
        if not found:
            raise DataError(
                f"{table}: no row of column '{labels['key']}' is a {by} under {self.root}. "
                "Check data.labels.by and data.labels.key."
            )
        wanted = chosen_classes(found, class_names, table=table)
        if unknown := sum(target is None for target in target_of.values()):
            self.notes.append(f"{unknown} of {len(target_of)} images have no row in {table.name}, so no class.")
        return {key: target for key, target in target_of.items() if target is None or target in wanted}, wanted


def _checked(
    labels: Labels | None, pattern: str | None, every: int, window: str, color: str | None
) -> re.Pattern[str] | None:
    mistakes = []
    if labels is not None:
        mistakes += label_mistakes(labels, choices=get_args(By))
    if every < 1:
        mistakes.append(f"data.every: 1 or more is expected, {every} came.")
    if window not in get_args(Window):
        mistakes.append(f"data.window: header or percentile is expected, '{window}' came.")
    if color not in (None, "gray", "rgb"):
        mistakes.append(f"data.color: gray, rgb or null is expected, '{color}' came.")
    compiled = None
    try:
        compiled = re.compile(pattern) if pattern is not None else None
    except re.error as error:
        mistakes.append(f"series_description_pattern '{pattern}' is not a regular expression: {error}.")
    if mistakes:
        raise ConfigError(mistakes)
    return compiled


def _slice(name: str, header: Dataset, frame: int | None, num_bytes: int) -> _Slice:
    place = frame or 0
    keys = {
        "patient": text(header, "PatientID"),
        "issuer": text(header, "IssuerOfPatientID"),
        "study": text(header, "StudyInstanceUID"),
        "series": text(header, "SeriesInstanceUID"),
        "institution": text(header, "InstitutionName").casefold(),
        "manufacturer": _machine(header, "Manufacturer"),
        "model": _machine(header, "ManufacturerModelName"),
    }
    modality = text(header, "Modality")
    return _Slice(
        name,
        frame,
        keys,
        instance=text(header, "SOPInstanceUID"),
        number=float(whole(header, "InstanceNumber") or 0),
        position_mm=_position(header, place),
        modality=modality if re.fullmatch(r"[A-Z0-9_]{1,16}", modality) else "",
        description=text(header, "SeriesDescription"),
        spacing_mm=spacing_of(header, place),
        num_bytes=num_bytes,
        is_color=(whole(header, "SamplesPerPixel") or 1) > 1
        or text(header, "PhotometricInterpretation") == "PALETTE COLOR",
    )


def _machine(header: Dataset, keyword: str) -> str:
    """What a scanner is called, without signs that a name of one has no use for, and no longer than PS3.5 allows."""
    return re.sub(r"[^\w .,()+/-]", "", text(header, keyword))[:64].strip()


def _position(header: Dataset, frame: int) -> float | None:
    """Along the normal of the slice in mm, from ImagePositionPatient and ImageOrientationPatient (PS3.3 C.7.6.2)."""
    own_position = group_of(header, frame, "PlanePositionSequence")
    own_orientation = group_of(header, frame, "PlaneOrientationSequence")
    position = numbers(own_position, "ImagePositionPatient", count=3) or numbers(
        header, "ImagePositionPatient", count=3
    )
    directions = numbers(own_orientation, "ImageOrientationPatient", count=6)
    directions = directions or numbers(header, "ImageOrientationPatient", count=6)
    if position is None or directions is None:
        return None
    found = float(np.dot(np.cross(directions[:3], directions[3:]), position))
    return found if np.isfinite(found) else None


def _without_doubles(slices: Sequence[_Slice], notes: list[str]) -> list[_Slice]:
    """The largest file of each SOPInstanceUID, since a copy may be cut off; of equal ones the first."""
    best: dict[str, str] = {}
    for one in sorted(slices, key=lambda s: (-s.num_bytes, s.name)):
        best.setdefault(one.instance, one.name)
    kept = [s for s in slices if not s.instance or best[s.instance] == s.name]
    doubles = {s.name for s in slices} - {s.name for s in kept}
    if doubles:
        notes.append(f"{len(doubles)} files repeat an image (SOPInstanceUID) of another file and were left out.")
    return kept


def _chosen(
    slices: Sequence[_Slice], modality: str | None, pattern: re.Pattern[str] | None, notes: list[str]
) -> list[_Slice]:
    """Of the modality and the series asked for; what cannot be read stays, to be quarantined."""
    kept = [
        s
        for s in slices
        if not s.is_readable
        or ((modality is None or s.modality == modality) and (pattern is None or pattern.search(s.description)))
    ]
    if len(kept) < len(slices):
        notes.append(f"{len(slices) - len(kept)} images are of other modalities or series and were left out.")
    return kept


def _in_order(slices: Sequence[_Slice], every: int) -> list[_Slice]:
    """Series in the order of their first file, slices by position (else number), each n-th of a series."""
    series: dict[str, list[_Slice]] = {}
    for one in sorted(slices, key=lambda s: s.id):
        key = one.keys.get("series") if one.is_readable else None
        series.setdefault(key or f"{one.name}\0", []).append(one)
    ordered = []
    for members in series.values():
        has_positions = all(one.position_mm is not None for one in members)
        members.sort(key=lambda s: (s.position_mm if has_positions else 0.0, s.number, s.id))  # type: ignore[arg-type, return-value]
        ordered += members[::every]
    return ordered


def _key(one: _Slice, by: str) -> str:
    return one.name if by == "file" else one.keys.get(by, "")


def _note_unknown_patients(records: Sequence[Record], notes: list[str]) -> None:
    if unknown := sum(record.patient is None for record in records):
        notes.append(f"{unknown} of {len(records)} images have no known patient (PatientID is empty or unreadable).")


def _hash(value: Any) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()[:12] if value else ""
