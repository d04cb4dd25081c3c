"""One NIfTI file to a volume in RAS+ order, through nibabel, with everything checked from the header before data is touched.

What is decided here:

- NIfTI-1 and NIfTI-2 in one file (`n+1`), either byte order, plain or gzipped (told by content, not by the name).
- `scl_slope` and `scl_inter` are applied. Without them integers stay as they are; everything else becomes float32.
- Axes are permuted and flipped to the closest RAS+ ones (right, anterior, superior grow); nothing is resampled, so an
  oblique volume keeps its own grid.
- Two axes are one slice of a volume; a fourth axis is frames, of which one is read; further axes must have length 1.
- Extensions of the header are passed over unread. Of a gzipped file no more is unpacked than the header asks for.

Whatever is wrong with a file comes out as one `ImageError` of one line, without the path.

Legend of axes: X right, Y anterior, Z superior.
"""

from __future__ import annotations

import gzip
import logging
import math
import stat
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np
from nibabel import Nifti1Header, Nifti1Image, Nifti2Header
from nibabel.affines import voxel_sizes
from nibabel.arrayproxy import ArrayProxy
from nibabel.funcs import as_closest_canonical
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from numpy.typing import NDArray

from scanlens.data.preprocess import LARGEST_VALUE
from scanlens.data.reasons import words_of
from scanlens.errors import ImageError

MAX_VOXELS = 512_000_000
MOST_SLICES = 32767  # what NIfTI-1 can hold along one axis
CONTENT_LEVEL = 0.1
_GZIP_HEAD = b"\x1f\x8b"
_MOST_GZIP_RATIO = 1032  # deflate packs no better
_MOST_OFFSET = 64 * 2**20  # bytes before the voxels: header and extensions
_MOST_SAMPLED = 2**24
_MM_OF_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
_NIBABEL_ERRORS = (
    OSError, EOFError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RuntimeError,
    struct.error, zlib.error, HeaderDataError,
)  # fmt: skip
_silent = logging.getLogger(f"{__name__}.silent")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class VolumeHeader:
    """What the header of one volume says, checked.

    Args:
        path: the file.
        header: of nibabel.
        is_gzip: told by content.
        stored_shape: of one frame, as stored.
        num_frames: length of the fourth axis.
        shape: of one frame in RAS+ order, (X, Y, Z).
        affine: voxel of the RAS+ array to mm, (4, 4).
        spacing_mm: distance of voxel centers along X, Y, Z.
        is_placed: whether the file says how it lies in space; if not, nibabel's convention (first axis to the left,
            second to the front, third upward) is taken.
    """

    path: Path
    header: Any
    is_gzip: bool
    stored_shape: tuple[int, int, int]
    num_frames: int
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    is_placed: bool


def read_header(path: Path, *, frame: int = 0, max_voxels: int = MAX_VOXELS) -> VolumeHeader:
    """Header of one file, read without its voxels.

    Args:
        path: a regular file.
        frame: of a 4-D file, from 0.
        max_voxels: refuse files that need more voxels than this to be gone through up to the end of `frame`.

    Raises:
        ImageError: the file is no NIfTI volume that can be read.
    """
    try:
        return _checked_header(path, frame, max_voxels)
    except _NIBABEL_ERRORS as error:
        raise ImageError(_reason(error, path)) from error


def read_voxels(header: VolumeHeader, *, frame: int = 0) -> NDArray[Any]:
    """The voxels of one frame, (X, Y, Z) in RAS+ order: an integer type as stored, or float32; NaN as stored.

    Raises:
        ImageError: the file is cut off or damaged.
    """
    try:
        voxels = _stored_voxels(header, frame)
        image = Nifti1Image(voxels, header.header.get_best_affine(), dtype=voxels.dtype)
        return np.asarray(as_closest_canonical(image).dataobj)
    except _NIBABEL_ERRORS as error:
        raise ImageError(_reason(error, header.path)) from error


