"""One image file to a `RawImage`: read by content, in its own bit depth, with color, rotation and range settled.

What is decided here and in `decoders`, once for the whole project:

- PNG, JPEG, BMP, GIF, TIFF and WebP are told by their content; the extension of the file is ignored.
- 16-bit files stay uint16, also in color. Of a file with several pages or frames the first is read.
- RGB whose three channels are equal is gray. A palette becomes the colors it stands for; CMYK becomes RGB; one bit
  becomes 0 and 255.
- An alpha channel that is opaque everywhere is dropped; any other is composited over black. A single color marked
  as transparent (PNG, GIF) stays as it is: pixel values are data.
- EXIF rotation is applied. TIFF whose zero is white is inverted: larger is always brighter.
- The range is that of the type, (0, 255) or (0, 65535), also where a scanner used 12 bits of 16. Signed, 32-bit and
  floating-point files have no natural white: their range is that of the image, or (0, 1) if it lies inside.

Whatever is wrong with a file comes out as one `ImageError` of one line, without the path; no warning and no log line
of a decoder gets through.

Legend of axes: H rows, W columns, C channels.
"""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scanlens.data.decoders import Decoded, decode
from scanlens.data.reasons import words_of
from scanlens.errors import ImageError
from scanlens.types import Color, RawImage

MAX_PIXELS = 64_000_000
MAX_BYTES = 512 * 2**20
# What decoders raise on damaged files. The plain ones (LookupError, TypeError ...) come from parsers that trust tags.
_DECODER_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, MemoryError, RuntimeError, LookupError, ArithmeticError, TypeError,
    AttributeError, AssertionError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


def read_image(
    path: str | Path, *, color: Color | None = None, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> RawImage:
    """The pixels of one file.

    Args:
        path: a regular file.
        color: what the data set holds; the image is brought to it (see `as_color`). None: as the file says, where
            RGB with equal channels counts as gray.
        max_pixels: refuse more rows times columns than this, before anything is decoded.
        max_bytes: refuse larger files.

    Raises:
        ImageError: the file cannot be read.
    """
    decoded = _decoded(Path(path), max_pixels, max_bytes)
    raw = RawImage(decoded.pixels, _color_of(decoded), decoded.value_range)
    if raw.color == "rgb" and color != "channels" and _has_equal_channels(raw.pixels):
        raw = RawImage(np.ascontiguousarray(raw.pixels[..., 0]), "gray", raw.value_range)
    return raw if color is None else as_color(raw, color)


def read_mask(path: str | Path, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> NDArray[np.uint8]:
    """The mask stored in one file, (H, W) of 0 and 1: every pixel that is not black.

    In JPEG and WebP, whose compression leaves shades beside an edge, every pixel brighter than half the range.

    Raises:
        ImageError: the file cannot be read.
    """
    decoded = _decoded(Path(path), max_pixels, max_bytes)
    brightest_HW = decoded.pixels if decoded.pixels.ndim == 2 else decoded.pixels.max(axis=2)
    threshold = sum(decoded.value_range) / 2 if decoded.is_lossy else 0
    return (brightest_HW > threshold).astype(np.uint8)


def as_color(raw: RawImage, color: Color) -> RawImage:
    """The same image as gray (luma of ITU-R BT.601), as rgb (gray three times) or as channels (H, W, C); depth kept.

    Raises:
        ImageError: measured channels are asked for as colors.
    """
    pixels = raw.pixels
    if raw.color == color:
        return raw
    if raw.color == "channels":
        raise ImageError(f"the file has {pixels.shape[2]} channels that are not colors; {color} was expected")
    if color == "channels":
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    elif color == "rgb":
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    else:
        pixels = _luma(pixels)
    return replace(raw, pixels=pixels, color=color)


def _decoded(path: Path, max_pixels: int, max_bytes: int) -> Decoded:
    data = _file_bytes(path, max_bytes)
    try:
        return decode(data, max_pixels=max_pixels)
    except ImageError:
        raise
    except _DECODER_ERRORS as error:
        raise ImageError(_reason(error)) from error


def _file_bytes(path: Path, max_bytes: int) -> bytes:
    """The whole file, after making sure that it is one: opening a pipe would wait forever."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"not a file but {'a folder' if stat.S_ISDIR(status.st_mode) else 'a pipe or device'}")
        if status.st_size == 0:
            raise ImageError("the file is empty (0 bytes)")
        if status.st_size > max_bytes:
            raise ImageError(f"the file has {status.st_size} bytes, over the limit of {max_bytes}")
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError("the file is not there") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ImageError(f"the file cannot be opened ({reason})") from error


def _reason(error: BaseException) -> str:
    """One line of at most 200 characters."""
    if isinstance(error, MemoryError):
        return "the file needs more memory than there is"
    text = words_of(error)
    if isinstance(error, Image.DecompressionBombError):
        return f"the image is too large ({text})"
    is_cut = any(word in text.lower() for word in ("truncat", "not enough image data", "unexpected end"))
    return f"the file is {'cut off' if is_cut else 'damaged or of an unknown variant'} ({text})"


def _color_of(decoded: Decoded) -> Color:
    if decoded.pixels.ndim == 2:
        return "gray"
    return "rgb" if decoded.is_color else "channels"


def _has_equal_channels(rgb_HWC: NDArray[Any]) -> bool:
    red_HW = rgb_HWC[..., 0]
    return bool(np.array_equal(red_HW, rgb_HWC[..., 1]) and np.array_equal(red_HW, rgb_HWC[..., 2]))


def _luma(rgb_HWC: NDArray[Any]) -> NDArray[Any]:
    luma_HW = rgb_HWC.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    is_whole = np.issubdtype(rgb_HWC.dtype, np.integer)
    return (np.rint(luma_HW) if is_whole else luma_HW).astype(rgb_HWC.dtype)
