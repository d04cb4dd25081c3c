"""DICOM files below one folder, grouped by their headers into patients, studies, series and slices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from scanlens.data.dicom_files import MAX_BYTES
from scanlens.data.dicom_pixels import read_frame
from scanlens.data.dicom_voi import Window
from scanlens.data.image_io import as_color
from scanlens.data.sources.dicom_series import Slice, in_order, is_asked_for, list_slices
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
from scanlens.errors import ConfigError, DataError
from scanlens.types import Color, RawImage, Record

By = Literal["patient", "study", "series", "file"]


class DicomSource:
    """Slices of DICOM files of any name below one folder, each frame of a multi-frame file one image.

    A record's `meta` says manufacturer and model of the scanner, and the institution as a hash: any may serve as site.
    Patients are known by a pseudonym, a hash of PatientID and IssuerOfPatientID under a secret key (see `data.pseudonyms`);
    neither these nor names leave the folder. Another key gives other pseudonyms, and another split of the same seed. Slices of a
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
        window: "header": the VOI LUT table or the window of the header where there is one (see `dicom_voi`), else percentiles;
            "percentile": always these.
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
        slices, left_out = list_slices(self.root, names, max_pixels=max_pixels, max_bytes=max_bytes)
        self.notes += [f"{num} files {what} and were left out." for what, num in Counter(left_out.values()).items()]
        slices = in_order(_chosen(slices, modality, pattern, self.notes), every)
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
        self.notes_if_named = _telling_names(slices)
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

    def _record(self, one: Slice, target: str | None) -> Record:
        meta: dict[str, str | int | float] = {"modality": one.modality, "series": one.series}
        meta["position_mm"] = "" if one.position_mm is None else round(one.position_mm, 4)
        meta["spacing_mm"] = "" if one.spacing_mm is None else f"{one.spacing_mm[0]:g} x {one.spacing_mm[1]:g}"
        meta |= {"volume": one.volume, "slice": one.place}
        meta |= {name: one.keys.get(name, "") for name in ("manufacturer", "model")}
        meta["institution"] = one.institution
        meta |= self._label_meta.get(_key(one, self._label_by), {})
        return Record(
            id=one.id,
            path=f"{self.root / one.name}#{one.frame or 0}",
            target=target,
            patient=one.patient,
            meta=meta,
        )

    def _targets(
        self, slices: Sequence[Slice], labels: Labels | None, class_names: Sequence[str] | None
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
            self.notes.append(f"{unknown} of {len(target_of)} images have no row in data.labels.file, so no class.")
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


def _chosen(
    slices: Sequence[Slice], modality: str | None, pattern: re.Pattern[str] | None, notes: list[str]
) -> list[Slice]:
    """Of the modality and the series asked for; what cannot be read stays, to be quarantined."""
    kept = [each for each in slices if is_asked_for(each, modality, pattern)]
    if len(kept) < len(slices):
        notes.append(f"{len(slices) - len(kept)} images are of other modalities or series and were left out.")
    return kept


def _key(one: Slice, by: str) -> str:
    return one.name if by == "file" else one.keys.get(by, "")


def _note_unknown_patients(records: Sequence[Record], notes: list[str]) -> None:
    if unknown := sum(record.patient is None for record in records):
        notes.append(f"{unknown} of {len(records)} images have no known patient (PatientID is empty or unreadable).")


def _telling_names(slices: Sequence[Slice]) -> list[str]:
    """What is to be told where split.csv and tables of predictions name files: exports often call folders after patients."""
    telling = {one.name for one in slices if len(one.keys.get("patient", "")) >= 4 and one.keys["patient"] in one.name}
    if not telling:
        return []
    return [
        f"{len(telling)} names of files hold the PatientID, and so do the tables of the run folder that name files. "
        "Set privacy.names=hide, or rename the files, if the folder is to be shared."
    ]
