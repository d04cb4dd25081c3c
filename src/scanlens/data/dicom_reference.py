"""What new DICOM objects may know of the image they refer to: named elements of its header, rebuilt one by one.

Nothing is copied as a whole. Numbers are read as numbers, codes only in the signs of a code, UIDs only as UIDs. Who the image is of
stays out unless it is asked for: the patient is a pseudonym and every UID another one, always the same under one key.

References:
    DICOM PS3.15 E.1.1 (de-identifier) and table E.1-1 (basic profile); PS3.5 B.2 (UIDs made of UUIDs); PS3.3 C.7.6 (image).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from scanlens.data.dicom_files import (
    IMAGE,
    MAX_BYTES,
    first_value,
    item,
    numbers,
    opened,
    parsing,
    read_header,
    text,
)  # fmt: skip
from scanlens.data.dicom_numbers import numbers_into
from scanlens.data.dicom_pixels import check_size, spacing_of
from scanlens.data.image_io import MAX_PIXELS
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.errors import ImageError

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_LONG, _SHORT = re.compile(r"[^\\\x00-\x1f\x7f]{1,64}"), re.compile(r"[^\\\x00-\x1f\x7f]{1,16}")
_DATE, _TIME = re.compile(r"\d{8}"), re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_KEPT_TEXT = {
    "PatientName": _LONG, "PatientID": _LONG, "IssuerOfPatientID": _LONG, "PatientBirthDate": _DATE,
    "PatientSex": re.compile("[MFO]"), "StudyDate": _DATE, "StudyTime": _TIME, "StudyID": _SHORT, "AccessionNumber": _SHORT,
    "ReferringPhysicianName": _LONG, "StudyDescription": _LONG,
}  # fmt: skip
_REQUIRED = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
             "ReferringPhysicianName")  # fmt: skip
_OTHER = (
    "FrameOfReferenceUID",
    "SliceThickness",
    "SpacingBetweenSlices",
    "LossyImageCompression",
    "Laterality",
    "ImageLaterality",
)
_PHOTOMETRIC = re.compile(r"MONOCHROME[12]|RGB|PALETTE COLOR|YBR_[A-Z0-9_]{2,12}")
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_LUTS = ("VOILUTSequence", "ModalityLUTSequence")
_MODALITIES = (
    "CR", "CT", "DX", "ES", "GM", "IVUS", "MG", "MR", "NM", "OCT", "OP", "OT", "PT", "PX", "RF", "SC", "SM", "US", "XA", "XC",
)  # fmt: skip
_MOST_ENTRIES = 2**16


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One image that new objects refer to.

    Args:
        header: patient, study, series and instance as the new objects may say them, sizes, place in space and window of this
            frame, as if it were a file of its own; no pixels.
        frame: number of the frame, from 1; None for a file of one.
        spacing_mm: (row, column) distance of pixel centers; None if unknown.
    """

    header: Dataset
    frame: int | None
    spacing_mm: tuple[float, float] | None


