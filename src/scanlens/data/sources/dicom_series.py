"""The images of DICOM files: each frame by its header, grouped into series and put in the order of their slices.

Names of people and numbers of patients stay inside: what leaves is a pseudonym (`Pseudonyms`).

References:
    DICOM PS3.3 C.7.6.2.1.1 (position and orientation of slices).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from scanlens.data.dicom_files import (
    IDENTITY,
    IMAGE,
    MAX_BYTES,
    functional_group,
    has_dicom_head,
    numbers,
    opened,
    parsing,
    read_header,
    text,
    whole,
)
from scanlens.data.dicom_pixels import check_size, spacing_of
from scanlens.data.image_io import MAX_PIXELS
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.errors import ImageError

NO_DICOM = "are no DICOM files"
NO_IMAGE = "are DICOM files without an image (plans, reports, directories)"
REPEATED = "repeat an image (SOPInstanceUID) of another file"
_DICOM_NAMES = (".dcm", ".dicom", ".ima", ".dcm.gz")
_FRAME = "#f"


@dataclass(frozen=True, slots=True)
class Slice:
    """One frame of one file, as its header describes it; `keys` never leave the sources.

    `patient` is a pseudonym of PatientID and IssuerOfPatientID, None if unknown; `series` one of SeriesInstanceUID, and
    `institution` one of InstitutionName, empty if unknown.
    """

    name: str
    frame: int | None = None
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    patient: str | None = None
    series: str = ""
    institution: str = ""
    instance: str = ""
    number: float = 0.0
    position_mm: float | None = None
    modality: str = ""
    description: str = ""
    spacing_mm: tuple[float, float] | None = None
    is_color: bool = False
    is_readable: bool = True
    num_bytes: int = 0
    place: int = 0

    @property
    def id(self) -> str:
        return self.name if self.frame is None else f"{self.name}{_FRAME}{self.frame + 1:04d}"

    @property
    def volume(self) -> str:
        """The series, or the name of a file that says none."""
        return self.series or self.name


def is_dicom(path: Path) -> bool:
    """Whether a file is called like DICOM or begins like it."""
    return path.name.lower().endswith(_DICOM_NAMES) or has_dicom_head(path)


def list_slices(
    root: Path, names: Sequence[str], *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> tuple[list[Slice], dict[str, str]]:
    """The images of the files, and the files that are left out with what they are (NO_DICOM, NO_IMAGE, REPEATED).

    A file whose header cannot be read is one slice with `is_readable` false; reading it raises the reason.

    Args:
        root: folder of the files.
        names: relative to it.
        max_pixels: refuse larger images (rows times columns).
        max_bytes: refuse larger files, also when unzipped.

    Raises:
        ConfigError: there is no key for pseudonyms (see `pseudonyms`).
    """
    slices: list[Slice] = []
    pseudonyms: Pseudonyms | None = None  # no key is asked for where there is no DICOM file
    left_out: dict[str, str] = {}
    for name in names:
        if not is_dicom(root / name):
            left_out[name] = NO_DICOM
            continue
        pseudonyms = pseudonyms or Pseudonyms()
        try:
            found = _slices_of(root, name, pseudonyms, max_pixels, max_bytes)
        except ImageError:
            found = [Slice(name, is_readable=False)]
        if not found:
            left_out[name] = NO_IMAGE
        slices += found
    kept = _without_doubles(slices)
    left_out |= {name: REPEATED for name in sorted({s.name for s in slices} - {s.name for s in kept})}
    return kept, left_out


def is_asked_for(one: Slice, modality: str | None, pattern: re.Pattern[str] | None) -> bool:
    """Of the modality and the series asked for; what cannot be read is, so that its reason is told."""
    is_fitting = modality is None or one.modality == modality
    return not one.is_readable or (is_fitting and (pattern is None or bool(pattern.search(one.description))))


def in_order(slices: Sequence[Slice], every: int) -> list[Slice]:
    """Series in the order of their first file, slices by position (else number), each n-th of a series; `place` counts them."""
    series: dict[str, list[Slice]] = {}
    for one in sorted(slices, key=lambda s: s.id):
        key = one.keys.get("series") if one.is_readable else None
        series.setdefault(key or f"{one.name}\0", []).append(one)
    ordered = []
    for members in series.values():
        has_positions = all(one.position_mm is not None for one in members)
        members.sort(key=lambda s: (s.position_mm if has_positions else 0.0, s.number, s.id))  # type: ignore[arg-type, return-value]
        placed = [dataclasses.replace(one, place=place) for place, one in enumerate(members)]
        ordered += placed[::every]
    return ordered


def _slices_of(root: Path, name: str, pseudonyms: Pseudonyms, max_pixels: int, max_bytes: int) -> list[Slice]:
    with opened(root / name, max_bytes=max_bytes) as file:
        header = read_header(file, keywords=IDENTITY + IMAGE, max_bytes=max_bytes)
        with parsing():
            if "Rows" not in header and "Columns" not in header:
                return []
            num_frames = check_size(header, file.num_bytes, max_pixels)
            frames = [None] if num_frames == 1 else list(range(num_frames))
            return [_slice(name, header, frame, pseudonyms, file.num_bytes) for frame in frames]


def _slice(name: str, header: Dataset, frame: int | None, pseudonyms: Pseudonyms, num_bytes: int) -> Slice:
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
    return Slice(
        name,
        frame,
        keys,
        patient=pseudonyms.of(f"{keys['issuer']}\0{keys['patient']}") if keys["patient"] else None,
        series=pseudonyms.of(keys["series"]) if keys["series"] else "",
        institution=pseudonyms.of(keys["institution"]) if keys["institution"] else "",
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
    own_position = functional_group(header, frame, "PlanePositionSequence")
    own_orientation = functional_group(header, frame, "PlaneOrientationSequence")
    position = numbers(own_position, "ImagePositionPatient", count=3) or numbers(
        header, "ImagePositionPatient", count=3
    )
    directions = numbers(own_orientation, "ImageOrientationPatient", count=6)
    directions = directions or numbers(header, "ImageOrientationPatient", count=6)
    if position is None or directions is None:
        return None
    found = float(np.dot(np.cross(directions[:3], directions[3:]), position))
    return found if np.isfinite(found) else None


def _without_doubles(slices: Sequence[Slice]) -> list[Slice]:
    """The largest file of each SOPInstanceUID, since a copy may be cut off; of equal ones the first."""
    best: dict[str, str] = {}
    for one in sorted(slices, key=lambda s: (-s.num_bytes, s.name)):
        best.setdefault(one.instance, one.name)
    return [s for s in slices if not s.instance or best[s.instance] == s.name]
