"""Bytes of one image file to upright pixels in the file's own depth, and what their values mean.

Pillow reads what it can read without loss. 16-bit color PNG, and TIFF that Pillow would squeeze to 8 bits or to fewer
channels, go to imagecodecs and tifffile. `image_io` says what is decided about color, alpha, rotation and range.

Errors of the decoders pass through here as they are; `image_io` turns them into `ImageError`.

Legend of axes: H rows, W columns, C channels.
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from scanlens.errors import ImageError

logger = logging.getLogger(__name__)

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION_TAG = 274
_MOST_BYTES_A_PIXEL = 128  # 16 channels of 64 bits


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels as the file means them.

    Args:
        pixels: (H, W) or (H, W, C), upright; uint8, uint16 or float32; larger is brighter.
        is_color: three channels are red, green and blue.
        value_range: the smallest and largest value that this kind of file can hold.
        is_lossy: compression may have shifted values.
    """

    pixels: NDArray[Any]
    is_color: bool
    value_range: tuple[float, float]
    is_lossy: bool


def decode(data: bytes, *, max_pixels: int) -> Decoded:
    """Decode the first picture in `data`.

    Raises:
        ImageError: unknown kind, or larger than `max_pixels`, known from the header alone.
    """
    if data.startswith(_TIFF_HEADS):
        decoded = _tiff(data, max_pixels)
        if decoded is not None:
            return decoded
    with _no_warnings():
        image = _opened(data, max_pixels)
    # The long part stays outside the lock, and Pillow lets other threads run meanwhile; only TIFF may still warn here.
    with _no_warnings() if image.format == "TIFF" else contextlib.nullcontext():
        image.load()
    with _no_warnings():
        orientation = _exif_orientation(image)
        pixels = imagecodecs.png_decode(data) if _is_deep_color_png(data) else _pillow_pixels(image)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels = _over_black(pixels)
    is_lossy = image.format in ("JPEG", "MPO", "WEBP")
    return _settled(_upright(pixels, orientation), is_color=pixels.ndim == 3, is_lossy=is_lossy)


