"""What a DICOM header tells of a picture beside its pixels: the sides of the patient, and whether text may be burnt in.

References:
    DICOM PS3.3 C.7.6.2.1.1 (ImageOrientationPatient), C.7.6.1.1.1 (PatientOrientation), C.7.6.1 (BurnedInAnnotation).
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from scanlens.data.dicom_files import first_value, functional_group, numbers, text
from scanlens.data.sides import sides_of, sides_stated
from scanlens.types import Sides

KEYWORDS = ("PatientOrientation", "BurnedInAnnotation", "ImageType", "Modality")
_MODALITIES_WITH_TEXT = ("US", "IVUS", "SC")
_CLASSES_WITH_TEXT = re.compile(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.[367](\..*)?")  # ultrasound, secondary capture


def sides(header: Dataset, frame: int) -> Sides | None:
    """Sides of the patient at the edges of a frame; of radiographs, which lie nowhere in space, as they were stated."""
    own = functional_group(header, frame, "PlaneOrientationSequence")
    cosines = numbers(own, "ImageOrientationPatient", count=6) or numbers(header, "ImageOrientationPatient", count=6)
    if cosines is not None:
        return sides_of(cosines[:3], cosines[3:])
    stated = first_value(header, "PatientOrientation")
    return None if stated is None or isinstance(stated, str) else sides_stated([str(one) for one in stated])


def burnt_in(header: Dataset) -> str:
    """Why text may be burnt into the pixels, in words; "" where nothing speaks for it."""
    said = text(header, "BurnedInAnnotation").upper()
    if said in ("YES", "NO"):
        return "BurnedInAnnotation is YES" if said == "YES" else ""
    types = text(header, "ImageType").upper()  # several as a list in print
    if "SECONDARY" in types or "SCREEN" in types:
        return "BurnedInAnnotation is missing, and ImageType tells of a secondary image or a screen"
    if text(header, "Modality") in _MODALITIES_WITH_TEXT or _CLASSES_WITH_TEXT.fullmatch(text(header, "SOPClassUID")):
        return "BurnedInAnnotation is missing, and images of this modality often carry text"
    return ""