def read_reference(
    path: str | Path,
    frame: int,
    *,
    pseudonyms: Pseudonyms,
    keeps_identity: bool = False,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> Reference:
    """What may be known of one frame of a file.

    Args:
        path: a DICOM file, also one in gzip.
        frame: from 0.
        pseudonyms: of patients and UIDs.
        keeps_identity: keep patient, study and UIDs as they are.
        max_pixels: refuse larger images.
        max_bytes: refuse larger files.

    Raises:
        ImageError: the file cannot be read, or says too little for anything to refer to it.
    """
    keywords = (*IMAGE, *_UIDS, *_KEPT_TEXT, "Modality", *_OTHER)
    with opened(Path(path), max_bytes=max_bytes) as file:
        source = read_header(file, keywords=keywords, max_bytes=max_bytes)
        with parsing():
            num_frames = check_size(source, file.num_bytes, max_pixels)
            if not 0 <= frame < num_frames:
                raise ImageError(f"frame {frame + 1} was asked for, and the file has {num_frames}")
            header = _image(source, frame, pseudonyms, keeps_identity)
            _identify(header, source, pseudonyms, keeps_identity)
            number = frame + 1 if num_frames > 1 else None
            return Reference(header, number, spacing_of(source, frame))


def _identify(header: Dataset, source: Dataset, pseudonyms: Pseudonyms, keeps_identity: bool) -> None:
    """Patient, study and instance; values without the elements of a study are told, not made up."""
    missing = [name for name in ("SOPClassUID", *_UIDS) if not text(source, name)]
    if missing:
        raise ImageError(f"the header has no {', '.join(missing)}, so that nothing can refer to the image")
    header.SOPClassUID = _known_class(text(source, "SOPClassUID"))
    header.SpecificCharacterSet = "ISO_IR 192"
    for name in _REQUIRED:
        setattr(header, name, "")
    if keeps_identity:
        for name, form in _KEPT_TEXT.items():
            value = text(source, name)
            if form.fullmatch(value) and (form is not _DATE or _is_day(value)):
                setattr(header, name, value)
    else:
        study, known = text(source, "StudyInstanceUID"), text(source, "PatientID")
        patient = f"{text(source, 'IssuerOfPatientID')}\0{known}" if known else f"study\0{study}"
        header.PatientID = header.PatientName = pseudonyms.of(patient)
    for name in _UIDS:
        setattr(header, name, _uid_of(text(source, name), name, pseudonyms, keeps_identity))


def _image(source: Dataset, frame: int, pseudonyms: Pseudonyms, keeps_identity: bool) -> Dataset:
    """Sizes, pixels, window and place, without anything that is text."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = source.file_meta.TransferSyntaxUID
    numbers_into(header, source, frame)
    photometric = text(source, "PhotometricInterpretation")
    header.PhotometricInterpretation = photometric if _PHOTOMETRIC.fullmatch(photometric) else "MONOCHROME2"
    modality = text(source, "Modality")
    header.Modality = modality if modality in _MODALITIES else "OT"
    if text(source, "VOILUTFunction") in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        header.VOILUTFunction = text(source, "VOILUTFunction")
    if text(source, "LossyImageCompression") == "01":
        header.LossyImageCompression = "01"
    if (side := text(source, "Laterality") or text(source, "ImageLaterality")) in ("L", "R"):
        header.Laterality = side
    if space := text(source, "FrameOfReferenceUID"):
        header.FrameOfReferenceUID = _uid_of(space, "FrameOfReferenceUID", pseudonyms, keeps_identity)
    for name in _LUTS:
        if (table := _table(item(source, name), is_modality=name == "ModalityLUTSequence")) is not None:
            setattr(header, name, [table])
    return header


def _table(source: Dataset, *, is_modality: bool) -> Dataset | None:
    """A lookup table without its explanation; None where there is none."""
    descriptor, data = numbers(source, "LUTDescriptor", count=3), first_value(source, "LUTData")
    if descriptor is None or data is None:
        return None
    is_bytes = isinstance(data, bytes)
    if len(data) > (2 if is_bytes else 1) * _MOST_ENTRIES:
        return None
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [int(one) % 2**16 for one in descriptor])
    table.add_new("LUTData", "OW" if is_bytes else "US", data if is_bytes else [int(one) for one in data])
    if is_modality:
        table.ModalityLUTType = "US"  # unspecified
    return table


def _is_day(value: str) -> bool:
    try:
        datetime.strptime(value, "%Y%m%d")
    except ValueError:
        return False
    return True


def _known_class(value: str) -> UID:
    found = UID(value)
    if not found.startswith("1.2.840.10008.5.1.4.1.1.") or found.name == value:
        raise ImageError("the header names a class of image (SOPClassUID) that DICOM does not have")
    return found


def _uid_of(value: str, name: str, pseudonyms: Pseudonyms, keeps_identity: bool) -> UID:
    if not keeps_identity:
        return UID(pseudonyms.uid(value))
    if not _UID.fullmatch(value) or len(value) > 64:
        raise ImageError(f"{name} is no UID, so that nothing can refer to the image")
    return UID(value)
