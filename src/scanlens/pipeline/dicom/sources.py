"""The source image of a case found again, and its map put on the pixels of that image.

Legend of axes: H rows and W columns of the source image, S side of the network's image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scanlens.data.dicom_reference import Reference, read_reference
from scanlens.data.preprocess import Preprocess
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.errors import ImageError, RunError
from scanlens.explain.verdict.regions import top_region
from scanlens.pipeline.dicom.stored import StoredMap
from scanlens.pipeline.source_images import SourceImages, is_unchanged
from scanlens.report.dicom.case import Evidence, NotMade
from scanlens.report.dicom.outlines import outlines_of
from scanlens.runs import Run
from scanlens.types import RawImage

SOURCE = "scanlens.data.sources.dicom.DicomSource"
MAX_PIXELS = 36_000_000  # of a source image; a mammogram has 20


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
        self._images = SourceImages(run)

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
        record = self._images.record(index)
        path, _, frame = record.path.rpartition("#")
        raw = self._images.read(record)
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
    scan = stored.scan[None] if stored.scan.ndim == 2 else np.moveaxis(stored.scan, -1, 0)
    if not is_unchanged(raw, scan, preprocess):
        raise ImageError("its DICOM file has changed since the run: the image is another one than was explained")


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
