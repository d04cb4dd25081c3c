"""The picture of a case as its source holds it: `<case>_original.png`, before preprocessing, where nothing forbids it.

It is read again, checked against what the network was given, shown in its own window with square pixels and written from the
array alone. Where text may be burnt in, it is withheld: what is a smear at the size of the network can be a name at full size.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanlens.data.display import displayed, has_own_range, in_shape, text_in_pixels
from scanlens.data.preprocess import Preprocess, stretch_of
from scanlens.errors import ImageError, ScanlensError
from scanlens.pipeline.context.batch import ContextCase
from scanlens.pipeline.context.pictures import Pictures
from scanlens.pipeline.source_images import is_unchanged
from scanlens.report.pictures import finished_png
from scanlens.runs import Run
from scanlens.types import RawImage

MOST = 1024  # pixels of the longest side
NOT_AT_HAND = "the source of the image was not at hand"


def originals_of(run: Run) -> Pictures:
    """What `callbacks.show_original` and the data of the run allow."""
    wanted = run.config["callbacks"].get("show_original", "auto")
    if wanted != "auto":
        return Pictures(bool(wanted), bool(wanted), f"callbacks.show_original={str(bool(wanted)).lower()}")
    if run.facts.get("is_phantom"):
        return Pictures(True, True, "the images are built-in phantoms")
    return Pictures(True, False, "no letter-like marks, and nothing in the header that tells of text")


@dataclass(frozen=True, slots=True)
class Originals:
    """Writes originals.

    Args:
        folder: receives them.
        preprocess: of the run.
        pictures: whether they may be written.
    """

    folder: Path
    preprocess: Preprocess
    pictures: Pictures

    def read(self, one: ContextCase) -> tuple[RawImage | None, str]:
        """The image as its source holds it; None with the reason where it cannot be had."""
        if one.read is None:
            return None, NOT_AT_HAND
        try:
            raw = one.read()
            if not is_unchanged(raw, one.x_CHW, self.preprocess):
                return None, "its file has changed since the run: the image is another one than was explained"
        except ImageError as error:
            return None, str(error)
        except ScanlensError as error:  # its message may name a folder
            return None, f"the source of the images cannot be opened any more ({type(error).__name__})"
        return raw, ""

    def written(self, one: ContextCase, raw: RawImage | None, reason: str) -> dict[str, Any]:
        """`original`: name of the file, size of its picture, how it is shown; None with `original_reason`."""
        reason = reason or self._why_not(raw)
        if raw is None or reason:
            return {"original": None, "original_reason": reason}
        name = f"{one.case}_original.png"
        shown = displayed(raw)
        pixels = in_shape(shown, raw.spacing_mm, most=MOST)
        finished_png(pixels, self.folder / name)
        height, width = shown.shape[:2]
        stretch = stretch_of(raw.spacing_mm)
        full = round(height * max(stretch, 1.0)), round(width / min(stretch, 1.0))
        told = {
            "file": name,
            "size_hw": list(pixels.shape[:2]),
            "is_reduced": max(full) > MOST,
            "is_reshaped": stretch != 1.0,
            "window": "window" if raw.is_windowed else "range" if has_own_range(raw) else "percentiles",
        }
        return {"original": told, "original_reason": None}

    def _why_not(self, raw: RawImage | None) -> str:
        if not self.pictures.are_allowed:
            return self.pictures.reason
        if raw is None or self.pictures.has_text_too:
            return ""
        why = text_in_pixels(raw)
        return f"text may be burnt into it ({why})" if why else ""
