"""The picture that everybody can open: scan beside the same scan with map and contour, and the words that belong to it.

Legend of axes: H rows, W columns.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from scanlens.report.dicom.case import NOTICE, Answer, ExplainedCase
from scanlens.report.palette import evidence_alpha, evidence_rgb
from scanlens.report.words import number, percent

PANEL = (448, 1024)  # shortest allowed and longest allowed side of the larger side of a panel, in pixels
_GAP = 8
_LINE_RGB = (255, 230, 51)
_TEXT_RGB, _GROUND_RGB = (235, 235, 235), (0, 0, 0)


def side_by_side(case: ExplainedCase) -> NDArray[np.uint8]:
    """(H, W, 3): the scan alone, the scan with its evidence or why there is none, and the words of the case under them."""
    height, width = _panel_size(case.shown.shape[:2], case.spacing_mm)
    scan = Image.fromarray(case.shown).convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    other = _hidden_panel(case, (width, height)) if case.evidence is None else _evidence_panel(case, (width, height))
    strip = _words_strip(case, 2 * width + _GAP)
    sheet = Image.new("RGB", (2 * width + _GAP, height + strip.height), _GROUND_RGB)
    sheet.paste(scan, (0, 0))
    sheet.paste(other, (width + _GAP, 0))
    sheet.paste(strip, (0, height))
    return np.asarray(sheet)


def caption_lines(case: ExplainedCase) -> list[str]:
    """What is written under the picture and over the image; nothing but what the run measured."""
    facts = case.map_facts
    lines = [
        NOTICE,
        f"Model output: {plain(case.answer.predicted, 60)}, probability {percent(case.answer.probability, 1)}"
        + (f", calibrated {percent(case.answer.calibrated, 1)}" if case.answer.calibrated is not None else ""),
        call_in_words(case.answer),
        f"Map ({plain(facts.method, 40)}): {facts.verdict}"
        + (f", p = {number(facts.p_value, 2)}" if facts.p_value is not None and case.evidence is not None else ""),
    ]
    if case.evidence is None:
        lines.append(f"Not drawn: {plain(facts.hidden, 200)}")
    else:
        lines.append("Yellow: region of model evidence, not an outline of disease.")
    if facts.quality not in ("", "good"):
        lines.append(f"Image quality: {plain('; '.join(facts.faults) or facts.quality, 200)}")
    return [plain(one, 300) for one in lines if one]


def call_in_words(answer: Answer) -> str:
    """Threshold and call in a sentence."""
    if answer.is_called is None or answer.threshold is None:
        return f"Threshold: not applied ({plain(answer.why_not, 120)})" if answer.why_not else ""
    said = "positive" if answer.is_called else "negative"
    return (
        f"Called {said} for {plain(answer.positive, 60)} ({answer.unit}): score {number(answer.score, 3)}, "
        f"threshold {number(answer.threshold, 3)}"
    )


def plain(words: str, most: int) -> str:
    """Printable text without line breaks and backslashes, which separate values in DICOM, of at most so many bytes."""
    kept = "".join(one if one.isprintable() and one != "\\" else " " for one in words)
    short = " ".join(kept.split())
    encoded = short.encode()
    return short if len(encoded) <= most else encoded[: most - 3].decode("utf-8", "ignore").rstrip() + "..."


def _panel_size(shape_hw: tuple[int, int], spacing_mm: tuple[float, float] | None) -> tuple[int, int]:
    """Rows and columns of a panel with square pixels."""
    stretch = 1.0 if spacing_mm is None else min(20.0, max(0.05, spacing_mm[0] / spacing_mm[1]))
    height, width = shape_hw[0] * max(1.0, stretch), shape_hw[1] * max(1.0, 1 / stretch)
    longest = max(height, width)
    factor = min(PANEL[1] / longest, max(1.0, math.ceil(PANEL[0] / longest)))
    return max(16, round(height * factor)), max(224, round(width * factor))


def _evidence_panel(case: ExplainedCase, size: tuple[int, int]) -> Image.Image:
    evidence, shown = case.drawn, case.shown
    gray = np.asarray(Image.fromarray(shown).convert("L").resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    strength = np.nan_to_num(evidence.map_HW) / case.map_facts.scale
    large = np.asarray(Image.fromarray(strength.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    alpha = evidence_alpha(large)[..., None]
    picture = gray[..., None] / 255 * (1 - alpha) + evidence_rgb(large) * alpha
    image = Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    scale = np.array([size[0] / shown.shape[1], size[1] / shown.shape[0]])
    for line_N2 in evidence.outlines:
        points = [(float(x), float(y)) for x, y in line_N2 * scale - 0.5]
        pen.line(points, fill=(0, 0, 0), width=4, joint="curve")
        pen.line(points, fill=_LINE_RGB, width=2, joint="curve")
    return image


def _hidden_panel(case: ExplainedCase, size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, (24, 24, 24))
    font = ImageFont.load_default(size=max(12, size[0] // 24))
    words = f"Map {case.map_facts.verdict}\n" + _wrapped(plain(case.map_facts.hidden, 300), font, size[0] - 16)
    ImageDraw.Draw(image).multiline_text(
        (size[0] / 2, size[1] / 2), words, font=font, fill=_TEXT_RGB, anchor="mm", align="center"
    )
    return image


def _words_strip(case: ExplainedCase, width: int) -> Image.Image:
    font = ImageFont.load_default(size=max(12, width // 60))
    words = "\n".join(_wrapped(line, font, width - 16) for line in caption_lines(case))
    box = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((8, 8), words, font=font)
    strip = Image.new("RGB", (width, math.ceil(box[3]) + 10), _GROUND_RGB)
    ImageDraw.Draw(strip).multiline_text((8, 8), words, font=font, fill=_TEXT_RGB)
    return strip


def _wrapped(words: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
