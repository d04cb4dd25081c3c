"""One explained case, as all of its DICOM objects say it.

Legend of axes: H rows and W columns of the source image, N points of a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

Kind = Literal["sc", "sr", "pr", "seg", "pmap"]
KINDS: tuple[Kind, ...] = ("sc", "sr", "pr", "seg", "pmap")
USUAL: tuple[Kind, ...] = ("sc", "sr", "pr")
TITLES: dict[Kind, str] = {
    "sc": "Secondary Capture",
    "sr": "Structured Report",
    "pr": "Presentation State",
    "seg": "Segmentation",
    "pmap": "Parametric Map",
}
NOTICE = "Research software. Not a medical device. Not for diagnosis."
REGION = "region of model evidence"
WITHHELD = "WITHHELD"


class NotMade(Exception):
    """This object cannot be made of this case, and why; the others can."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A map that may be shown, on the pixels of the source image.

    Args:
        map_HW: signed, float32; NaN where the network cannot look.
        region_HW: what is outlined; at least one pixel.
        outlines: closed lines around it, each (N, 2) of x and y in pixels, 0 at the outer corner of the first pixel; the largest
            first.
        num_left_out: smaller pieces of the region without an outline.
    """

    map_HW: NDArray[np.float32]
    region_HW: NDArray[np.bool_]
    outlines: tuple[NDArray[np.float64], ...]
    num_left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the network said of the image.

    Args:
        predicted: class.
        probability: of it, as the network states it, in [0, 1].
        calibrated: the same after calibration; None if the run has none.
        positive: class that the threshold is for; "" if no threshold was chosen.
        score: calibrated probability of that class.
        threshold: that the score is compared with.
        is_called: positive or negative.
        unit: what was called: image or patient.
        why_not: why there is no call; "" if there is one.
    """

    predicted: str
    probability: float
    calibrated: float | None = None
    positive: str = ""
    score: float | None = None
    threshold: float | None = None
    is_called: bool | None = None
    unit: str = "image"
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFacts:
    """What is said of the map.

    Args:
        method: title.
        explained: class that the map speaks for.
        unit: of its values.
        scale: |value| in full color.
        level: verdict: SUPPORTED, WEAK, NOT SUPPORTED, WITHHELD; "" where it was not assessed.
        reasons: sentences.
        p_value: of the region; None where it was not measured.
        quality: status of the image: ok, bad ...; "" where it was not assessed.
        faults: of the image, in sentences.
        hidden: why there is no evidence to draw; "" if there is.
    """

    method: str
    explained: str
    unit: str
    scale: float
    level: str
    reasons: tuple[str, ...] = ()
    p_value: float | None = None
    quality: str = ""
    faults: tuple[str, ...] = ()
    hidden: str = ""

    @property
    def verdict(self) -> str:
        """In print."""
        return self.level or "not assessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """What made the answer: name, version, and settings by name; all of them get into the objects."""

    name: str
    version: str
    parameters: Mapping[str, str]
    serial: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedCase:
    """Everything that goes into the objects of one case.

    Args:
        name: such as test-00012.
        number: of the instances, from 1.
        header: of the source image, as far as it may go out; see `data.dicom_reference`.
        frame: number of the frame of the source, from 1; None for a file of one.
        spacing_mm: (row, column) distance of pixel centers; None if unknown.
        shown: the source image as it is displayed, uint8 (H, W) or (H, W, 3).
        answer, map_facts, algorithm: in words and numbers.
        evidence: None where nothing may be drawn; `map_facts.hidden` says why.
    """

    name: str
    number: int
    header: Dataset
    frame: int | None
    spacing_mm: tuple[float, float] | None
    shown: NDArray[np.uint8]
    answer: Answer
    map_facts: MapFacts
    algorithm: Algorithm
    evidence: Evidence | None

    @property
    def drawn(self) -> Evidence:
        """The evidence.

        Raises:
            NotMade: where there is none to be shown.
        """
        if self.evidence is None:
            raise NotMade(self.map_facts.hidden)
        return self.evidence