def _opened(data: bytes, max_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.UnidentifiedImageError:
        raise ImageError(
            "not an image of a known kind (PNG, JPEG, TIFF, BMP, GIF, WebP), or its header is damaged"
        ) from None
    _check_size(image.height, image.width, max_pixels)
    if getattr(image, "is_animated", False):
        logger.info("an image with several frames: the first is read")
    return image


def _check_size(height: int, width: int, max_pixels: int) -> None:
    if height < 1 or width < 1:
        raise ImageError(f"the image has no pixels ({width} x {height})")
    if height * width > max_pixels:
        raise ImageError(f"the image has {width} x {height} pixels, over the limit of {max_pixels}")


def _exif_orientation(image: Image.Image) -> int:
    """1 to 8 as in EXIF; 1 (upright) if there is none or the EXIF block is damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except (OSError, ValueError, SyntaxError, TypeError, LookupError, OverflowError, RuntimeError):
        return 1


def _is_deep_color_png(data: bytes) -> bool:
    """PNG of 16 bits with several channels, which Pillow squeezes (IHDR: depth at byte 24, color type at 25)."""
    return data.startswith(b"\x89PNG") and data[24] == 16 and data[25] in (2, 4, 6)


def _pillow_pixels(image: Image.Image) -> NDArray[Any]:
    """(H, W), (H, W, 3), or with alpha last (H, W, 2) or (H, W, 4)."""
    if image.mode in ("L", "RGB", "LA", "RGBA", "F", "I") or image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode in ("PA", "La", "RGBa"):
        return np.asarray(image.convert("LA" if image.mode == "La" else "RGBA"))
    return np.asarray(image.convert("RGB"))  # palette, CMYK, YCbCr; what cannot be converted raises ValueError


def _tiff(data: bytes, max_pixels: int) -> Decoded | None:
    """The first page by tifffile; None where Pillow reads it without loss (and knows more color models)."""
    with _no_warnings(), _no_tifffile_log(), tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        _check_page(page, len(data), max_pixels)
        if file.pages.is_multipage:
            logger.info("a TIFF with several pages: the first is read")
        if _is_plain(page):
            return None
        pixels = page.asarray()
    if page.axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    elif page.axes not in ("YX", "YXS"):
        raise ImageError(f"a TIFF with axes {page.axes}; a picture has rows and columns only")
    photometric = int(page.photometric)
    if photometric not in (0, 1, 2):  # white is zero, black is zero, RGB
        raise ImageError(f"a TIFF of {page.dtype} in the color model {photometric}; gray and RGB can be read so deep")
    if photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    is_color = photometric == tifffile.PHOTOMETRIC.RGB
    num_colors = 3 if is_color else 1
    if pixels.ndim == 3 and pixels.shape[2] == num_colors + 1 and _has_alpha(page):
        pixels = _over_black(pixels)
    tag = page.tags.get(_ORIENTATION_TAG)
    upright = _upright(pixels, int(tag.value) if tag is not None else 1)
    return _settled(upright, is_color=is_color, is_lossy=False)


def _check_page(page: Any, num_bytes: int, max_pixels: int) -> None:
    _check_size(int(page.imagelength), int(page.imagewidth), max_pixels)
    if page.nbytes > max_pixels * _MOST_BYTES_A_PIXEL or page.imagedepth != 1:
        raise ImageError(f"a TIFF of shape {tuple(page.shape)}, too much for one picture")
    ends = [offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(ends) > num_bytes or 0 in page.databytecounts:
        raise ImageError("the file is cut off: it ends before its pixels do")


def _is_plain(page: Any) -> bool:
    """Gray, palette, RGB, CMYK or YCbCr of up to 8 bits, with no more channels than these have, or with alpha."""
    num_colors = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}.get(int(page.photometric), 0)
    bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    is_unsigned = int(page.sampleformat or 1) == 1
    has_alpha = page.samplesperpixel == num_colors + 1 and _has_alpha(page) and num_colors < 4
    return bits <= 8 and is_unsigned and (page.samplesperpixel == num_colors or has_alpha)


def _has_alpha(page: Any) -> bool:
    """The last sample is alpha (ExtraSamples 1 or 2), not one more measurement (0, or not said)."""
    return any(int(kind) in (1, 2) for kind in page.extrasamples)


def _over_black(pixels_HWC: NDArray[Any]) -> NDArray[Any]:
    """Without the last channel, alpha: dropped where opaque everywhere, else multiplied in."""
    color, alpha_HW1 = pixels_HWC[..., :-1], pixels_HWC[..., -1:]
    if pixels_HWC.dtype.kind != "u" or (alpha_HW1 == np.iinfo(pixels_HWC.dtype).max).all():
        composited = color
    else:
        shares = alpha_HW1.astype(np.float64) / np.iinfo(pixels_HWC.dtype).max
        composited = np.rint(color * shares).astype(pixels_HWC.dtype)
    return composited[..., 0] if composited.shape[2] == 1 else composited


def _upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo an EXIF orientation (2-4 mirrored or upside down, 5-8 also turned by a quarter)."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels


def _settled(pixels: NDArray[Any], *, is_color: bool, is_lossy: bool) -> Decoded:
    """Native byte order, one of the three types, and the range that goes with it."""
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        value_range = (0.0, float(np.iinfo(pixels.dtype).max))
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    elif pixels.dtype.kind in "uif":
        pixels = pixels.astype(np.float32)
        if not np.isfinite(pixels).all():
            raise ImageError("some pixels are not finite numbers (NaN or infinity)")
        low, high = float(pixels.min()), float(pixels.max())
        value_range = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    else:
        raise ImageError(f"pixels of type {pixels.dtype}; whole or floating-point numbers are expected")
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    is_color = is_color and pixels.ndim == 3 and pixels.shape[2] == 3
    return Decoded(np.ascontiguousarray(pixels), is_color, value_range, is_lossy)


_warnings_lock = threading.Lock()
_reading = threading.local()


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    """Drop Python warnings; one thread at a time, since the filters belong to the whole process."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _no_tifffile_log() -> Iterator[None]:
    """Drop what tifffile logs about odd tags while this thread reads."""
    _reading.tiff = True
    try:
        yield
    finally:
        _reading.tiff = False


logging.getLogger("tifffile").addFilter(lambda _: not getattr(_reading, "tiff", False))
