"""An explained case on a made-up DICOM file, ready to be made into objects."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from fakes.dicom_scans import write_scan
from scanlens.data.dicom_pixels import read_frame
from scanlens.data.dicom_reference import read_reference
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.report.dicom.case import Algorithm, Answer, Evidence, ExplainedCase, MapFacts
from scanlens.report.dicom.issue import Issue
from scanlens.report.dicom.outlines import outlines_of

ROWS, COLUMNS = slice(10, 20), slice(30, 45)  # of the region
PIXELS = np.random.default_rng(0).integers(0, 300, (40, 60), dtype=np.uint16)
ANSWER = Answer(
    predicted="ill", probability=0.93, calibrated=0.88, positive="ill", score=0.88, threshold=0.4, is_called=True
)
FACTS = MapFacts(
    method="HiResCAM", explained="ill", unit="log-odds", scale=2.0, level="SUPPORTED", reasons=("It matters.",),
    p_value=0.04, quality="odd", faults=("is darker than those of the training",),
)  # fmt: skip
ALGORITHM = Algorithm(
    name="scanlens LeNet", version="1.2.3", parameters={"weights": "abcdef", "layer": "features.4"}, serial="abcdef"
)


def explained(
    folder: Path, pixels: NDArray[Any] = PIXELS, *, frame: int = 0, keeps_identity: bool = False, **elements: Any
) -> ExplainedCase:
    """The case of one image whose map is 2 in ROWS and COLUMNS, -1 elsewhere and unknown in the first three rows."""
    path = write_scan(folder / "source.dcm", pixels, **elements)
    reference = read_reference(path, frame, pseudonyms=Pseudonyms(), keeps_identity=keeps_identity)
    raw = read_frame(path, frame)
    map_HW = np.full(raw.pixels.shape[:2], -1, np.float32)
    map_HW[ROWS, COLUMNS], map_HW[:3] = 2, np.nan
    region_HW = map_HW > 1
    outlines, _ = outlines_of(region_HW)
    return ExplainedCase(
        name="test-00003", number=4, header=reference.header, frame=reference.frame, spacing_mm=reference.spacing_mm,
        shown=np.clip(raw.pixels, 0, 255).astype(np.uint8), answer=ANSWER, map_facts=FACTS, algorithm=ALGORITHM,
        evidence=Evidence(map_HW, region_HW, outlines),
    )  # fmt: skip


def withheld(case: ExplainedCase) -> ExplainedCase:
    """The same with a map that may not be drawn."""
    facts = replace(case.map_facts, level="WITHHELD", p_value=None, hidden="the map is withheld: it is blank")
    return replace(case, evidence=None, map_facts=facts)


def issue(*, is_identified: bool = False, seed: str = "seed", created: Any = None) -> Issue:
    return Issue(
        uid=Pseudonyms().uid, series_seed="run", seed=seed, is_identified=is_identified, created=created
    )  # fmt: skip


def stored(made: Dataset) -> tuple[bytes, Dataset]:
    """The bytes of the file, and what pydicom reads from them."""
    buffer = BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue(), pydicom.dcmread(BytesIO(buffer.getvalue()))


def faults(content: bytes, folder: Path) -> list[str]:
    """What dciodvfy has against a file."""
    path = folder / "validated.dcm"
    path.write_bytes(content)
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


HAS_DCIODVFY = shutil.which("dciodvfy") is not None
