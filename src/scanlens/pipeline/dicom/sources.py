"""The source image of a case found again, and its map put on the pixels of that image.

Legend of axes: H rows and W columns of the source image, S side of the network's image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.burnt_in_text import MIN_MARKS, num_text_marks
from scanlens.data.dicom_reference import Reference, read_reference
from scanlens.data.preprocess import LUMA_BT601, Preprocess
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.errors import ImageError, RunError
from scanlens.explain.verdict.regions import top_region
from scanlens.pipeline.decode import open_source
from scanlens.pipeline.dicom.stored import StoredMap
from scanlens.pipeline.external.intake import AsTrained
from scanlens.report.dicom.case import Evidence, NotMade
from scanlens.report.dicom.outlines import outlines_of
from scanlens.runs import Run
from scanlens.types import RawImage

SOURCE = "scanlens.data.sources.dicom.DicomSource"
MAX_PIXELS = 36_000_000  # of a source image; a mammogram has 20
_SAME_WITHIN = 2e-3  # of the range; the cache of a run has 16 bits


class Sources:
    """The DICOM files of a run, by the index of the image.

    Args:
        run: trained on data=dicom.
        keeps_identity: whether headers keep who they are of.

    Raises:
        RunError: the run was trained on something else.
        DataError, ConfigError: its folder of files is gone or cannot be used.
    """

    def __init__(self, run: Run, *, keeps_identity: bool) -> None:
        data = run.config["data"]
        if data.get("_target_") != SOURCE:
            raise RunError(
                f"{run.folder} was not trained on DICOM files (data=dicom), so there is no study that objects could belong to."
            )
        self._limits = {key: data[key] for key in ("max_pixels", "max_bytes") if key in data}
        self._pseudonyms, self._keeps_identity = Pseudonyms(), keeps_identity
        self._source: Any = AsTrained(open_source(data, run.config), run.facts["color"])
        self._records = {one.id: one for one in self._source.records()}
        self._id_of = {int(row["index"]): row["id"] for row in run.split_rows}

    @property
    def pseudonyms(self) -> Pseudonyms:
        return self._pseudonyms

    def find(self, index: int) -> tuple[RawImage, Reference]:
        """Image and header.

        Args:
            index: of the image in split.csv.

        Raises:
            ImageError: the file is gone, cannot be read, or says too little.
        """
        record = self._records.get(self._id_of.get(index, ""))
        if record is None:
            raise ImageError(
                "its DICOM file is no longer where the run found it (data.root), or no longer of these series"
            )
        path, _, frame = record.path.rpartition("#")
        raw = self._source.read(record)
        if raw.pixels.shape[0] * raw.pixels.shape[1] > MAX_PIXELS:
            raise ImageError(f"its image has more than {MAX_PIXELS} pixels, the limit of objects about it")
        reference = read_reference(
            Path(path), int(frame), pseudonyms=self._pseudonyms, keeps_identity=self._keeps_identity, **self._limits
        )
        return raw, reference


def check_unchanged(raw: RawImage, stored: StoredMap, preprocess: Preprocess) -> None:
    """Nothing, if the file still holds the image that was explained.

    Raises:
        ImageError: it does not.
    """
    prepared = preprocess(raw)
    scan = stored.scan[None] if stored.scan.ndim == 2 else np.moveaxis(stored.scan, -1, 0)
    if prepared.shape != scan.shape or float(np.abs(prepared - scan).max()) > _SAME_WITHIN:
        raise ImageError("its DICOM file has changed since the run: the image is another one than was explained")


def text_in_pixels(raw: RawImage, reference: Reference) -> str:
    """Why there may be text in the pixels; "" where neither the header nor the picture speaks for it."""
    if reference.burnt_in:
        return reference.burnt_in
    shown = displayed(raw)
    gray = shown if shown.ndim == 2 else shown @ LUMA_BT601
    marks = num_text_marks(gray.astype(np.float32))
    return f"the picture has {marks} marks that look like letters" if marks >= MIN_MARKS else ""


def displayed(raw: RawImage) -> NDArray[np.uint8]:
    """The image in its window, (H, W) or (H, W, 3)."""
    low, high = raw.value_range
    values = raw.pixels.astype(np.float32)
    if values.ndim == 3:
        values = values[..., :3] if values.shape[2] >= 3 else values[..., 0]
    share = np.clip((np.nan_to_num(values) - low) / max(high - low, 1e-12), 0, 1)
    return np.rint(255 * share).astype(np.uint8)


def evidence_on(raw: RawImage, stored: StoredMap, preprocess: Preprocess, *, share: float, seed: int) -> Evidence:
    """The map and its region on the pixels of the source.

    Args:
        raw: the source image.
        stored: on the network's image.
        preprocess: of the run.
        share: of the covered pixels that count as highlighted.
        seed: by which ties were broken when the region was tested.

    Raises:
        NotMade: nothing speaks for the class, or only what lies beside the image.
    """
    shape_hw = (raw.pixels.shape[0], raw.pixels.shape[1])
    region_SS = top_region(stored.map_SS, stored.covered_SS, share=share, seed=seed)
    if not region_SS.any():
        raise NotMade("nothing in the map speaks for the explained class")
    known_SS = np.where(stored.covered_SS, stored.map_SS, np.float32(np.nan))
    map_HW = preprocess.placed_back(known_SS, shape_hw=shape_hw, spacing_mm=raw.spacing_mm)
    cover_HW = preprocess.placed_back(region_SS.astype(np.float32), shape_hw=shape_hw, spacing_mm=raw.spacing_mm)
    cover_HW = np.nan_to_num(cover_HW)
    region_HW = cover_HW >= 0.5
    if not region_HW.any():  # thinner than a pixel: the pixel that it covers most
        region_HW = cover_HW >= max(float(cover_HW.max()), 1e-6)
        cover_HW = region_HW.astype(np.float32)
    if not region_HW.any() or not np.isfinite(map_HW).any():
        raise NotMade("what the map highlights lies in the padding beside the image, not in it")
    outlines, num_left_out = outlines_of(cover_HW)
    return Evidence(map_HW, region_HW, outlines, num_left_out)
