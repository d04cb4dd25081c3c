"""Slices of NIfTI volumes as images; how they lie and which are kept, `volume_slices` says.

Legend of axes: H rows, W columns.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scanlens.data.sources.csv_rows import read_rows
from scanlens.data.sources.layout import Layout
from scanlens.data.sources.listing import existing_root, files_below, fingerprint_of
from scanlens.data.sources.patients import patients_of
from scanlens.data.sources.sidecars import read_sidecar
from scanlens.data.sources.volume_labels import labeled_layout, volume_stem
from scanlens.data.volume_slices import Slices, Volume, VolumeSlicer, as_shown
from scanlens.data.volumes import RecentlyUsed, VolumeHeader, lie_apart, read_voxels
from scanlens.errors import DataError, ImageError
from scanlens.types import Color, RawImage, Record

logger = logging.getLogger(__name__)

_NUM_THREADS = 2


class NiftiSource:
    """Slices of all `.nii` and `.nii.gz` files below one folder; a volume is the least that is never divided.

    A slice is called `<file>#<a, c or s><index>`, with the index in the volume in RAS+ order. A volume whose header,
    mask or voxels cannot be read is one record, called like the file, whose reading raises the reason.

    Args:
        root: folder of the volumes; None is refused with a word on where to get them.
        name: short name of the data set.
        about: public source, licence and citation.
        get_it_from: where the data set can be had, for the message when it is absent.
        class_names: the classes to use, in the order of the class index; volumes of others are left out. None: all
            that are found, sorted.
        labels: {file, by, key, label, meta}: a table below the root whose column `key` holds the relative name of a volume
            (with or without .nii.gz) if `by` is file (the default), or a patient if it is patient, and whose column
            `label` holds the class; `meta` are further columns to keep, such as [site]. None: class folders.
        given_splits: folder name to train, val or test. None: with class folders those above them called train,
            test and the like; with `labels` none. {}: no folder is a split.
        patients: {file, path, patient, meta}: table of who the patient of a volume is (`path`: relative name); goes
            before pattern and folder. Who has no patient by any of these is a patient of its own, per volume.
        patient_pattern: regular expression with one group, searched in the relative name, that gives the patient.
        patient_from: "folder": the folder that holds the volume is the patient.
        mask_suffix: `x_mask.nii.gz` is the lesion mask of `x.nii` or `x.nii.gz`, for "_mask": above 0 is lesion. It
            must have the shape of its volume and lie at the same place.
        axis: axial, coronal or sagittal, after reorienting to the closest RAS+ axes.
        every: take every n-th slice of the range, at least 1.
        slice_range: from and to, as shares of the extent in [0, 1]; a slice belongs if its center does. Counted from
            inferior (axial), posterior (coronal) or left (sagittal).
        min_content: leave out slices in which a smaller share of voxels is above background, in [0, 1]. Background
            reaches up to a tenth of the volume's window (its percentiles 0.5 to 99.5), from the lower end. With 0
            everything is kept, and listing reads headers only.
        frame: of 4-D files, from 0.
        sides_matter: left and right must not be exchanged.
        look_for_duplicates: no effect, since every volume has a patient.
        max_voxels: refuse larger volumes; frames before the chosen one count.
        max_pixels: refuse volumes with larger slices.

    Raises:
        ConfigError, DataError: what is asked for does not fit what is on disk.
    """

    color: Color = "gray"

    def __init__(
        self,
        *,
        root: str | None = None,
        name: str = "nifti",
        about: str = "",
        get_it_from: str = "",
        class_names: list[str] | None = None,
        labels: dict[str, str | list[str]] | None = None,
        given_splits: dict[str, str] | None = None,
        patients: dict[str, str | list[str]] | None = None,
        patient_pattern: str | None = None,
        patient_from: Literal["none", "folder"] = "none",
        mask_suffix: str | None = None,
        axis: Literal["axial", "coronal", "sagittal"] = "axial",
        every: int = 1,
        slice_range: list[float] | None = None,
        min_content: float = 0.02,
        frame: int = 0,
        sides_matter: bool = True,
        look_for_duplicates: bool = True,
        max_voxels: int = 512_000_000,
        max_pixels: int = 64_000_000,
    ) -> None:
        settings = {key: value for key, value in locals().items() if key not in ("self", "root", "__class__")}
        self._slicer = VolumeSlicer(
            axis=axis,
            every=every,
            slice_range=slice_range,
            min_content=min_content,
            frame=frame,
            max_voxels=max_voxels,
            max_pixels=max_pixels,
        )
        self.root = existing_root(root, name=name, get_it_from=get_it_from)
        self.name, self.about = name, about
        self.sides_matter, self.look_for_duplicates = sides_matter, look_for_duplicates
        self.notes: list[str] = []
        self._settings = settings
        self._volumes: RecentlyUsed[Volume] = RecentlyUsed(lambda each: self._slicer.load(self.root / each))
        self._masks: RecentlyUsed[NDArray[np.uint8]] = RecentlyUsed(self._load_mask)
        found = [each for each in files_below(self.root, notes=self.notes) if volume_stem(each) is not None]
        volumes, self._mask_of, mask_notes = _pair_masks(found, mask_suffix)
        self.notes += mask_notes
        if not volumes:
            raise DataError(
                f"{name}: no .nii or .nii.gz file was found under {self.root}. {' '.join(self.notes)}".rstrip()
            )
        tables, patient_of, meta_of = self._patients(volumes, patients, patient_pattern, patient_from)
        layout, label_file, label_meta = labeled_layout(
            volumes, patient_of, labels, class_names, given_splits, name=name, root=self.root
        )
        meta_of = {each: {**label_meta.get(each, {}), **meta_of.get(each, {})} for each in volumes}
        self.notes += layout.notes
        self.class_names = layout.class_names
        self._tables = tables + ([label_file] if label_file is not None else [])
        self._bad: dict[str, str] = {}
        self._place_of: dict[str, tuple[str, int]] = {}
        self._records = sorted(self._listed(layout, patient_of, meta_of), key=lambda record: record.id)
        if not self._records:
            raise DataError(
                f"{name}: the {len(layout.places)} volumes under {self.root} have no slice that is kept. Lower "
                "data.min_content, or widen data.slice_range."
            )
        self._names = list(layout.places)

    def records(self) -> list[Record]:
        """All slices, sorted by volume and index."""
        return list(self._records)

    def read(self, record: Record) -> RawImage:
        """One slice (H, W) as the head of this module says, in the volume's own values.

        Its `value_range` is the window of the whole volume (`is_windowed`), its `spacing_mm` that of rows and columns.

        Raises:
            ImageError: the volume cannot be read.
        """
        name, index = self._known(record)
        return self._slicer.image(self._volumes.get(name), index)

    def read_mask(self, record: Record) -> NDArray[np.uint8] | None:
        """The lesion in one slice, (H, W) of 0 and 1; None if the volume has no mask.

        Raises:
            ImageError: the mask cannot be read.
        """
        name, index = self._known(record)
        return as_shown(self._masks.get(name), self._slicer.axis, index) if name in self._mask_of else None

    def fingerprint(self) -> str:
        """sha256 that changes with any volume, mask, table or setting; where the folder lies does not matter."""
        files = {f"image/{name}": self.root / name for name in self._names}
        files |= {f"mask/{name}": self.root / mask for name, mask in self._mask_of.items()}
        files |= {f"table/{path.name}": path for path in self._tables}
        return fingerprint_of(files, self._settings)

    def _known(self, record: Record) -> tuple[str, int]:
        if record.id in self._bad:
            raise ImageError(self._bad[record.id])
        if record.id not in self._place_of:
            raise ImageError("there is no such slice in the data set")
        return self._place_of[record.id]

    def _patients(
        self,
        volumes: Sequence[str],
        table: Mapping[str, str | list[str]] | None,
        pattern: str | None,
        patient_from: str,
    ) -> tuple[list[Path], dict[str, str], Mapping[str, Mapping[str, str]]]:
        """Tables read, patient of every volume, and further columns."""
        if table is not None and "file" in table:
            read_rows(self.root / str(table["file"]))  # patients that are asked for and absent are an error
        sidecar = read_sidecar(self.root, table, names=volumes, setting="patients")
        known, _ = patients_of(volumes, sidecar.patients, pattern, patient_from)
        self.notes += sidecar.notes
        if num_alone := len(volumes) - len(known):
            self.notes.append(
                f"{num_alone} of {len(volumes)} volumes have no known patient; each is taken for a patient of its own. "
                "If a person has several, say who it is (data.patients, data.patient_pattern, data.patient_from)."
            )
        patient_of = {each: known.get(each, str(volume_stem(each))) for each in volumes}
        return [sidecar.file] if sidecar.file is not None else [], patient_of, sidecar.meta

    def _listed(
        self, layout: Layout, patient_of: Mapping[str, str], meta_of: Mapping[str, Mapping[str, str]]
    ) -> list[Record]:
        """Records of all volumes; `_bad` and `_place_of` are filled."""
        names = list(layout.places)
        if self._slicer.min_content > 0:
            logger.info("looking through %d volumes for empty slices", len(names))
        with ThreadPoolExecutor(_NUM_THREADS) as pool:
            slices = list(pool.map(self._slices, names))
        records, num_dropped, num_empty, num_unplaced = [], 0, 0, 0
        for name, found in zip(names, slices, strict=True):
            place, mask = layout.places[name], self._mask_of.get(name)
            common: dict[str, Any] = {"target": place.target, "patient": patient_of[name], "split": place.split}
            common["mask"] = None if mask is None else str(self.root / mask)
            if isinstance(found, str):
                self._bad[name] = found
                records.append(Record(id=name, path=str(self.root / name), meta=meta_of.get(name, {}), **common))
                continue
            num_dropped += found.num_dropped
            num_empty += not found.kept
            num_unplaced += not found.is_placed
            for index in found.kept:
                slice_id = f"{name}#{self._slicer.axis_name[0]}{index:04d}"
                self._place_of[slice_id] = (name, index)
                meta: dict[str, str | int | float] = {**meta_of.get(name, {}), "volume": name, "slice": index}
                records.append(Record(id=slice_id, path=str(self.root / slice_id), meta=meta, **common))
        if num_dropped:
            self.notes.append(
                f"{num_dropped} slices were left out as empty (data.min_content={self._slicer.min_content:g})."
            )
        if num_empty:
            self.notes.append(f"{num_empty} volumes have no slice that is kept.")
        if num_unplaced:
            self.notes.append(
                f"{num_unplaced} volumes do not say how they lie in space (qform and sform are unset); their first axis "
                "is taken to run to the left, the second to the front, the third upward."
            )
        return records

    def _slices(self, name: str) -> Slices | str:
        """The slices of one volume that are kept, or why it cannot be used."""
        try:
            header = self._slicer.header(self.root / name)
            if name in self._mask_of:
                self._check_mask(name, header)
            return self._slicer.slices(header)
        except ImageError as error:
            return str(error)

    def _mask_header(self, name: str) -> VolumeHeader:
        return self._slicer.header(self.root / self._mask_of[name], frame=0)

    def _check_mask(self, name: str, header: VolumeHeader) -> None:
        try:
            mask = self._mask_header(name)
        except ImageError as error:
            raise ImageError(f"its mask cannot be used: {error}") from error
        if mask.shape != header.shape:
            raise ImageError(f"its mask has the shape {mask.shape}, the volume {header.shape} (right, front, up)")
        if lie_apart(header, mask):
            raise ImageError("its mask lies elsewhere in space: the affines differ by more than half a voxel")

    def _load_mask(self, name: str) -> NDArray[np.uint8]:
        with np.errstate(invalid="ignore"):
            return (read_voxels(self._mask_header(name)) > 0).astype(np.uint8)


def _pair_masks(names: Sequence[str], suffix: str | None) -> tuple[list[str], dict[str, str], list[str]]:
    """Names of the volumes, volume to mask, and notes."""
    if not suffix:
        return list(names), {}, []
    stems = {name: str(volume_stem(name)) for name in names}
    masks = {
        stem.removesuffix(suffix): name
        for name, stem in stems.items()
        if stem.endswith(suffix) and PurePosixPath(stem).name != suffix
    }
    is_mask = set(masks.values())
    volumes = [name for name in names if name not in is_mask and not stems[name].endswith(suffix)]
    mask_of = {name: masks[stems[name]] for name in volumes if stems[name] in masks}
    num_orphans = len(names) - len(volumes) - len(set(mask_of.values()))
    return volumes, mask_of, [f"{num_orphans} masks belong to no volume and were left out."] if num_orphans else []
