"""Which values of a DICOM image are shown from black to white: VOI LUT tables and windows (DICOM PS3.3 C.11.2).

The first that there is and that shows something of the image, meaning more than one gray:

1. a table (VOI LUT Sequence, its first item): the values become its entries, and its depth is the range;
2. the first window: LINEAR and LINEAR_EXACT keep the values and give the range; SIGMOID turns them into its curve, 0 to 1;
3. percentiles 0.5 and 99.5 of the values.

pydicom's `apply_voi` is not used: it wraps values above 255 around where a table of more entries has 8 bits (pydicom 3.0).

Legend of axes: H rows, W columns.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy.special import expit

from scanlens.data.dicom_files import first_value, functional_group, item, numbers, text

Window = Literal["header", "percentile"]
_PERCENTILES = (0.5, 99.5)
_MOST_ENTRIES = 2**16


def shown(
    values_HW: NDArray[Any], is_valid_HW: NDArray[np.bool_], header: Dataset, frame: int, window: Window
) -> tuple[NDArray[Any], float, float]:
    """Values, the darkest and the brightest of them.

    Args:
        values_HW: in the units of the modality.
        is_valid_HW: neither padding nor infinite; at least one pixel.
        header: with the elements of the VOI LUT module.
        frame: from 0.
        window: "percentile" for the third way only.
    """
    if window == "header":
        found = _by_table(values_HW, is_valid_HW, header) or _by_window(values_HW, is_valid_HW, header, frame)
        if found is not None:
            return found
    valid = values_HW[is_valid_HW]
    low, high = (float(one) for one in np.percentile(valid, _PERCENTILES))
    return (values_HW, low, high) if high > low else (values_HW, float(valid.min()), float(valid.max()))


def _by_table(
    values_HW: NDArray[Any], is_valid_HW: NDArray[np.bool_], header: Dataset
) -> tuple[NDArray[Any], float, float] | None:
    """Entries of the table; values below its first are that of the first, above its last that of the last."""
    table = item(header, "VOILUTSequence")
    descriptor = numbers(table, "LUTDescriptor", count=3)
    if descriptor is None:
        return None
    num, first, bits = int(descriptor[0]) or _MOST_ENTRIES, int(descriptor[1]), int(descriptor[2])
    entries = _entries(table, num, is_little=_is_little(header))
    if entries is None or not 8 <= bits <= 16:
        return None
    if first >= 2**15 and float(values_HW[is_valid_HW].max()) < first:
        first -= 2**16  # signed, which implicit VR does not say
    place_HW = np.where(is_valid_HW, values_HW, first).astype(np.int64) - first
    mapped_HW = entries[np.clip(place_HW, 0, num - 1)]
    valid = mapped_HW[is_valid_HW]
    return (mapped_HW, 0.0, float(2**bits - 1)) if valid.min() < valid.max() else None


def _entries(table: Dataset, num: int, *, is_little: bool) -> NDArray[np.uint16] | None:
    """The table as unsigned 16 bits; None if it has not the length that it says. Entries of 8 bits may be packed in pairs."""
    data = first_value(table, "LUTData")
    if isinstance(data, bytes):
        if len(data) >= 2 * num:
            return np.frombuffer(data, "<u2" if is_little else ">u2", count=num).astype(np.uint16)
        return np.frombuffer(data, np.uint8, count=num).astype(np.uint16) if len(data) >= num else None
    values = [data] if isinstance(data, int) else list(data or [])
    is_whole = all(isinstance(one, int) and 0 <= one < 2**16 for one in values)
    return np.array(values[:num], dtype=np.uint16) if len(values) >= num and is_whole else None


def _is_little(header: Dataset) -> bool:
    syntax = header.file_meta.TransferSyntaxUID
    return bool(syntax.is_little_endian) if syntax.is_transfer_syntax else True


def _by_window(
    values_HW: NDArray[Any], is_valid_HW: NDArray[np.bool_], header: Dataset, frame: int
) -> tuple[NDArray[Any], float, float] | None:
    valid = values_HW[is_valid_HW]
    own = functional_group(header, frame, "FrameVOILUTSequence")
    place = own if "WindowCenter" in own else header
    center, width = numbers(place, "WindowCenter", count=1), numbers(place, "WindowWidth", count=1)
    if center is None or width is None:
        return None
    function = text(place, "VOILUTFunction").upper()
    middle, extent = (center[0] - 0.5, width[0] - 1) if function in ("", "LINEAR") else (center[0], width[0])
    low, high = middle - extent / 2, middle + extent / 2
    if not (extent > 0 and low < float(valid.max()) and high > float(valid.min())):
        return None
    if function != "SIGMOID":
        return values_HW, low, high
    curve_HW = expit(4 * (values_HW.astype(np.float64) - middle) / extent)  # C.11.2.1.3.1
    return curve_HW.astype(np.float32), 0.0, 1.0
