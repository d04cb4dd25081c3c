"""DICOM files opened and their headers read, within bounds that a hostile file cannot widen.

pydicom reads; what stands here is what it leaves open: only regular files, a limit of bytes for the file, for what a gzip or
deflated file unfolds to, and for the number and the size of reads that a header may take. Whatever is wrong comes out as one
`ImageError` of one line, without the path and without a value of the header.

References:
    DICOM PS3.10 section 7 (file format, preamble), PS3.5 section 7 (data elements) and section A.5 (deflated).
"""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import os
import stat
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from scanlens.data.decoders import _no_warnings
from scanlens.data.reasons import words_of
from scanlens.errors import ImageError

MAX_BYTES = 512 * 2**20
_MOST_HEADER_BYTES = 64 * 2**20
_MOST_READS = 1_000_000
_MOST_ITEMS = 200_000
# What pydicom, its decoders and numpy raise on damaged files: parsers that trust what they read.
PARSER_ERRORS = (
    OSError, ValueError, EOFError, MemoryError, RuntimeError, LookupError, ArithmeticError, TypeError, AttributeError,
    AssertionError, NotImplementedError, struct.error, zlib.error, InvalidDicomError, BytesLengthException,
)  # fmt: skip
FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
IDENTITY = (
    "PatientID", "IssuerOfPatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality",
    "SeriesDescription", "InstanceNumber", "InstitutionName", "Manufacturer", "ManufacturerModelName",
)  # fmt: skip
IMAGE = (
    "SpecificCharacterSet", "SOPClassUID", "ImagePositionPatient", "ImageOrientationPatient", "SamplesPerPixel",
    "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing", "ImagerPixelSpacing", "PixelPaddingValue",
    "PixelPaddingRangeLimit", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter",
    "WindowWidth", "VOILUTFunction", "VOILUTSequence", "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", *FUNCTIONAL_GROUPS,
)  # fmt: skip


class BoundedReader:
    """A binary file whose reads are counted.

    Args:
        file: opened for reading.
        num_bytes: its length.

    Raises:
        ImageError: from `read`, when a header takes more reads or bytes than any honest one.
    """

    def __init__(self, file: BinaryIO, num_bytes: int) -> None:
        self._file = file
        self.num_bytes = num_bytes
        self._reads_left = _MOST_READS
        self._bytes_left = _MOST_HEADER_BYTES
        self.is_header = True
        self.name = None

    def read(self, size: int = -1, /) -> bytes:
        here = self._file.tell()
        size = max(0, min(size if size >= 0 else self.num_bytes, self.num_bytes - here))
        self._reads_left -= 1
        if self.is_header:
            self._bytes_left -= size
        if self._reads_left < 0 or self._bytes_left < 0:
            raise ImageError("the header is larger, or made of more parts, than that of an image")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        """The file is closed by whoever opened it."""


