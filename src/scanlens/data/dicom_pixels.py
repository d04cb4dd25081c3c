"""One frame of a DICOM file to a `RawImage`: values in their units, larger is brighter, window and spacing as the header says.

What is decided here:

- Modality LUT or rescale slope and intercept (also per frame) are applied. What needs no rescaling and is unsigned with up to
  16 bits stays uint8 or uint16; everything else becomes float32.
- What of it is shown, VOI LUT tables and windows decide (`dicom_voi`), else percentiles 0.5 and 99.5.
- MONOCHROME1 is mirrored. Padding pixels become the darkest value and do not count for percentiles.
- Color becomes RGB (YBR and palette too) in its own depth, and has no window.

References:
    DICOM PS3.3 C.7.6.3 (image pixel), C.7.5.1.1.2 (padding), C.7.6.16 (functional groups), C.11.1 (modality LUT),
    C.11.2 (VOI LUT); PS3.5 section 8 and annex A (encodings).

Legend of axes: H rows, W columns.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import apply_color_lut, apply_rescale, get_decoder, pixel_array
from pydicom.pixels.utils import _get_jpg_parameters
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from scanlens.data.dicom_files import (
    IMAGE,
    MAX_BYTES,
    BoundedReader,
    first_value,
    functional_group,
    item,
    numbers,
    opened,
    parsing,
    read_header,
    text,
    whole,
)  # fmt: skip
from scanlens.data.dicom_picture import KEYWORDS, burnt_in, sides
from scanlens.data.dicom_voi import Window, shown
from scanlens.data.image_io import MAX_PIXELS
from scanlens.errors import ImageError
from scanlens.types import RawImage

# In order. Not gdcm, which pydicom would take first: its C++ aborts the whole process on some damaged JPEG streams (3.2.6).
_PLUGINS = ("pydicom", "pyjpegls", "pylibjpeg", "pillow")
_END_OF_IMAGE = b"\xff\xd9"
_HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")


def read_frame(
    path: str | Path,
    frame: int = 0,
    *,
    window: Window = "header",
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
) -> RawImage:
    """The pixels of one frame.

    Args:
        path: a DICOM file, also one in gzip.
        frame: from 0.
        window: "header" for the window of the header where there is one; "percentile" never to use it.
        max_pixels: refuse more rows times columns than this, before anything is decoded.
        max_bytes: refuse larger files, also when unzipped.

    Returns:
        gray (H, W) with `value_range` = the window, or rgb (H, W, 3); spacing in mm, sides of the patient where the header tells them.

    Raises:
        ImageError: the frame cannot be read; a missing decoder is named with the package that has it.
    """
    with opened(Path(path), max_bytes=max_bytes) as file:
        header = read_header(file, keywords=IMAGE + KEYWORDS, max_bytes=max_bytes)
        with parsing():
            check_size(header, file.num_bytes, max_pixels)
            stored = _stored(file, header, frame, max_pixels)
        with parsing():
            spacing_mm = spacing_of(header, frame)
            if stored.ndim == 3 or text(header, "PhotometricInterpretation") == "PALETTE COLOR":
                raw = _color_image(stored, header, spacing_mm)
            else:
                raw = _gray_image(stored, header, frame, window, spacing_mm)
            return replace(raw, sides=sides(header, frame), burnt_in=burnt_in(header))


def check_size(header: Dataset, num_bytes: int, max_pixels: int) -> int:
    """The number of frames, after making sure that sizes are possible in a file of so many bytes.

    Raises:
        ImageError: no rows or columns, more pixels than `max_pixels`, or more frames than the file can hold.
    """
    rows, columns = whole(header, "Rows") or 0, whole(header, "Columns") or 0
    if rows < 1 or columns < 1:
        raise ImageError("the DICOM file has no pixels (no rows and columns): it is no image")
    if rows * columns > max_pixels:
        raise ImageError(f"the image has {columns} x {rows} pixels, over the limit of {max_pixels} (data.max_pixels)")
    if not 1 <= (whole(header, "SamplesPerPixel") or 1) <= 4:
        raise ImageError("the header is damaged: one to four samples per pixel are expected")
    frames = whole(header, "NumberOfFrames")
    if frames is None and text(header, "NumberOfFrames"):
        raise ImageError("the header is damaged: the number of frames is no number")
    frames = frames or 1
    syntax = header.file_meta.TransferSyntaxUID
    if syntax == DeflatedExplicitVRLittleEndian:
        most = 1 if frames == 1 else num_bytes * 1032 // (rows * columns)  # the best that deflate can do
    elif syntax.is_encapsulated if syntax.is_transfer_syntax else False:
        most = max(num_bytes // 8, 1)
    else:
        bits = rows * columns * (whole(header, "SamplesPerPixel") or 1) * (whole(header, "BitsAllocated") or 1)
        most = num_bytes * 8 // bits if frames > 1 else 1
    if not 1 <= frames <= most:
        raise ImageError(f"the file is cut off or damaged: it says {frames} frames and has room for {most}")
    return frames


def spacing_of(header: Dataset, frame: int) -> tuple[float, float] | None:
    """(row, column) distance of pixel centers in mm, or None if unknown (PixelSpacing, PS3.3 10.7.1.1)."""
    for place, keyword in (
        (header, "PixelSpacing"),
        (header, "ImagerPixelSpacing"),
        (functional_group(header, frame, "PixelMeasuresSequence"), "PixelSpacing"),
    ):
        found = numbers(place, keyword, count=2)
        if found is not None and min(found) > 0:
            return found[0], found[1]
    return None


def _stored(file: BoundedReader, header: Dataset, frame: int, max_pixels: int) -> NDArray[Any]:
    """Stored values of one frame, (H, W) or (H, W, 3)."""
    syntax = header.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise ImageError(f"the transfer syntax {_name(syntax)} is not known; export the images uncompressed") from None
    usable = [one for one in _PLUGINS if one in decoder.available_plugins]
    if syntax == JPEGBaseline8Bit:
        usable.sort(key=lambda one: one != "pillow")
    if syntax.is_encapsulated and not usable:
        raise ImageError(f"no decoder for the transfer syntax {_name(syntax)}: pip install 'scanlens[dicom]'")
    if syntax == DeflatedExplicitVRLittleEndian:
        file.is_header = False
        file.seek(0)
        return pixel_array(dcmread(file, force=True), index=frame)  # type: ignore[arg-type]
    if not syntax.is_encapsulated:
        file.is_header = False
        return pixel_array(file, index=frame, transfer_syntax_uid=syntax)  # type: ignore[arg-type]
    file.is_header = False
    if len(start := file.read(12)) < 12 or start[:4] != b"\xe0\x7f\x10\x00":
        raise ImageError("the file is cut off: it ends before its pixels")
    data = get_frame(file, frame, number_of_frames=whole(header, "NumberOfFrames") or 1)  # type: ignore[arg-type]
    _check_codestream(data, syntax, header, max_pixels)
    header.NumberOfFrames = 1
    header.add_new("PixelData", "OB", encapsulate([data]))
    header["PixelData"].is_undefined_length = True
    return pixel_array(header, index=0, decoding_plugin=usable[0])


def _check_codestream(data: bytes, syntax: Any, header: Dataset, max_pixels: int) -> None:
    """The size inside a compressed frame is the header's; decoders would allocate whatever it says."""
    expected = (whole(header, "Rows"), whole(header, "Columns"))
    found: tuple[int, int] | None = None
    if syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        inside = _get_jpg_parameters(data)
        found = (inside["height"], inside["width"]) if "height" in inside else None
    elif syntax in JPEG2000TransferSyntaxes or syntax in _HTJ2K:
        start = data.find(b"\xff\x4f\xff\x51")  # SOC, then SIZ: ISO/IEC 15444-1 A.5.1
        if start >= 0 and len(data) >= start + 24:
            right, bottom, left, top = struct.unpack(">4L", data[start + 8 : start + 24])
            found = (bottom - top, right - left)
            if max(right, bottom) > 2**20:
                found = None
    else:
        return
    if syntax in JPEGLSTransferSyntaxes and not data.rstrip(b"\0").endswith(_END_OF_IMAGE):
        # The decoder of pyjpegls 1.5 reads on beyond such an end, for seconds up to hours.
        raise ImageError("the file is cut off: its compressed frame has no end")
    if found != expected:
        raise ImageError(
            f"the file is damaged: the header says {expected[1]} x {expected[0]} pixels, the compressed frame "
            f"{f'{found[1]} x {found[0]}' if found else 'does not say its size'}"
        )


