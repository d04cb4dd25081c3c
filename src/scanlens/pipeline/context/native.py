"""What a case was before it was resized: its picture, size, sides, millimeters of a pixel, modality, and a mark of its pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from scanlens.data.image_facts import FACTS
from scanlens.data.preprocess import Preprocess
from scanlens.pipeline.context.batch import Batch, ContextCase
from scanlens.pipeline.context.original import Originals
from scanlens.runs import Run

DICOM = "scanlens.data.sources.dicom.DicomSource"
HASH_DIGITS = 12
# Defined terms of DICOM PS3.3 C.7.3.1.1.1 for pictures; anything else might be a text of somebody.
MODALITIES = frozenset(
    {
        "BI", "CR", "CT", "DG", "DX", "ECG", "ES", "GM", "IO", "IVOCT", "IVUS", "LS", "MG", "MR", "NM", "OAM", "OCT", "OP",
        "OPM", "OPT", "OPTENF", "OPV", "OT", "PT", "PX", "RF", "RG", "RTIMAGE", "SM", "TG", "US", "VA", "XA", "XC",
    }
)  # fmt: skip
Spacing = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Native:
    """Tells of the images before preprocessing.

    Args:
        preprocess: of the run.
        originals: reads and writes their pictures.
    """

    preprocess: Preprocess
    originals: Originals

    def about(self) -> dict[str, Any]:
        """What is told once of all cases."""
        return {
            "network_size_px": self.preprocess.size,
            "keeps_aspect": self.preprocess.keeps_aspect,
            "pixel_hash": "first 12 hexadecimal digits of a SHA-256 of shape, type and values of the decoded pixels",
        }

    def of(self, batch: Batch) -> list[dict[str, Any]]:
        """For each case `size_hw`, `spacing_mm`, `network_pixel_mm` (height, width), `place_hwyx` and the rest."""
        return [self._of_one(one) for one in batch.cases]

    def _of_one(self, one: ContextCase) -> dict[str, Any]:
        raw, reason = self.originals.read(one)
        if raw is not None and (stated := usable(raw.spacing_mm)) is not None:
            one = replace(
                one, spacing_mm=stated, is_assumed_square=False
            )  # the file itself knows better than the tables
        size_hw = int(one.facts_F[FACTS.index("height")]), int(one.facts_F[FACTS.index("width")])
        spacing = one.spacing_mm
        is_placed = spacing is not None or not self.preprocess.keeps_aspect or not _has_row_spacing(one)
        place = self.preprocess.place_of(size_hw, spacing_mm=spacing) if is_placed else None
        return {
            "size_hw": list(size_hw),
            "spacing_mm": None if spacing is None else list(spacing),
            "is_assumed_square": one.is_assumed_square,
            "spacing_reason": _why_no_spacing(one),
            "network_pixel_mm": None if spacing is None else list(self.preprocess.pixel_mm(size_hw, spacing)),
            "place_hwyx": None if place is None else list(place),
            "modality": one.modality if one.modality in MODALITIES else None,
            "modality_reason": None if one.modality in MODALITIES else "no DICOM modality is stated",
            "pixel_hash": one.pixel_hash.hex()[:HASH_DIGITS],
            "sides": None if raw is None or raw.sides is None else asdict(raw.sides),
            **self.originals.written(one, raw, reason),
        }


def _has_row_spacing(one: ContextCase) -> bool:
    return math.isfinite(float(one.facts_F[FACTS.index("spacing_mm")]))


def _why_no_spacing(one: ContextCase) -> str | None:
    if one.spacing_mm is not None:
        return None
    if _has_row_spacing(one):
        return "only the distance of rows is noted, and slices along this axis seldom have square pixels"
    return "the files do not state the distance of pixels"


def usable(spacing_mm: Spacing | None) -> Spacing | None:
    """The same if both are numbers above 0, else None."""
    if spacing_mm is None or not all(math.isfinite(side) and side > 0 for side in spacing_mm):
        return None
    return float(spacing_mm[0]), float(spacing_mm[1])


def stored_spacing(run: Run, row_mm: float, meta: Mapping[str, str]) -> tuple[Spacing | None, bool]:
    """(row, column) distance of pixels of an image of a run, and whether columns are taken to be as far apart as rows.

    Args:
        run: its folder.
        row_mm: distance of rows, NaN if unknown.
        meta: its row of `meta.csv`.
    """
    if run.config["data"].get("_target_") == DICOM:
        stated = _parsed(meta.get("spacing_mm", ""))
        return stated, False
    is_axial = (run.config["data"].get("axis") or "axial") == "axial"
    return (usable((row_mm, row_mm)), True) if is_axial and usable((row_mm, row_mm)) else (None, False)


def stored_modality(run: Run, meta: Mapping[str, str]) -> str:
    """What the DICOM headers of a run say; "" of other files, whose columns anybody may have called so."""
    return meta.get("modality", "") if run.config["data"].get("_target_") == DICOM else ""


def _parsed(text: str) -> Spacing | None:
    """Of "0.5 x 0.4"."""
    rows, _, columns = text.partition(" x ")
    try:
        return usable((float(rows), float(columns)))
    except ValueError:
        return None