def robust_window(voxels: NDArray[Any]) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile of the finite voxels; the extremes where these two are equal.

    Of more than 16,777,216 voxels every n-th is looked at, n without a common factor with the axes.

    Raises:
        ImageError: no voxel is finite.
    """
    flat = voxels.ravel(order="K")
    step = -(-flat.size // _MOST_SAMPLED)
    while step > 1 and math.gcd(step, math.prod(voxels.shape)) > 1:
        step += 1
    sample = flat[::step]
    if sample.dtype.kind == "f":
        sample = sample[np.abs(sample) < LARGEST_VALUE]
    if not sample.size:
        raise ImageError("no voxel is finite: all are NaN or infinite")
    low, high = (float(value) for value in np.percentile(sample, [0.5, 99.5]))
    return (low, high) if high > low else (float(sample.min()), float(sample.max()))


def content_shares(voxels: NDArray[Any], window: tuple[float, float], *, axis: int) -> NDArray[np.float64]:
    """Share of voxels above background of each slice along `axis`, (N,).

    Background is what lies no higher than a tenth of the way from the lower to the upper end of the volume's window.
    """
    threshold = window[0] + CONTENT_LEVEL * (window[1] - window[0])
    with np.errstate(invalid="ignore"):
        counts = [np.count_nonzero(one > threshold) for one in np.moveaxis(voxels, axis, 0)]
    return np.array(counts) / (voxels.size // voxels.shape[axis])


def lie_apart(one: VolumeHeader, other: VolumeHeader) -> bool:
    """Whether a corner of one volume lies more than half a voxel from that of the other."""
    corners = np.array(np.meshgrid(*([0, length - 1] for length in one.shape))).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    distance = np.linalg.norm((one.affine @ corners - other.affine @ corners)[:3], axis=0)
    return bool(distance.max() > 0.5 * min(voxel_sizes(one.affine)))


class RecentlyUsed(Generic[Value]):
    """The few values asked for last, each made once, also when several threads ask at the same time.

    A value whose making raises ImageError raises it again for everyone who asks.

    Args:
        make: gives the value of a name.
        most: values kept; the one unused for longest goes first.
    """

    def __init__(self, make: Callable[[str], Value], *, most: int = 2) -> None:
        self._make, self._most = make, most
        self._lock = threading.Lock()
        self._values: OrderedDict[str, Future[Value]] = OrderedDict()

    def get(self, name: str) -> Value:
        """The value of a name.

        Raises:
            ImageError: it cannot be made.
        """
        with self._lock:
            future = self._values.get(name)
            is_mine = future is None
            if future is None:
                future = self._values[name] = Future()
            self._values.move_to_end(name)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        if is_mine:
            try:
                future.set_result(self._make(name))
            except BaseException as error:
                future.set_exception(error.with_traceback(None))
                if not isinstance(error, ImageError):
                    self._forget(name)
                    raise
        try:
            return future.result()
        except ImageError as error:
            raise ImageError(str(error)) from None

    def _forget(self, name: str) -> None:
        with self._lock:
            self._values.pop(name, None)


def _checked_header(path: Path, frame: int, max_voxels: int) -> VolumeHeader:
    num_bytes = _regular_size(path)
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == _GZIP_HEAD
    with _opened(path, is_gzip) as stream:
        block = stream.read(Nifti2Header.sizeof_hdr)
    header = _parsed(block)
    stored, num_frames = _shape_of(header)
    _check_size(stored, num_frames, frame, max_voxels)
    end = _end_of(header, stored, frame)
    if num_bytes * (_MOST_GZIP_RATIO if is_gzip else 1) < end:
        raise ImageError(f"the file is cut off: its header asks for {end} bytes, it has {num_bytes}")
    affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise ImageError("its orientation (qform, sform) is not a finite, invertible matrix; write it anew")
    placeholder = np.broadcast_to(np.zeros((), np.uint8), stored)
    canonical = as_closest_canonical(Nifti1Image(placeholder, affine))
    factor = _MM_OF_UNIT.get(header.get_xyzt_units()[0], 1.0)
    across, up, deep = (float(size) * factor for size in voxel_sizes(canonical.affine))
    return VolumeHeader(
        path=path,
        header=header,
        is_gzip=is_gzip,
        stored_shape=stored,
        num_frames=num_frames,
        shape=canonical.shape,
        affine=np.asarray(canonical.affine),
        spacing_mm=(across, up, deep),
        is_placed=bool(header["qform_code"] > 0 or header["sform_code"] > 0),
    )


def _regular_size(path: Path) -> int:
    """Bytes of the file, after making sure that it is one: opening a pipe would wait forever."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"not a file but {'a folder' if stat.S_ISDIR(status.st_mode) else 'a pipe or device'}")
    if status.st_size == 0:
        raise ImageError("the file is empty (0 bytes)")
    return status.st_size


def _opened(path: Path, is_gzip: bool) -> BinaryIO:
    return gzip.open(path, "rb") if is_gzip else path.open("rb")  # type: ignore[return-value]