def _name(syntax: Any) -> str:
    known = syntax.name if syntax.is_transfer_syntax and syntax.name != str(syntax) else "unknown"
    return f"{str(syntax)[:64]} ({known})"


def _color_image(stored: NDArray[Any], header: Dataset, spacing_mm: tuple[float, float] | None) -> RawImage:
    pixels = stored
    if stored.ndim == 2:
        pixels = apply_color_lut(stored, header)
    if pixels.ndim != 3 or pixels.shape[2] < 3 or pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"color of {pixels.dtype} in {pixels.shape[2:]} samples; three of 8 or 16 bits are expected")
    bits = 8 * pixels.dtype.itemsize
    if stored.ndim == 3:
        bits = min(bits, whole(header, "BitsStored") or bits)
    return RawImage(np.ascontiguousarray(pixels[..., :3]), "rgb", (0.0, float(2**bits - 1)), spacing_mm)


def _gray_image(
    stored_HW: NDArray[Any], header: Dataset, frame: int, window: Window, spacing_mm: tuple[float, float] | None
) -> RawImage:
    is_padding_HW = _padding(stored_HW, header)
    values_HW = _in_units(stored_HW, header, frame)
    is_valid_HW = ~is_padding_HW & np.isfinite(values_HW)
    if not is_valid_HW.any():
        raise ImageError("the image has no pixels but padding, or no finite number")
    values_HW, low, high = shown(values_HW, is_valid_HW, header, frame, window)
    valid = values_HW[is_valid_HW]
    if is_padding_HW.any():
        values_HW = values_HW.copy()
    if text(header, "PhotometricInterpretation") == "MONOCHROME1":
        pivot = _pivot(values_HW, header)
        values_HW = (pivot - values_HW).astype(values_HW.dtype)
        low, high = float(pivot) - high, float(pivot) - low
        valid = values_HW[is_valid_HW]
    values_HW[is_padding_HW] = valid.min()
    return RawImage(np.ascontiguousarray(values_HW), "gray", (low, high), spacing_mm, is_windowed=True)


