"""Grayscale Softcopy Presentation State: contour and caption over the untouched image, which a viewer switches off (PS3.3 A.33.1)."""

from __future__ import annotations

import highdicom
import numpy as np
from highdicom import pr
from pydicom.dataset import Dataset

from scanlens.report.dicom.case import ExplainedCase, NotMade
from scanlens.report.dicom.instance import MANUFACTURER, finished, identity
from scanlens.report.dicom.issue import Issue
from scanlens.report.dicom.picture import caption_lines, plain

_SQUARE = 0.001  # spacings that differ by less
_YELLOW = highdicom.color.CIELabColor(l_star=91.0, a_star=-8.0, b_star=85.0)


def presentation_state(case: ExplainedCase, issue: Issue) -> Dataset:
    """Contour, if it may be drawn, and caption.

    Raises:
        NotMade: of a color image, for which there is another kind of state.
    """
    if not str(case.header.PhotometricInterpretation).startswith("MONOCHROME"):
        raise NotMade("the image is in color, and a grayscale presentation state is for gray ones")
    layer = pr.GraphicLayer("SCANLENS", order=1, description="Model evidence, not for diagnosis", display_color=_YELLOW)
    made = pr.GrayscaleSoftcopyPresentationState(
        referenced_images=[case.header],
        content_label="SCANLENS",
        content_description="Research only, not for diagnosis",
        content_creator_name=MANUFACTURER,
        graphic_layers=[layer],
        graphic_annotations=[_annotation(case, layer)],
        modality_lut_transformation=_rescale(case.header),
        voi_lut_transformations=_window(case.header),
        presentation_lut_transformation=highdicom.PresentationLUTTransformation(
            presentation_lut_shape="INVERSE" if case.header.PhotometricInterpretation == "MONOCHROME1" else "IDENTITY"
        ),
        **identity(case, "pr", issue),
    )
    if "ModalityLUTSequence" in case.header:
        made.ModalityLUTSequence = case.header.ModalityLUTSequence
    _keep_shape(made, case)
    return finished(made, case, issue)


def _annotation(case: ExplainedCase, layer: pr.GraphicLayer) -> pr.GraphicAnnotation:
    lines = case.evidence.outlines if case.evidence is not None else ()
    words = "\r\n".join(plain(one, 200) for one in caption_lines(case))
    return pr.GraphicAnnotation(
        referenced_images=[case.header],
        graphic_layer=layer,
        graphic_objects=[pr.GraphicObject("POLYLINE", line_N2.astype(np.float32), units="PIXEL") for line_N2 in lines],
        text_objects=[
            pr.TextObject(
                words[:1000], units="DISPLAY", bounding_box=(0.01, 0.80, 0.99, 0.99), text_justification="LEFT"
            )
        ],
    )


def _rescale(header: Dataset) -> highdicom.ModalityLUTTransformation | None:
    """Slope and intercept; None where a table stands in for them."""
    if "ModalityLUTSequence" in header or "RescaleSlope" not in header or "RescaleIntercept" not in header:
        return None
    return highdicom.ModalityLUTTransformation(
        rescale_intercept=float(header.RescaleIntercept), rescale_slope=float(header.RescaleSlope), rescale_type="US"
    )


def _window(header: Dataset) -> list[pr.SoftcopyVOILUTTransformation] | None:
    """The window of the image, as it is shown without us."""
    if "WindowCenter" not in header or "WindowWidth" not in header or float(header.WindowWidth) < 1:
        return None
    return [
        pr.SoftcopyVOILUTTransformation(
            window_center=float(header.WindowCenter),
            window_width=float(header.WindowWidth),
            voi_lut_function=header.get("VOILUTFunction", "LINEAR"),
        )
    ]


def _keep_shape(made: Dataset, case: ExplainedCase) -> None:
    """Pixels that are not square stay so (PS3.3 C.10.4)."""
    if case.spacing_mm is None or abs(case.spacing_mm[0] / case.spacing_mm[1] - 1) < _SQUARE:
        return
    for area in made.DisplayedAreaSelectionSequence:
        del area.PresentationPixelAspectRatio
        area.PresentationPixelSpacing = [round(one, 6) for one in case.spacing_mm]
