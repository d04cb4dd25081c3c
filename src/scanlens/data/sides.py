"""Which side of the patient lies at which edge of a picture, from direction cosines; unknown stays None.

Letters are those of DICOM: R right, L left, A anterior, P posterior, H head, F foot. An edge has the letter of the axis of the
body that it is nearest to, and a second one where the picture is turned away from that axis by 15 degrees or more.

References:
    DICOM PS3.3 C.7.6.1.1.1 (Patient Orientation), C.7.6.2.1.1 (Image Orientation).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from scanlens.types import Sides

_TOWARD = ("LR", "PA", "HF")  # growing and falling x, y, z of DICOM
_OPPOSITE = str.maketrans("RLAPHF", "LRPAFH")
_NOTICED = float(np.sin(np.deg2rad(15)))
_MOST_SKEWED = 0.1  # cosine between rows and columns
_STATED = re.compile(r"(?!.*[RL].*[RL])(?!.*[AP].*[AP])(?!.*[HF].*[HF])[RLAPHF]{1,3}")


def sides_of(along_row: Sequence[float], along_column: Sequence[float]) -> Sides | None:
    """Letters at the edges of a picture.

    Args:
        along_row: where one goes along a row, from the left edge to the right one: (x, y, z) to the left, the back and the head
            of the patient, of any length.
        along_column: the same from the upper edge to the lower one.

    Returns:
        None if these are no two directions at right angles.
    """
    directions = np.array([along_row, along_column], dtype=np.float64)
    if directions.shape != (2, 3) or not np.isfinite(directions).all():
        return None
    lengths = np.linalg.norm(directions, axis=1)
    if lengths.min() <= 0:
        return None
    directions /= lengths[:, None]
    if abs(float(directions[0] @ directions[1])) > _MOST_SKEWED:
        return None
    return _edges(*(_letters(one) for one in directions))


def sides_stated(orientation: Sequence[str]) -> Sides | None:
    """The same from the two values of PatientOrientation: letters toward the right edge, and toward the lower one."""
    if len(orientation) != 2 or not all(_STATED.fullmatch(one) for one in orientation):
        return None
    right, bottom = orientation
    return None if right[0] in (bottom[0], bottom[0].translate(_OPPOSITE)) else _edges(right, bottom)


def _edges(right: str, bottom: str) -> Sides:
    return Sides(left=right.translate(_OPPOSITE), right=right, top=bottom.translate(_OPPOSITE), bottom=bottom)


def _letters(direction: np.ndarray) -> str:
    """One or two letters, the nearer axis first."""
    ordered = sorted(range(3), key=lambda axis: -abs(direction[axis]))[:2]
    kept = [axis for place, axis in enumerate(ordered) if place == 0 or abs(direction[axis]) >= _NOTICED]
    return "".join(_TOWARD[axis][0 if direction[axis] > 0 else 1] for axis in kept)
