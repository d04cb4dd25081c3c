"""Segmentation: the region of model evidence as a binary image on the grid of the source (PS3.3 A.51)."""

from __future__ import annotations

import highdicom
import numpy as np
from pydicom.dataset import Dataset

from scanlens.report.dicom import codes
from scanlens.report.dicom.case import REGION, ExplainedCase, NotMade
from scanlens.report.dicom.instance import MANUFACTURER, algorithm_sequence, finished, identity
from scanlens.report.dicom.issue import Issue

_PLACE = ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")


def segmentation(case: ExplainedCase, issue: Issue) -> Dataset:
    """One segment, called region of model evidence.

    Raises:
        NotMade: where the map is not drawn, or the image does not say how it lies in space.
    """
    evidence = case.drawn
    check_place(case)
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label=REGION,
        segmented_property_category=codes.SPATIAL,
        segmented_property_type=codes.REGION,
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm_sequence(case),
        tracking_id=f"{case.name} segment",
        tracking_uid=issue.uid(f"{issue.seed}\0tracking\0{case.name}\0segment"),
    )
    made = highdicom.seg.Segmentation(
        source_images=[case.header],
        pixel_array=evidence.region_HW.astype(np.uint8)[None],
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        content_label="EVIDENCE",
        content_description="Research only, not for diagnosis",
        content_creator_name=MANUFACTURER,
        **identity(case, "seg", issue),
    )
    return finished(made, case, issue)


def check_place(case: ExplainedCase) -> None:
    """Nothing, where the image says how it lies in space, which segmentations and maps need.

    Raises:
        NotMade: names what is missing.
    """
    missing = [name for name in _PLACE if name not in case.header]
    if missing:
        raise NotMade(f"the image does not say how it lies in space (no {', '.join(missing)})")
