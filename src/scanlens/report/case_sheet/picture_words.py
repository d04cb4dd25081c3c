"""Sentences of a sheet on the picture of the case: what is shown, how, and what it is not."""

from __future__ import annotations

from typing import Any

from scanlens.report.case_sheet.phrases import because
from scanlens.report.words import whole

_WINDOWS = {
    "window": "in the window of the file or its volume",
    "range": "with the values of the file as they are",
    "percentiles": "from the 0.5th to the 99.5th percentile of its values",
}


def picture_sentences(image: dict[str, Any]) -> list[str]:
    """What the first picture of the sheet is.

    Args:
        image: of the record.
    """
    found = image["original"]
    if found is None:
        size = image["network_size_px"]
        enlarged = "" if size is None else f"{_size(size)} pixels, enlarged: "
        return [
            f"{enlarged}fine detail of the original is lost.",
            f"The original is not shown{because(image['original_reason'])}.",
            *_sides(image),
        ]
    native = image["native_size_px"]
    said: list[str] = []
    shown = _WINDOWS.get(str(found["window"]))
    how = "" if shown is None else f", shown {shown}"
    if native is not None:
        said.append(f"{_size(native)} pixels{how}.")
    if found["is_reshaped"]:
        said.append("Its pixels are not square; it is shown in its shape in millimeters.")
    if found["is_reduced"]:
        said.append(f"Reduced to {_size(found['size_px'])} pixels: fine detail of the original is lost.")
    return [*said, *_sides(image)]


def seen_sentence(image: dict[str, Any]) -> str:
    """What the network got of the picture."""
    size = image["network_size_px"]
    return "" if size is None else f"{_size(size)} pixels: what is finer, the network did not see."


def _sides(image: dict[str, Any]) -> list[str]:
    if image["sides"] is None:
        return ["Which side of the patient is which is unknown."]
    return ["Letters at the edges: sides of the patient, by the header of the file."]


def _size(sides: list[float]) -> str:
    return f"{whole(sides[0])} × {whole(sides[1])}"