@contextlib.contextmanager
def opened(path: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[BoundedReader]:
    """The file at its beginning, unzipped if it is a gzip file.

    Raises:
        ImageError: not a regular file, empty, larger than `max_bytes` (also when unzipped), or not to be opened.
    """
    try:
        # O_NONBLOCK: opening a pipe would wait for its writer
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ImageError(f"not a file but {'a folder' if stat.S_ISDIR(status.st_mode) else 'a pipe or device'}")
            if status.st_size == 0:
                raise ImageError("the file is empty (0 bytes)")
            if status.st_size > max_bytes:
                raise ImageError(f"the file has {status.st_size} bytes, over the limit of {max_bytes} (data.max_bytes)")
            is_gzip = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if is_gzip:
                data = _unzipped(file, max_bytes)
                yield BoundedReader(io.BytesIO(data), len(data))
            else:
                yield BoundedReader(file, status.st_size)
    except FileNotFoundError:
        raise ImageError("the file is not there") from None
    except OSError as error:
        raise ImageError(f"the file cannot be opened or read ({error.strerror or type(error).__name__})") from error


def has_dicom_head(path: Path) -> bool:
    """Whether the file says DICM or begins like a data set without preamble; False if unreadable."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            head = file.read(132)
    except (OSError, ValueError):
        return False
    is_bare = head[:2] in (b"\x02\0", b"\x08\0", b"\0\x08") and len(head) > 8
    return head[128:132] == b"DICM" or is_bare


def read_header(file: BoundedReader, *, keywords: tuple[str, ...], max_bytes: int = MAX_BYTES) -> Dataset:
    """The elements before the pixels, as far as `keywords` name them; `file` is left where the pixels begin.

    A file without preamble is taken if it then has rows and columns. `file_meta.TransferSyntaxUID` is always set: where the
    file does not say, it is the one that reads.

    Raises:
        ImageError: this is no DICOM, it is cut off, nested too deep, or its header is too large.
    """
    with parsing():
        file.seek(0)
        has_preamble = file.read(132)[128:] == b"DICM"
        if has_preamble and _is_deflated(file):
            _check_inflated(file, max_bytes)
        file.seek(0)
        tags: list[Any] = [Tag(keyword) for keyword in keywords]
        header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)  # type: ignore[arg-type]
        if not has_preamble and not ("Rows" in header and "Columns" in header):
            raise ImageError(
                "not a DICOM file: it has neither the preamble with 'DICM' nor, read without it, rows and columns"
            )
        for keyword in (*FUNCTIONAL_GROUPS, "ModalityLUTSequence", "VOILUTSequence"):
            _check_items(header, keyword)
        if not header.file_meta.get("TransferSyntaxUID"):
            header.file_meta.TransferSyntaxUID = _transfer_syntax(header)
        return header


@contextlib.contextmanager
def parsing() -> Iterator[None]:
    """What pydicom and decoders raise here becomes an `ImageError`; their warnings and log lines are dropped."""
    with _no_warnings(), _no_log():
        try:
            yield
        except ImageError:
            raise
        except RecursionError:
            raise ImageError("the header is damaged: its sequences are nested too deep") from None
        except PARSER_ERRORS as error:
            raise ImageError(reason(error)) from error


def reason(error: BaseException) -> str:
    """One line of at most 250 characters, without quoted values (`words_of`)."""
    if isinstance(error, MemoryError):
        return "the file needs more memory than there is"
    words = words_of(error)
    is_cut = isinstance(error, EOFError | struct.error) or any(
        word in words.lower() for word in ("truncat", "less than", "end of file", "unexpected end", "not enough")
    )
    return f"the file is {'cut off' if is_cut else 'damaged or of an unknown variant'} ({words})"


def first_value(header: Dataset, keyword: str) -> Any:
    """The value as pydicom converts it, or None where it is absent, empty or cannot be converted."""
    try:
        value = header.get(keyword)
    except PARSER_ERRORS:
        return None
    return None if value is None or value == "" else value


def numbers(header: Dataset, keyword: str, *, count: int) -> tuple[float, ...] | None:
    """The first `count` finite numbers of an element, or None where there are not so many."""
    value = first_value(header, keyword)
    values = list(value) if hasattr(value, "__iter__") and not isinstance(value, str | bytes) else [value]
    try:
        found = tuple(float(one) for one in values[:count])
    except (TypeError, ValueError, OverflowError):
        return None
    return found if len(found) == count and all(abs(one) < 1e30 for one in found) else None


def whole(header: Dataset, keyword: str) -> int | None:
    """A whole number, or None."""
    found = numbers(header, keyword, count=1)
    return int(found[0]) if found is not None else None


def text(header: Dataset, keyword: str) -> str:
    """The value as text without spaces around it; empty where there is none."""
    value = first_value(header, keyword)
    return "" if value is None else str(value).strip(" \0")


def item(header: Dataset, keyword: str, place: int = 0) -> Dataset:
    """One item of a sequence; an empty data set where it is absent."""
    sequence = first_value(header, keyword)
    try:
        found = sequence[place]
    except PARSER_ERRORS:
        return Dataset()
    return found if isinstance(found, Dataset) else Dataset()


def functional_group(header: Dataset, frame: int, keyword: str) -> Dataset:
    """A functional group of one frame: its own, else the shared one, else an empty data set (PS3.3 C.7.6.16)."""
    own = item(item(header, "PerFrameFunctionalGroupsSequence", frame), keyword)
    return own if len(own) else item(item(header, "SharedFunctionalGroupsSequence"), keyword)


def _unzipped(file: BinaryIO, max_bytes: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=file) as unzipping:
            data = unzipping.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ImageError(f"the gzip file is damaged or cut off ({type(error).__name__})") from error
    if len(data) > max_bytes:
        raise ImageError(f"the gzip file holds more than {max_bytes} bytes, the limit (data.max_bytes)")
    if not data:
        raise ImageError("the gzip file holds nothing")
    return data


def _is_deflated(file: BoundedReader) -> bool:
    """What the file meta information says; `file` is left behind it."""
    file.seek(0)
    read_preamble(file, force=True)  # type: ignore[arg-type]
    meta = _read_file_meta_info(file)  # type: ignore[arg-type]
    return bool(meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian)


def _check_inflated(file: BoundedReader, max_bytes: int) -> None:
    """Inflate in pieces that are thrown away, since pydicom inflates all at once."""
    file.is_header = False
    inflating, left = zlib.decompressobj(-zlib.MAX_WBITS), max_bytes
    while piece := file.read(2**16):
        while piece:
            left -= len(inflating.decompress(piece, 2**20))
            if left < 0:
                raise ImageError(f"the deflated file holds more than {max_bytes} bytes, the limit (data.max_bytes)")
            piece = inflating.unconsumed_tail


def _check_items(header: Dataset, keyword: str) -> None:
    """A sequence of defined length is only parsed when it is looked at; refuse one of absurdly many items before."""
    if keyword not in header:
        return
    value = getattr(header.get_item(keyword), "value", None)
    if isinstance(value, bytes):
        num_items = max(value.count(b"\xfe\xff\x00\xe0"), value.count(b"\xff\xfe\xe0\x00"))
        if num_items > _MOST_ITEMS:
            raise ImageError(f"the header is damaged: a sequence of {num_items} items, over the limit of {_MOST_ITEMS}")


def _transfer_syntax(header: Dataset) -> UID:
    is_implicit, is_little = header.original_encoding
    if is_implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian


_reading = threading.local()


@contextlib.contextmanager
def _no_log() -> Iterator[None]:
    _reading.dicom = True
    try:
        yield
    finally:
        _reading.dicom = False


for _name in ("pydicom", "pydicom.pixels", "pydicom.pixels.decoders", "pydicom.pixels.decoders.base", "openjpeg"):
    logging.getLogger(_name).addFilter(lambda _: not getattr(_reading, "dicom", False))
