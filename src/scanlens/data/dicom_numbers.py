"""Numbers of the header of one frame: sizes, window, spacing and place in space, as if the frame were a file of its own.

What cannot be (negative spacings, axes that are not at a right angle, empty windows) is left out.

References:
    DICOM PS3.3 C.7.6.2 (image plane), C.7.6.16 (functional groups), C.11.2 (window).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from scanlens.data.dicom_files import functional_group, numbers, whole

_WHOLE = (
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
)  # fmt: skip
_DECIMAL = {
    "ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2, "SliceThickness": 1, "SpacingBetweenSlices": 1,
    "WindowCenter": 1, "WindowWidth": 1, "RescaleSlope": 1, "RescaleIntercept": 1,
}  # fmt: skip


def numbers_into(header: Dataset, source: Dataset, frame: int) -> None:
    """Fill a header with the numbers of one frame (from 0) of a source, both as a file of one frame and as one of many says them."""
    _plain_into(header, source)
    _place_into(header, source, frame)
    _window_of_frame_into(header, source, frame)
    _without_nonsense(header)
    header.NumberOfFrames = 1


def _plain_into(header: Dataset, source: Dataset) -> None:
    for name in _WHOLE:
        if (value := whole(source, name)) is not None:
            setattr(header, name, value)
    for name, count in _DECIMAL.items():
        if (found := numbers(source, name, count=count)) is not None:
            setattr(header, name, [_short(one) for one in found] if count > 1 else _short(found[0]))


def _window_of_frame_into(header: Dataset, source: Dataset, frame: int) -> None:
    """Rescale and window of the frame itself come first (PS3.3 C.7.6.16.2.9 and C.7.6.16.2.10)."""
    for group, names in (
        ("PixelValueTransformationSequence", ("RescaleSlope", "RescaleIntercept")),
        ("FrameVOILUTSequence", ("WindowCenter", "WindowWidth")),
    ):
        values = [numbers(functional_group(source, frame, group), name, count=1) for name in names]
        for name, value in zip(names, values, strict=True):
            if value is not None and None not in values:
                setattr(header, name, _short(value[0]))


def _without_nonsense(header: Dataset) -> None:
    """Windows, spacings and orientations that cannot be are left out, as if the header said nothing of them."""
    places = [header, *header.SharedFunctionalGroupsSequence]
    places += [one for place in places for group in _GROUPS for one in place.get(group, ())]
    for place in places:
        for name, is_sensible in _SENSIBLE.items():
            if name in place and not is_sensible(np.atleast_1d(np.array(place[name].value, dtype=np.float64))):
                delattr(place, name)
        for group in _GROUPS:
            if group in place and not len(place[group].value[0]):
                delattr(place, group)
    if not ("WindowCenter" in header and "WindowWidth" in header):
        header.pop("WindowCenter", None)
        header.pop("WindowWidth", None)


def _is_orientation(values: NDArray[np.float64]) -> bool:
    """Two unit vectors at a right angle."""
    axes = values.reshape(2, 3)
    return bool(np.abs(axes @ axes.T - np.eye(2)).max() < 1e-3)


def _is_positive(values: NDArray[np.float64]) -> bool:
    return bool((values > 0).all())


_SENSIBLE: dict[str, Callable[[NDArray[np.float64]], bool]] = {
    "ImageOrientationPatient": _is_orientation,
    "PixelSpacing": _is_positive,
    "SliceThickness": _is_positive,
    "SpacingBetweenSlices": _is_positive,
    "WindowWidth": lambda values: bool((values >= 1).all()),
}


def _place_into(header: Dataset, source: Dataset, frame: int) -> None:
    """Place, orientation and spacing of the frame, both as a file of one frame says them and as one of many does."""
    shared, own = Dataset(), Dataset()
    for group, names in _GROUPS.items():
        kept = Dataset()
        for name in names:
            values = numbers(functional_group(source, frame, group), name, count=_DECIMAL[name])
            if values is not None:
                setattr(header, name, [_short(one) for one in values] if len(values) > 1 else _short(values[0]))
            if name in header:
                setattr(kept, name, header[name].value)
        if len(kept):
            setattr(own if group == "PlanePositionSequence" else shared, group, [kept])
    header.SharedFunctionalGroupsSequence, header.PerFrameFunctionalGroupsSequence = [shared], [own]


_GROUPS = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
}


def _short(value: float) -> Any:
    """A decimal string has at most 16 characters (PS3.5 6.2)."""
    return float(f"{value:.9g}")
