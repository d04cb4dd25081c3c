"""A made-up DICOM data set of two classes, of people whose names nothing may tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

BIRTH_DATE = "19470311"
SECRETS = ("SECRET-", "Hidden", BIRTH_DATE, "ACC-4711", "St. Elsewhere")
SIDE = 32


def write_people(root: Path, *, num: int, slices: int = 2) -> Path:
    """`num` people with `slices` pictures each, and labels.csv by PatientID; every second is ill, and brighter."""
    rows = ["patient,label"]
    root.mkdir(parents=True)
    for person in range(num):
        rows.append(f"SECRET-{person:02d},{'ill' if person % 2 else 'well'}")
        for place in range(slices):
            write_slice(root / f"{person:02d}_{place}.dcm", person=person, place=place)
    (root / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def write_slice(path: Path, *, person: int, place: int) -> Path:
    """One picture, always the same for the same person and place."""
    rng = np.random.default_rng([person, place])
    pixels = rng.integers(200, 400, (SIDE, SIDE), dtype=np.uint16)
    pixels[8:24, 8:24] += 300 if person % 2 else 0
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = generate_uid()
    one.PatientID, one.PatientName, one.PatientBirthDate = f"SECRET-{person:02d}", f"Hidden^Name{person}", BIRTH_DATE
    one.AccessionNumber, one.InstitutionName, one.Modality = "ACC-4711", "St. Elsewhere", "MR"
    one.StudyInstanceUID, one.SeriesInstanceUID, one.InstanceNumber = "1.2.3", f"1.2.3.{person}", place
    one.Rows, one.Columns, one.SamplesPerPixel, one.PhotometricInterpretation = SIDE, SIDE, 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.PixelSpacing = [0.75, 0.5]
    one.PixelData = pixels.tobytes()
    one.save_as(path, enforce_file_format=True)
    return path
