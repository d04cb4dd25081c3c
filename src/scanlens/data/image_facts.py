"""What is noted of every image when it is decoded: of its pixels at full size, and of the file that it came from.

An audit looks for duplicates, shortcuts and odd images in these notes alone, so nothing is decoded a second time.

Legend of axes: H rows, W columns, C channels, F facts.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scanlens.data.burnt_in_text import num_text_marks
from scanlens.types import RawImage

HASH_BYTES = 16
FILE_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "I;16B", "F")
FILE_KINDS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "MPO")
FACTS = (
    "height", "width", "channels", "bits",  # of the decoded pixels
    "low", "high", "mean", "spread",  # of values brought to [0, 1] by the range of the file (may lie beyond a window)
    "border_mean", "border_spread",  # the same of the outermost ring
    "edge_mean", "edge_spread",  # the same of the outermost pixels alone, where thin frames are
    "spacing_mm",  # of rows
    "text_score",  # letter-like marks in lines, see burnt_in_text
    "file_bytes", "file_kind", "file_mode", "jpeg_quality",  # of the file, if a picture lies in one
)  # fmt: skip
_BORDER = 0.02  # of the shorter side
_HEADER_BYTES = 2**18
# Luminance quantization of the Independent JPEG Group at quality 50 (ITU-T T.81, table K.1); the order does not matter here.
_IJG_LUMINANCE_SUM = 3688
Row = NDArray[np.float64]


def pixel_hash(raw: RawImage) -> bytes:
    """16 bytes of the sha256 of the decoded pixels: equal for copies with other names, headers or lossless compression.

    Color with three equal channels counts as gray, so that a copy saved in color is the same.
    """
    pixels = raw.pixels
    if raw.color == "rgb" and bool((pixels == pixels[..., :1]).all()):
        pixels = pixels[..., 0]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    small_end = pixels.dtype.newbyteorder("<")
    head = f"{pixels.shape} {small_end.str}"
    digest = hashlib.sha256(head.encode())
    digest.update(np.ascontiguousarray(pixels, dtype=small_end).tobytes())
    return digest.digest()[:HASH_BYTES]


def are_blank(facts_NF: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(N,): pictures of one gray value, which are alike without being copies."""
    return np.asarray(facts_NF[:, FACTS.index("low")] == facts_NF[:, FACTS.index("high")])


def image_facts(raw: RawImage, path: str) -> Row:
    """One row (F,) in the order of `FACTS`; NaN for what is not known.

    Args:
        raw: the image as its source reads it.
        path: of its record; looked at if a picture file lies there.
    """
    pixels = raw.pixels
    gray_HW = np.asarray(pixels if pixels.ndim == 2 else pixels.mean(axis=2), dtype=np.float32)
    black, white = raw.value_range
    gray_HW = (gray_HW - np.float32(black)) / np.float32(max(white - black, 1e-12))
    border = _ring(gray_HW, width=max(1, round(_BORDER * min(gray_HW.shape))))
    edge = _ring(gray_HW, width=1)
    of_pixels = [
        *gray_HW.shape,
        1 if pixels.ndim == 2 else pixels.shape[2],
        8 * pixels.dtype.itemsize,
        *(float(f(gray_HW)) for f in (np.min, np.max, np.mean, np.std)),
        float(border.mean()),
        float(border.std()),
        float(edge.mean()),
        float(edge.std()),
        np.nan if raw.spacing_mm is None else raw.spacing_mm[0],
        num_text_marks(gray_HW),
    ]
    return np.array([*of_pixels, *_file_facts(Path(path))], dtype=np.float64)


def _ring(gray_HW: NDArray[np.float32], *, width: int) -> NDArray[np.float32]:
    inside = np.zeros(gray_HW.shape, bool)
    inside[width:-width, width:-width] = True
    return gray_HW[~inside]


def _file_facts(path: Path) -> tuple[float, float, float, float]:
    """Size, kind, mode and JPEG quality of a picture file, from its header."""
    try:
        if not path.is_file():  # a slice of a volume has a name that only its source understands
            return np.nan, np.nan, np.nan, np.nan
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
    except (OSError, ValueError):
        return np.nan, np.nan, np.nan, np.nan
    try:
        with Image.open(io.BytesIO(head), formats=FILE_KINDS[:-1]) as image:
            kind, mode = _place(FILE_KINDS, image.format), _place(FILE_MODES, image.mode)
            return size, kind, mode, _jpeg_quality(getattr(image, "quantization", None))
    except Exception:  # headers that end early or lie; the pixels themselves were read by other means
        return size, np.nan, np.nan, np.nan


def _place(names: tuple[str, ...], name: str | None) -> float:
    return float(names.index(name)) if name in names else np.nan


def _jpeg_quality(quantization: Any) -> float:
    """Quality 1 to 100 in the scale of the Independent JPEG Group, from the sum of the luminance table."""
    if not quantization or 0 not in quantization:
        return np.nan
    scale = 100 * sum(quantization[0]) / _IJG_LUMINANCE_SUM
    quality = 5000 / scale if scale > 100 else (200 - scale) / 2
    return float(np.clip(np.rint(quality), 1, 100))