def _parsed(block: bytes) -> Any:
    """A header of nibabel, without the log lines it writes of small faults."""
    kinds = [kind for kind in (Nifti1Header, Nifti2Header) if kind.may_contain_header(block)]
    if not kinds:
        raise ImageError("not a NIfTI file, or its header is damaged")
    header = kinds[0](block[: kinds[0].sizeof_hdr], check=False)
    header.check_fix(logger=_silent, error_level=40)
    if header["magic"].item() != header.single_magic:
        raise ImageError("a NIfTI header whose voxels lie in a second file (.img); save both as one .nii file")
    dtype = header.get_data_dtype()
    if dtype.kind not in "uif":
        kind = "complex numbers" if dtype.kind == "c" else "colors or other compound values"
        raise ImageError(f"voxels of type {dtype} ({kind}); whole or floating-point numbers are expected")
    header.get_slope_inter()  # raises if they make no sense
    return header


def _shape_of(header: Any) -> tuple[tuple[int, int, int], int]:
    """Stored shape of one frame, and the number of frames."""
    dims = [int(length) for length in header.get_data_shape()]
    if not dims or min(dims) < 1:
        raise ImageError(f"a volume of shape {tuple(dims)}; every axis must have a length of at least 1")
    dims += [1] * (4 - len(dims))
    if any(length != 1 for length in dims[4:]):
        raise ImageError(f"a volume of shape {tuple(dims)}; at most three axes and frames are expected")
    return (dims[0], dims[1], dims[2]), dims[3]


def _check_size(stored: tuple[int, int, int], num_frames: int, frame: int, max_voxels: int) -> None:
    if frame >= num_frames:
        raise ImageError(f"it has {num_frames} frames, frame {frame} (from 0) was asked for; set data.frame lower")
    num_voxels = math.prod(stored) * (frame + 1)
    if num_voxels > max_voxels:
        shown = " x ".join(map(str, stored))
        raise ImageError(
            f"the volume has {shown} voxels, with {frame + 1} frames {num_voxels}, over the limit of {max_voxels}"
        )
    if max(stored) > MOST_SLICES:
        raise ImageError(f"an axis has {max(stored)} voxels, over the limit of {MOST_SLICES}")


def _end_of(header: Any, stored: tuple[int, int, int], frame: int) -> int:
    """Bytes from the start of the unpacked file to the end of a frame."""
    offset = int(header.get_data_offset())
    if not header.sizeof_hdr <= offset <= _MOST_OFFSET:
        raise ImageError(f"its voxels begin at byte {offset}, outside {header.sizeof_hdr} to {_MOST_OFFSET}")
    return offset + math.prod(stored) * int(header.get_data_dtype().itemsize) * (frame + 1)


def _stored_voxels(header: VolumeHeader, frame: int) -> NDArray[Any]:
    """One frame as stored, scaled, in native byte order."""
    _regular_size(header.path)
    dtype = header.header.get_data_dtype()
    offset = int(header.header.get_data_offset()) + math.prod(header.stored_shape) * dtype.itemsize * frame
    slope, inter = header.header.get_slope_inter()
    is_scaled = slope is not None and (slope, inter) != (1.0, 0.0)
    with ExitStack() as stack:
        stream = stack.enter_context(_opened(header.path, header.is_gzip))
        stored = ArrayProxy(stream, (header.stored_shape, dtype, offset), mmap=False).get_unscaled()
        if header.is_gzip:
            stream.read(1)  # at the end of the file gzip compares its checksum
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 is infinite, as preprocess expects
        if is_scaled:
            voxels = np.empty(stored.shape, np.float32, order="F")
            for place in range(stored.shape[2]):  # plane by plane, since nibabel scales in 64 bits
                voxels[..., place] = apply_read_scaling(stored[..., place], slope, inter)
            return voxels
        return stored.astype(stored.dtype.newbyteorder("=") if stored.dtype.kind in "ui" else np.float32, copy=False)


def _reason(error: BaseException, path: Path) -> str:
    """One line of at most 200 characters, without the path that nibabel writes into some."""
    if isinstance(error, FileNotFoundError):
        return "the file is not there"
    if isinstance(error, PermissionError):
        return f"the file cannot be opened ({error.strerror})"
    if isinstance(error, MemoryError):
        return "the volume needs more memory than there is"
    text = words_of(error, path=path)
    is_cut = isinstance(error, EOFError) or "Expected" in text
    return f"the file is {'cut off' if is_cut else 'damaged or of an unknown variant'} ({text})"
