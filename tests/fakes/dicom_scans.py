"""Made-up DICOM images with a full header, in which every field that may name somebody does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

MR, ENHANCED_MR, SC = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.7"
SECRET_WORDS = (
    "Zebedee", "Quagmire", "19470311", "20190607", "081509", "ACC-4711", "HOSP-0815", "Elsewhere", "Ratched", "Frontal-Rd",
    "555-0199", "1.2.3.4.", "Hush", "PRIVATE-77",
)  # fmt: skip
UID_ROOT = "1.2.3.4"


def scan(pixels: NDArray[Any], *, number: int = 1, patient: str = "HOSP-0815", **elements: Any) -> Dataset:
    """An MR slice, (H, W), (frames, H, W) or (H, W, 3), of somebody whose names, dates and numbers are SECRET_WORDS."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = MR, f"{UID_ROOT}.5.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (f"{UID_ROOT}.{each}" for each in (1, 2, 3))
    _name_somebody(ds, patient)
    ds.Modality, ds.InstanceNumber, ds.ImageType = "MR", number, ["ORIGINAL", "PRIMARY", "M", "SE"]
    is_color = pixels.ndim == 3 and pixels.shape[2] == 3
    ds.Rows, ds.Columns = pixels.shape[:2] if is_color else pixels.shape[-2:]
    if pixels.ndim == 3 and not is_color:
        ds.NumberOfFrames = len(pixels)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = (3, "RGB") if is_color else (1, "MONOCHROME2")
    if is_color:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    ds.PixelSpacing, ds.SliceThickness = [0.5, 1.0], 3
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-10, -20, 3 * number], [1, 0, 0, 0, 1, 0]
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
        ds.SOPClassUID,
        ds.get("SOPInstanceUID", "1.2"),
    )
    return ds


def write_scan(path: Path, pixels: NDArray[Any], **elements: Any) -> Path:
    """`scan`, saved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scan(pixels, **elements).save_as(path, enforce_file_format=True)
    return path


def _name_somebody(ds: Dataset, patient: str) -> None:
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Zebedee^Quagmire", patient, "19470311", "F"
    ds.PatientAddress, ds.PatientTelephoneNumbers, ds.PatientAge = "7 Frontal-Rd", "555-0199", "072Y"
    ds.OtherPatientIDs = ds.IssuerOfPatientID = "Elsewhere"
    for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(ds, name, "20190607")
    for name in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(ds, name, "081509")
    ds.AcquisitionDateTime = "20190607081509"
    ds.AccessionNumber, ds.StudyID, ds.InstitutionName = "ACC-4711", "ACC-4711", "St. Elsewhere"
    ds.InstitutionAddress, ds.StationName, ds.DeviceSerialNumber = "7 Frontal-Rd", "Elsewhere", "PRIVATE-77"
    ds.ReferringPhysicianName = ds.OperatorsName = ds.PerformingPhysicianName = "Ratched^N"
    for name in ("StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments", "PatientComments"):
        setattr(ds, name, "Hush Zebedee")
    ds.WindowCenterWidthExplanation = "Hush"
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "Hush", "Hush", "Hush"
    ds.RequestAttributesSequence = [Dataset()]
    ds.RequestAttributesSequence[0].RequestedProcedureID = "ACC-4711"
    block = ds.private_block(0x0099, "Quagmire private", create=True)
    block.add_new(1, "LO", "PRIVATE-77")
