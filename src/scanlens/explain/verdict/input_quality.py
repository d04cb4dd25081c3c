"""Is the image one that a network can be asked about at all? What is plain from its values, without a second network.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Status = Literal["good", "odd", "bad"]
_ALMOST_NOTHING = 0.004  # spread of a picture that shows nothing: one step of 8 bits
_NEARLY_BLACK = 0.05
_NEARLY_WHITE = 0.95
_BRIGHTEST, _DARKEST = 99.5, 0.5  # percentiles that a few hot or dead pixels do not move
_RANGE_TOLERANCE = 1e-3
_WIDENED = 0.1  # of the width of what is usual


@dataclass(frozen=True, slots=True)
class Usual:
    """What the images of the training look like, as the network gets them.

    Args:
        brightness: lowest and highest mean of an image.
        contrast: lowest and highest standard deviation of an image.
        num: images that were looked at.
    """

    brightness: tuple[float, float]
    contrast: tuple[float, float]
    num: int


@dataclass(frozen=True, slots=True)
class InputQuality:
    """What is wrong with an image.

    Args:
        status: "bad": no answer of the network means anything; "odd": unlike the images of the training; else "good".
        faults: what is wrong, as ends of a sentence that begins with "the image".
    """

    status: Status
    faults: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"status": self.status, "faults": list(self.faults)}


def usual_of(images: Iterable[NDArray[np.floating]]) -> Usual:
    """What these images look like, each x_CHW in [0, 1]; at least one, finite."""
    looks = np.array([(np.mean(one, dtype=np.float64), np.std(one, dtype=np.float64)) for one in images])
    (brightness_low, contrast_low), (brightness_high, contrast_high) = looks.min(axis=0), looks.max(axis=0)
    return Usual(
        (float(brightness_low), float(brightness_high)), (float(contrast_low), float(contrast_high)), len(looks)
    )


def input_quality(x_CHW: ArrayLike, usual: Usual | None = None) -> InputQuality:
    """What is wrong with an image that should lie in [0, 1].

    Args:
        x_CHW: the image as the network gets it.
        usual: of the training; None where that is not known.
    """
    image = np.asarray(x_CHW, dtype=np.float64)
    if not np.isfinite(image).all():
        return InputQuality("bad", ("holds values that are no numbers",))
    if bad := _bad(image):
        return InputQuality("bad", bad)
    odd = () if usual is None else _odd(image, usual)
    return InputQuality("odd" if odd else "good", odd)


def _bad(image: NDArray[np.float64]) -> tuple[str, ...]:
    found = []
    low, high = float(image.min()), float(image.max())
    if low < -_RANGE_TOLERANCE or high > 1 + _RANGE_TOLERANCE:
        found.append(f"runs from {low:.3g} to {high:.3g}, and 0 to 1 is expected")
    if high - low < _ALMOST_NOTHING:
        found.append("shows nothing: it is the same everywhere")
    elif np.percentile(image, _BRIGHTEST) < _NEARLY_BLACK:
        found.append("is nearly black")
    elif np.percentile(image, _DARKEST) > _NEARLY_WHITE:
        found.append("is nearly white")
    return tuple(found)


def _odd(image: NDArray[np.float64], usual: Usual) -> tuple[str, ...]:
    among = f"than all of {usual.num} training images"
    found = []
    for value, (low, high), below, above in (
        (float(image.mean()), usual.brightness, "darker", "brighter"),
        (float(image.std()), usual.contrast, "flatter", "richer in contrast"),
    ):
        slack = _WIDENED * (high - low)
        if not low - slack <= value <= high + slack:
            found.append(f"is {below if value < low else above} {among}")
    return tuple(found)
