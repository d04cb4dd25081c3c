"""Is an image like those of the training: one number of it at a time, and what they say together.

A range is that of 98 of 100 known images, so of 20 numbers one in three ordinary images has some outside. Being outside
is told; a word of warning takes more: beyond every known image, and that clearly.

Legend of axes: N known images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from scanlens.evaluation.similar import percentile_among, two_sided

Status = Literal["good", "odd", "bad"]
LOW, HIGH = 0.01, 0.99  # quantiles of the known images
CLEARLY = 0.1  # of the range, beyond the last known image
RULE = (
    "bad: the image holds values that are no numbers or lie outside 0 to 1, shows nothing, or is nearly black or white. "
    "odd: a value lies beyond those of all training images by more than a tenth of their range (1st to 99th percentile); "
    "or the image is further from the training images than 99 of 100 of theirs (than all of them, where they are few); or "
    "letter-like marks are in it, and fewer than one in 100 training images has any; or an autoencoder gives it back with "
    "an error further from the usual one than 99 of 100 of its validation images. good: none of this."
)


@dataclass(frozen=True, slots=True)
class RangeCheck:
    """One number of an image, held against the same of known images.

    Args:
        name: of the number.
        value: of the image; None if it is not known.
        low, high: 1st and 99th percentile of the known images; None if it is known of none.
        least, most: smallest and largest value of the known images.
        is_inside: whether the value lies from `low` to `high`.
        percentile: of the value among the known ones, 0 to 100.
        two_sided: percent of the known values that are at least as far out, to either side.
        is_beyond: whether it is a reason for a warning, see `RULE`.
        num_known: known images of which the number is known.
        reason: why something is missing.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    least: float | None = None
    most: float | None = None
    is_inside: bool | None = None
    percentile: float | None = None
    two_sided: float | None = None
    is_beyond: bool = False
    num_known: int = 0
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def range_check(name: str, value: float, known_N: ArrayLike, *, is_distance: bool = False) -> RangeCheck:
    """One number of an image among those of known images.

    Args:
        name: of the number.
        value: of the image; NaN for unknown.
        known_N: of known images; NaN for unknown.
        is_distance: the number says how unlike the known images it is, so only large ones are odd, and 99 of 100 count as
            all.
    """
    known = np.asarray(known_N, dtype=np.float64)
    known = known[np.isfinite(known)]
    own = float(value) if math.isfinite(value) else None
    if not len(known):
        return RangeCheck(name, own, reason="not known of training images")
    low, high = (float(np.quantile(known, q)) for q in (LOW, HIGH))
    least, most = float(known.min()), float(known.max())
    if own is None:
        return RangeCheck(name, None, low, high, least, most, num_known=len(known), reason="not known of this image")
    percentile = percentile_among(known, own)
    slack = CLEARLY * (high - low)
    is_beyond = own > _upper(known) if is_distance else not least - slack <= own <= most + slack
    return RangeCheck(
        name, own, low, high, least, most, low <= own <= high, percentile, two_sided(percentile), is_beyond, len(known)
    )


def status_of(faults: Sequence[str], odd: Sequence[str]) -> dict[str, Any]:
    """`status` and `reasons` by `RULE`.

    Args:
        faults: sentences on why no answer about the image means anything.
        odd: sentences on what is unusual.
    """
    status: Status = "bad" if faults else "odd" if odd else "good"
    return {"status": status, "reasons": [*faults, *odd]}


def _upper(known_N: np.ndarray) -> float:
    """What 99 of 100 new images of the same kind stay below, as far as so many known ones can say (Wilks 1941)."""
    place = min(len(known_N), math.ceil(HIGH * (len(known_N) + 1) - 1e-9))
    return float(np.sort(known_N)[place - 1])
