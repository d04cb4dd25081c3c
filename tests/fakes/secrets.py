"""Small data sets full of planted names, numbers and dates (`secret_search` looks for them in what a run writes).

All people are made up. Secrets are long enough that none of them turns up by accident in a compressed file.
"""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from scanlens.files import write_csv

SIDE = 32
CLASSES = ("calm", "wild")
NAME, NUMBER, BORN, STUDIED = "Vranitzky", "MRN-7734", "19600229", "20190417"
ROOT = "prof_quincke"  # of the home folder that holds the data
HEADER = (
    "ACC-559-831", "Spital Nirgendwo", "Housemann", "Kopf nach Sturz", "FLAIR geheim", "PRIVATER-TEXT", "1960-02-29",
    "Müßig-Notiz", "1.2.826.0.1.7734",
)  # fmt: skip
SECRETS = (NAME, NUMBER, BORN, STUDIED, ROOT, *HEADER)


def home(folder: Path) -> Path:
    """A root whose path tells whose home it is, and whom the data are of."""
    return folder / "home" / ROOT / f"{NAME}-study"


def person(number: int) -> str:
    """What folders and files of one patient are called."""
    return f"{NAME.lower()}_ida_{BORN}_{NUMBER}-{number:02d}"


def pixels_of(number: int, place: int = 0) -> np.ndarray:
    """(H, W) uint8; of the second class brighter in the middle."""
    rng = np.random.default_rng([number, place])
    found_HW = rng.integers(40, 90, (SIDE, SIDE), dtype=np.uint8)
    found_HW[8:24, 8:24] += 90 * np.uint8(number % 2)
    return found_HW


def write_pictures(root: Path, *, num: int, num_bad: int = 1) -> Path:
    """PNG with text chunks and EXIF, JPEG with EXIF and a comment; class folders with a folder for each patient."""
    for number in range(num):
        folder = root / CLASSES[number % 2] / person(number)
        folder.mkdir(parents=True)
        for place in range(2):
            _write_picture(folder / f"{NAME}^Ida {STUDIED} {place}", pixels_of(number, place), is_png=number % 3 != 0)
    for number in range(num_bad):
        (root / CLASSES[0] / person(90 + number)).mkdir(parents=True)
        (root / CLASSES[0] / person(90 + number) / f"{NAME}.png").write_bytes(f"{NUMBER}{NAME}".encode())
    return root


def _write_picture(stem: Path, pixels_HW: np.ndarray, *, is_png: bool) -> None:
    image, exif = Image.fromarray(pixels_HW), Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x0132] = f"{NAME}^Ida {NUMBER}", HEADER[2], "1960-02-29"
    told = f"{NAME} {' '.join(HEADER)}"
    if is_png:
        text = PngImagePlugin.PngInfo()
        text.add_text("Comment", told)
        text.add_itxt("Author", told, zip=True)
        image.save(stem.with_name(stem.name + ".png"), pnginfo=text, exif=exif)
    else:
        image.save(stem.with_name(stem.name + ".jpg"), exif=exif, comment=told.encode(), quality=95)


def write_table(root: Path, *, num: int) -> Path:
    """The same pictures in one folder, and images.csv with columns that nobody asked for."""
    rows = []
    (root / "files").mkdir(parents=True)
    for number in range(num):
        stem = root / "files" / person(number)
        _write_picture(stem, pixels_of(number), is_png=True)
        known = {"path": f"files/{stem.name}.png", "label": CLASSES[number % 2], "patient": f"{NAME}^Ida {number}"}
        rows.append(known | {"accession": HEADER[0], "note": HEADER[7], "born": "1960-02-29", "site": f"s{number % 4}"})
    write_csv(root / "images.csv", list(rows[0]), rows)
    return root


def write_niftis(root: Path, *, num: int) -> Path:
    """Volumes of eight slices in class folders, with every text field of the header filled in."""
    for number in range(num):
        voxels = np.stack([pixels_of(number, place) for place in range(4)], axis=-1).astype(np.int16)
        image = nibabel.Nifti1Image(voxels, np.diag([2.0, 2.0, 4.0, 1.0]))
        image.header.set_xyzt_units("mm")
        image.header["descrip"], image.header["aux_file"] = f"{NAME} {HEADER[3]}".encode(), NUMBER.encode()
        image.header["intent_name"], image.header["db_name"] = HEADER[0].encode(), NUMBER.encode()
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", " ".join(HEADER).encode()))
        path = root / CLASSES[number % 2] / f"{person(number)}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(image, path)
    (root / CLASSES[0] / f"{person(90)}.nii").write_bytes(f"{NUMBER}{NAME}".encode().ljust(600, b"."))
    return root


def write_dicoms(root: Path, *, num: int, num_bad: int = 1) -> Path:
    """Two slices of each patient, and labels.csv by PatientID; of the last file the header makes no sense."""
    for number in range(num):
        for place in range(2):
            path = root / person(number) / f"{NAME}.{STUDIED}.{place}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_dicom(path, number, place)
    for number in range(num_bad):
        path = root / person(90) / f"{NAME}.bad{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_dicom(path, 90 + number, 0, photometric=NAME.upper())
    rows = [{"patient": f"{NUMBER}-{number:02d}", "label": CLASSES[number % 2]} for number in (*range(num), 90)]
    write_csv(root / "labels.csv", ["patient", "label"], rows)
    return root


def _write_dicom(path: Path, number: int, place: int, *, photometric: str = "MONOCHROME2") -> None:
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID = f"{HEADER[8]}.{number}.{place}.9"
    one.PatientID, one.PatientName, one.PatientBirthDate = f"{NUMBER}-{number:02d}", f"{NAME}^Ida", BORN
    one.SpecificCharacterSet, one.PatientComments, one.StudyDate = "ISO_IR 192", HEADER[7], STUDIED
    one.AccessionNumber, one.InstitutionName, one.Modality = HEADER[0], HEADER[1], "MR"
    one.ReferringPhysicianName, one.StudyDescription, one.SeriesDescription = (
        f"{HEADER[2]}^Gregor",
        HEADER[3],
        HEADER[4],
    )
    one.StudyInstanceUID, one.SeriesInstanceUID = f"{HEADER[8]}.{number}", f"{HEADER[8]}.{number}.1"
    one.InstanceNumber, one.StationName, one.DeviceSerialNumber = place, NUMBER, NUMBER
    private = one.private_block(0x0099, "SCANLENS TEST", create=True)
    private.add_new(0x01, "LO", HEADER[5])
    one.Rows, one.Columns, one.SamplesPerPixel, one.PhotometricInterpretation = SIDE, SIDE, 1, photometric
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    one.PixelSpacing = [0.75, 0.5]
    one.PixelData = (pixels_of(number, place).astype(np.uint16) * 4).tobytes()
    one.save_as(path, enforce_file_format=True)
