"""New images as a run takes them: pictures, and slices of NIfTI and DICOM volumes, read as in its training.

Slices are chosen and windowed by the settings that the run holds under `data`, where it was trained on such volumes; else by
the defaults of `NiftiSource` (axial, every slice with at least 2 % above background) and `DicomSource` (every slice, window
of the header), and a note says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from scanlens.data.dicom_pixels import read_frame
from scanlens.data.hidden_names import name_of_file
from scanlens.data.image_io import as_color, read_image
from scanlens.data.privacy_plan import PrivacyPlan
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.data.sources.dicom_series import NO_IMAGE, Slice, in_order, is_asked_for, is_dicom, list_slices
from scanlens.data.sources.listing import IMAGE_EXTENSIONS, files_below, is_image_name
from scanlens.data.sources.patients import patients_of
from scanlens.data.sources.volume_labels import volume_stem
from scanlens.data.volume_overlay import VolumeOverlay
from scanlens.data.volume_slices import Volume, VolumeSlicer
from scanlens.data.volumes import RecentlyUsed
from scanlens.errors import ImageError, RunError
from scanlens.types import Color, RawImage

KINDS = f"pictures ({', '.join(IMAGE_EXTENSIONS)}), NIfTI volumes (.nii, .nii.gz) or DICOM files"
_NIFTI, _DICOM = "scanlens.data.sources.nifti.NiftiSource", "scanlens.data.sources.dicom.DicomSource"
_SLICING = ("axis", "every", "slice_range", "min_content", "frame", "max_voxels", "max_pixels")
_LIMITS = ("max_pixels", "max_bytes")


@dataclass(frozen=True, slots=True)
class NewImage:
    """A picture, or one slice of a volume.

    Args:
        file: name below the folder that was given, or its pseudonym.
        read: gives the pixels, or raises ImageError with the reason.
        patient: name of a pattern, hash of a DICOM patient, else the volume; empty for a picture of nobody known.
        volume: file of a NIfTI volume, hash of a DICOM series; empty for pictures.
        slice: place in the volume.
        path: of a NIfTI volume; None for everything else.
        given: which of the paths it came from, to tell volumes of one name apart; -1 for known patients.
        modality: as a DICOM header states it; "" if unknown.
    """

    file: str
    read: Callable[[], RawImage]
    patient: str = ""
    volume: str = ""
    slice: int | None = None
    given: int = -1
    path: Path | None = None
    modality: str = ""

    @property
    def unit(self) -> tuple[int, str] | None:
        """What is judged as a whole with others; None for a picture of nobody known."""
        return (self.given, self.patient) if self.patient else None


class Intake:
    """Finds and reads what a run can judge.

    Args:
        data: the part `data` of the configuration of the run.
        color: what its data set holds.
        privacy: of the run, by which files, patients and volumes get pseudonyms.
        shows_files: files are called by their names all the same.
    """

    def __init__(
        self, data: Mapping[str, Any], color: Color, *, privacy: PrivacyPlan | None = None, shows_files: bool = False
    ) -> None:
        self._data, self._color = data, color
        self._privacy, self._shows_files = privacy or PrivacyPlan(), shows_files
        self._is_of_nifti, self._is_of_dicom = data.get("_target_") == _NIFTI, data.get("_target_") == _DICOM
        slicing = {key: data[key] for key in _SLICING if key in data} if self._is_of_nifti else {}
        self._slicer = VolumeSlicer(**slicing)
        self._volumes: RecentlyUsed[Volume] = RecentlyUsed(lambda path: self._slicer.load(Path(path)), most=1)
        self.notes: list[str] = []

    def images(self, paths: Sequence[Path]) -> Iterator[NewImage]:
        """Everything below the paths, volumes slice by slice; voxels are read one volume at a time.

        Links that lead out of a folder are not followed; of a folder, files of other kinds are passed over.

        Raises:
            RunError: a path is absent, or nothing that could be judged lies below them.
        """
        found = [self._listed(path) for path in paths]
        if not any(pictures or volumes or scans for _, pictures, volumes, scans in found):
            raise RunError(f"no {KINDS} below {', '.join(map(str, paths))}.")
        if not self._is_of_nifti and any(volumes for _, _, volumes, _ in found):
            self.notes.append(
                _untrained("NIfTI", f"{self._slicer.axis_name} slices with content, window of the volume")
            )
        if not self._is_of_dicom and any(scans for _, _, _, scans in found):
            self.notes.append(_untrained("DICOM", "every slice, window of the header"))
        for given, (root, pictures, volumes, scans) in enumerate(found):
            for image in chain(self._pictures(root, pictures), self._nifti(root, volumes, given)):
                yield self._shown(image) if self._privacy.hides(is_dicom=False) else image
            for image in self._dicom(root, scans, given):
                yield self._shown(image, is_dicom=True) if self._privacy.hides(is_dicom=True) else image

    def _shown(self, image: NewImage, *, is_dicom: bool = False) -> NewImage:
        """An image under the pseudonyms of `HiddenNames`; patients and series of DICOM files have theirs already."""
        file = self._pseudonyms.of(name_of_file(image.file))
        patient, volume = image.patient, image.volume
        if not is_dicom:
            patient, volume = patient and self._pseudonyms.of(patient), volume and file
        elif volume == image.file:  # of a file without a series
            patient, volume = (file if patient == volume else patient), file
        return replace(image, file=image.file if self._shows_files else file, patient=patient, volume=volume)

    @cached_property
    def _pseudonyms(self) -> Pseudonyms:
        return Pseudonyms()

    def overlay(self, path: Path) -> VolumeOverlay:
        """An empty map on the voxels of a NIfTI volume, cut as its slices are.

        Raises:
            ImageError: the volume can no longer be read, or is too large for a map.
        """
        try:
            return VolumeOverlay(self._slicer.header(path), axis=self._slicer.axis)
        except ValueError as error:
            raise ImageError(str(error)) from error

    def _listed(self, path: Path) -> tuple[Path, list[str], list[str], list[str]]:
        """Folder, and the names in it of pictures, NIfTI and DICOM; a file that is none of these counts as a picture."""
        if not path.is_dir() and not path.exists():
            raise RunError(
                f"there is no file or folder {path}. Give path=FILE or path=FOLDER, several times if needed."
            )
        root = path if path.is_dir() else path.parent
        names = files_below(path, notes=self.notes) if path.is_dir() else [path.name]
        pictures = [name for name in names if is_image_name(name, IMAGE_EXTENSIONS)]
        volumes = [name for name in names if volume_stem(name) is not None and not self._is_mask(name)]
        others = [name for name in names if not is_image_name(name, IMAGE_EXTENSIONS) and volume_stem(name) is None]
        scans = [name for name in others if is_dicom(root / name)]
        if not path.is_dir() and others and not scans:
            pictures = others
        return root, pictures, volumes, scans

    def _is_mask(self, name: str) -> bool:
        suffix = self._data.get("mask_suffix") if self._is_of_nifti else None
        return bool(suffix) and str(volume_stem(name)).endswith(str(suffix))

    def _known(self, names: Sequence[str]) -> dict[str, str]:
        """Patients by the pattern or the folders of the training."""
        pattern, patient_from = self._data.get("patient_pattern"), self._data.get("patient_from") or "none"
        return patients_of(names, {}, pattern, patient_from)[0]

    def _pictures(self, root: Path, names: Sequence[str]) -> Iterator[NewImage]:
        known = self._known(names)
        for name in names:
            yield NewImage(name, partial(read_image, root / name, color=self._color), known.get(name, ""))

    def _nifti(self, root: Path, names: Sequence[str], given: int) -> Iterator[NewImage]:
        known = self._known(names)
        for name in names:
            patient, place = known.get(name, str(volume_stem(name))), -1 if name in known else given
            try:
                header = self._slicer.header(root / name)
                kept = self._slicer.slices(header, self._volumes.get(str(root / name))).kept
                if not kept:
                    raise ImageError("no slice of the volume is kept (data.slice_range, data.min_content of the run)")
            except ImageError as error:
                yield NewImage(name, partial(_refuse, str(error)), patient, name, None, place)
                continue
            for index in kept:
                read = partial(self._slice, str(root / name), index)
                yield NewImage(name, read, patient, name, index, place, root / name)

    def _slice(self, path: str, index: int) -> RawImage:
        return as_color(self._slicer.image(self._volumes.get(path), index), self._color)

    def _dicom(self, root: Path, names: Sequence[str], given: int) -> Iterator[NewImage]:
        settings = self._data if self._is_of_dicom else {}
        limits = {key: settings[key] for key in _LIMITS if key in settings}
        slices, left_out = list_slices(root, names, **limits)
        for name, what in left_out.items():  # neither a patient nor a volume
            why = (
                "a DICOM file without an image" if what == NO_IMAGE else "its image (SOPInstanceUID) is in another file"
            )
            yield NewImage(name, partial(_refuse, why))
        pattern = (
            re.compile(settings["series_description_pattern"]) if settings.get("series_description_pattern") else None
        )
        asked = []
        for each in slices:
            if is_asked_for(each, settings.get("modality"), pattern):
                asked.append(each)
            else:
                why = "of another modality or series than the run was trained on"
                yield self._of_series(each, partial(_refuse, why), given)
        window = settings.get("window", "header")
        for each in in_order(asked, settings.get("every", 1)):
            read = partial(read_frame, root / each.name, each.frame or 0, window=window, **limits)
            yield self._of_series(each, partial(_colored, read, self._color), given)

    def _of_series(self, one: Slice, read: Callable[[], RawImage], given: int) -> NewImage:
        place = one.place if one.is_readable else None
        given = -1 if one.patient else given
        return NewImage(one.name, read, one.patient or one.volume, one.volume, place, given, modality=one.modality)


def _colored(read: Callable[[], RawImage], color: Color) -> RawImage:
    return as_color(read(), color)


def _refuse(reason: str) -> NoReturn:
    raise ImageError(reason)


def _untrained(kind: str, how: str) -> str:
    return f"the run was not trained on {kind} volumes; they are read by the defaults: {how}."