def _padding(stored_HW: NDArray[Any], header: Dataset) -> NDArray[np.bool_]:
    """Where stored values are padding: one value, or a range with its limit (PS3.3 C.7.5.1.1.2)."""
    value = _stored_number(header, "PixelPaddingValue", stored_HW.dtype)
    if value is None:
        return np.zeros(stored_HW.shape, bool)
    limit = _stored_number(header, "PixelPaddingRangeLimit", stored_HW.dtype)
    ends = (value, value if limit is None else limit)
    return (stored_HW >= min(ends)) & (stored_HW <= max(ends))


def _stored_number(header: Dataset, keyword: str, dtype: np.dtype[Any]) -> int | None:
    """A number of 16 bits in the sign of the pixels: implicit VR does not say it, and some writers get it wrong."""
    raw = first_value(header, keyword)
    if isinstance(raw, bytes):
        raw = int.from_bytes(raw[:2], "little") if len(raw) >= 2 else None
    value = whole(header, keyword) if not isinstance(raw, int) else raw
    if value is None:
        return None
    if dtype.kind == "i" and 2**15 <= value < 2**16:
        return value - 2**16
    return value + 2**16 if dtype.kind == "u" and value < 0 else value


def _in_units(stored_HW: NDArray[Any], header: Dataset, frame: int) -> NDArray[Any]:
    """Modality LUT or rescale applied; unsigned up to 16 bits where there is nothing to do, else float32."""
    own = functional_group(header, frame, "PixelValueTransformationSequence")
    place = own if "RescaleSlope" in own else header
    if item(header, "ModalityLUTSequence"):
        return apply_rescale(stored_HW, header).astype(np.float32)
    slope = numbers(place, "RescaleSlope", count=1)
    intercept = numbers(place, "RescaleIntercept", count=1)
    if slope is not None and intercept is not None and slope[0] != 0 and (slope[0], intercept[0]) != (1, 0):
        return apply_rescale(stored_HW, place).astype(np.float32)
    is_small = stored_HW.dtype.kind == "u" and stored_HW.dtype.itemsize <= 2
    return stored_HW.astype(stored_HW.dtype.newbyteorder("=") if is_small else np.float32)


def _pivot(values_HW: NDArray[Any], header: Dataset) -> Any:
    """What values are taken from, to mirror them: white of the bits stored for whole numbers, else zero."""
    if values_HW.dtype.kind != "u":
        return np.float32(0)
    bits = min(whole(header, "BitsStored") or 16, 8 * values_HW.dtype.itemsize)
    return max(values_HW.dtype.type(2**bits - 1), values_HW.max())
