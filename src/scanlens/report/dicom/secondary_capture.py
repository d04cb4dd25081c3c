"""Secondary Capture: a picture with everything burnt in, which any viewer shows (PS3.3 A.8.1)."""

from __future__ import annotations

from typing import Any

import highdicom
import numpy as np
from pydicom.dataset import Dataset

from scanlens.report.dicom.case import NOTICE, ExplainedCase
from scanlens.report.dicom.instance import finished, identity
from scanlens.report.dicom.issue import Issue
from scanlens.report.dicom.picture import side_by_side


def secondary_capture(case: ExplainedCase, issue: Issue) -> Dataset:
    """Scan and evidence side by side in RGB, with the words of the case and the notice in the pixels."""
    made = highdicom.sc.SCImage.from_ref_dataset(
        case.header,
        pixel_array=side_by_side(case),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),  # replaced below
        **identity(case, "sc", issue),
    )
    made.copy_patient_and_study_information(case.header)
    made.PatientOrientation = _orientation(case.header)
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.BurnedInAnnotation = "YES"
    made.ImageComments = NOTICE
    made.DerivationDescription = "Scan and heat map of a neural network side by side, with contour and words"
    made.SourceImageSequence = [_reference(case)]
    if case.header.get("LossyImageCompression") == "01":
        made.LossyImageCompression = "01"
    return finished(made, case, issue)


def _orientation(header: Dataset) -> Any:
    """Of rows and columns in both halves, to the nearest axis of the body; None where the image does not say."""
    if "ImageOrientationPatient" not in header:
        return None
    cosines = np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    axes = np.abs(cosines).argmax(axis=1)
    return [
        "RLAPHF"[2 * axis + (cosines[row, axis] > 0 if axis < 2 else cosines[row, axis] < 0)]
        for row, axis in enumerate(axes)
    ]


def _reference(case: ExplainedCase) -> Dataset:
    one = Dataset()
    one.ReferencedSOPClassUID = case.header.SOPClassUID
    one.ReferencedSOPInstanceUID = case.header.SOPInstanceUID
    return one
