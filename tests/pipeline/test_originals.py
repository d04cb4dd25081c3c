"""Pictures of cases as their files hold them: read again, checked, bounded, and withheld where they may tell a name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from fakes.commands import train
from fakes.dicom_scans import write_scan
from scanlens.data.dicom_pixels import read_frame
from scanlens.data.image_facts import FACTS
from scanlens.data.preprocess import Preprocess
from scanlens.errors import DataError, ImageError
from scanlens.pipeline.context.batch import ContextCase
from scanlens.pipeline.context.original import MOST, NOT_AT_HAND, Originals
from scanlens.pipeline.context.pictures import Pictures
from scanlens.pipeline.source_images import SourceImages
from scanlens.report.pictures import noticed
from scanlens.runs import Run
from scanlens.types import RawImage

PREPROCESS = Preprocess(size=32, channels=1)
ALLOWED, ALL, NONE = (
    Pictures(True, False, "no text"),
    Pictures(True, True, "asked for"),
    Pictures(False, False, "not asked for"),
)


def a_case(raw: RawImage, **changes: Any) -> ContextCase:
    known = {"x_CHW": PREPROCESS(raw), "read": lambda: raw} | changes
    facts = np.full(len(FACTS), np.nan)
    return ContextCase("test-00003", 0, facts_F=facts, thumb_HW=np.zeros((48, 48), np.float32), pixel_hash=b"", **known)  # type: ignore[arg-type]


def written(folder: Path, one: ContextCase, pictures: Pictures = ALLOWED) -> dict[str, Any]:
    originals = Originals(folder, PREPROCESS, pictures)
    return originals.written(one, *originals.read(one))


def gray(height: int, width: int, **known: Any) -> RawImage:
    pixels = np.add.outer(np.arange(height), np.arange(width)) % 200
    return RawImage(pixels.astype(np.uint8), "gray", (0, 255), **known)


def picture(folder: Path, found: dict[str, Any]) -> np.ndarray:
    """What was written, without the notice below."""
    with Image.open(folder / found["original"]["file"]) as image:
        assert not image.info
        height, width = found["original"]["size_hw"]
        return np.asarray(image)[:height, :width]


def test_a_picture_is_that_of_the_file_pixel_by_pixel_with_the_notice_below(tmp_path: Path) -> None:
    raw = gray(300, 200)
    found = written(tmp_path, a_case(raw))
    assert found == {
        "original": {
            "file": "test-00003_original.png", "size_hw": [300, 200], "is_reduced": False, "is_reshaped": False, "window": "range",
        },
        "original_reason": None,
    }  # fmt: skip
    assert np.array_equal(picture(tmp_path, found), raw.pixels)
    with Image.open(tmp_path / "test-00003_original.png") as image:
        assert np.array_equal(np.asarray(image), noticed(raw.pixels.astype(np.uint8)))


def test_a_large_picture_is_bounded_and_says_so(tmp_path: Path) -> None:
    found = written(tmp_path, a_case(gray(3000, 1500)))
    assert found["original"]["size_hw"] == [MOST, MOST // 2]
    assert found["original"]["is_reduced"] is True
    assert picture(tmp_path, found).shape == (MOST, MOST // 2)


def test_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    found = written(tmp_path, a_case(gray(60, 120, spacing_mm=(3.0, 1.0))))
    assert (found["original"]["size_hw"], found["original"]["is_reshaped"]) == ([180, 120], True)


def test_the_window_of_a_header_decides_how_it_is_shown(tmp_path: Path) -> None:
    pixels = np.full((40, 40), 1000, np.uint16)
    pixels[10:30, 10:30], pixels[0, 0] = 1200, 60000
    path = write_scan(tmp_path / "a.dcm", pixels, WindowCenter=1100, WindowWidth=400, PixelSpacing=[1, 1])
    found = written(tmp_path, a_case(read_frame(path)))
    assert found["original"]["window"] == "window"
    shown = picture(tmp_path, found)
    assert (shown[0, 0], shown[20, 20]) == (255, 192)
    assert shown[35, 35] == 64


def letters(folder: Path) -> RawImage:
    image = Image.new("L", (200, 120))
    ImageDraw.Draw(image).text((10, 10), "ZEBEDEE 1947", font=ImageFont.load_default(size=20), fill=255)
    return RawImage(np.asarray(image), "gray", (0, 255))


def test_letters_in_it_withhold_it_unless_it_was_asked_for(tmp_path: Path) -> None:
    one = a_case(letters(tmp_path))
    found = written(tmp_path, one)
    assert found["original"] is None
    assert "marks that look like letters" in found["original_reason"]
    assert list(tmp_path.iterdir()) == []
    assert written(tmp_path, one, ALL)["original"]["size_hw"] == [120, 200]


def test_a_header_that_tells_of_text_withholds_it(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "a.dcm", np.arange(64, dtype=np.uint16).reshape(8, 8), BurnedInAnnotation="YES")
    found = written(tmp_path, a_case(read_frame(path)))
    assert (found["original"], "BurnedInAnnotation is YES" in found["original_reason"]) == (None, True)


def broken(error: Exception) -> Any:
    def read() -> RawImage:
        raise error

    return read


def test_what_cannot_be_had_is_told_with_its_reason_and_stops_nothing(tmp_path: Path) -> None:
    raw = gray(40, 40)
    reasons = [
        written(tmp_path, a_case(raw), NONE)["original_reason"],
        written(tmp_path, a_case(raw, read=None))["original_reason"],
        written(tmp_path, a_case(raw, x_CHW=1 - PREPROCESS(raw)))["original_reason"],
        written(tmp_path, a_case(raw, read=broken(ImageError("cut off"))))["original_reason"],
        written(tmp_path, a_case(raw, read=broken(DataError("no folder /home/zebedee"))))["original_reason"],
    ]
    assert reasons[:2] == ["not asked for", NOT_AT_HAND]
    assert "has changed since the run" in reasons[2]
    assert reasons[3] == "cut off"
    assert "cannot be opened" in reasons[4]
    assert "zebedee" not in reasons[4]
    assert list(tmp_path.iterdir()) == []


def test_a_training_keeps_originals_and_sides_of_its_cases(tmp_path: Path) -> None:
    """A DICOM run whose headers say how slices lie; one file is gone before the pictures are made again."""
    rng = np.random.default_rng(0)
    for person in range(12):
        for place in range(2):
            pixels = rng.integers(0, 100, (40, 50)).astype(np.uint16)
            pixels[10:20, 10 + 20 * (person % 2) : 20 + 20 * (person % 2)] += 400
            write_scan(
                tmp_path / "scans" / ("left" if person % 2 else "right") / f"{person}-{place}.dcm", pixels,
                number=1 + person * 2 + place, patient=f"P{person}", ImageOrientationPatient=[-1, 0, 0, 0, 1, 0],
                PixelSpacing=[0.5, 0.5], SeriesInstanceUID=f"1.2.3.4.{person + 50}",
            )  # fmt: skip
    told = [
        "model=lenet",
        "data=dicom",
        f"data.root={tmp_path / 'scans'}",
        "preprocess.size=32",
        "trainer.max_epochs=1",
    ]
    told += [
        "callbacks.num_explained_cases=3",
        "callbacks.bootstrap_resamples=0",
        "audit.enabled=false",
        "verdict.enabled=false",
    ]
    done = train(*told, "report=none", "trainer.num_threads=1", "run_id=r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "outputs" / "r")
    cases = json.loads((run.explanations / "context.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) >= 2
    for case in cases:
        native = case["native"]
        assert native["sides"] == {"left": "L", "right": "R", "top": "A", "bottom": "P"}
        assert (native["original"]["size_hw"], native["original_reason"]) == ([40, 50], None)
        assert picture(run.explanations, native).shape == (40, 50)
    shutil.rmtree(tmp_path / "scans" / "left")
    images = SourceImages(run)
    gone = next(int(row["index"]) for row in run.split_rows if row["target"] == "left")
    with pytest.raises(ImageError, match="no longer where the run found it"):
        images.record(gone)
