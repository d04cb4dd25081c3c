"""Parametric Map: the signed map on the grid of the source, as numbers (PS3.3 A.75)."""

from __future__ import annotations

import highdicom
import numpy as np
from pydicom.dataset import Dataset

from scanlens.report.dicom import codes
from scanlens.report.dicom.case import ExplainedCase
from scanlens.report.dicom.instance import MANUFACTURER, finished, identity
from scanlens.report.dicom.issue import Issue
from scanlens.report.dicom.picture import plain
from scanlens.report.dicom.segmentation import check_place

UNCOVERED = np.float32(-1e30)  # FloatPixelPaddingValue: where the network cannot look


def parametric_map(case: ExplainedCase, issue: Issue) -> Dataset:
    """The map as float32, in log-odds or whatever its unit is; what the network cannot see is padding.

    Raises:
        NotMade: where the map is not drawn, or the image does not say how it lies in space.
    """
    values_HW = case.drawn.map_HW
    check_place(case)
    known = values_HW[np.isfinite(values_HW)]
    low, high = float(known.min()), float(known.max())
    mapping = highdicom.pm.RealWorldValueMapping(
        lut_label="evidence",
        lut_explanation=plain(f"{case.map_facts.unit}, for {case.map_facts.explained}", 64),
        unit=codes.NO_UNIT,
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=codes.CLASS_ACTIVATION,
    )
    scale = max(abs(low), abs(high), case.map_facts.scale, 1e-6)
    window = highdicom.VOILUTTransformation(
        window_center=0.0, window_width=float(f"{2 * scale:.6g}"), voi_lut_function="LINEAR_EXACT"
    )
    made = highdicom.pm.ParametricMap(
        source_images=[case.header],
        pixel_array=np.where(np.isfinite(values_HW), values_HW, UNCOVERED).astype(np.float32)[None],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[window],
        content_label="EVIDENCE",
        content_description="Research only, not for diagnosis",
        content_creator_name=MANUFACTURER,
        **identity(case, "pmap", issue),
    )
    made.FloatPixelPaddingValue = made.FloatPixelPaddingRangeLimit = float(UNCOVERED)
    return finished(made, case, issue)
