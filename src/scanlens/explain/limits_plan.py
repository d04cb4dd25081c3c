"""What is tried when the limits of a network and its map are measured; known before torch is imported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

LIMITS_WORDS = ("limits.sizes", "limits.contrast", "limits.contrasts", "limits.tolerance")
NUM_SIZES = 9
SMALLEST_PX = 2.0
LARGEST_SHARE = 1 / 3  # of the shorter side of the image
TOLERANCE_SHARE = 1 / 16
CONTRAST = 0.25
MOST_CONTRASTS = 8


@dataclass(frozen=True, slots=True)
class LimitsPlan:
    """Sizes, contrast and tolerance of the inserted lesions.

    Args:
        sizes_px: diameters that are tried, rising; None for nine from 2 px to a third of the image.
        contrast: change of intensity, on the scale from 0 (black) to 1 (white); None for that of the data set's own marked
            lesions, and 0.25 where there are none.
        tolerance_px: how far beside the lesion a peak may lie to count as near; None for a sixteenth of the image. It is
            the same for every network: a tolerance of one cell would reward coarse maps.
        contrasts: further contrasts at which all sizes are tried again, each for all channels; at most eight, since each costs
            as much as the first one.

    Raises:
        ValueError: if a number makes no sense.
    """

    sizes_px: tuple[float, ...] | None = None
    contrast: float | None = None
    tolerance_px: float | None = None
    contrasts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        sizes = self.sizes_px
        if sizes is not None and (len(sizes) < 3 or sizes[0] < 1 or any(b <= a for a, b in pairwise(sizes))):
            raise ValueError(f"limits.sizes: at least three rising diameters from 1 px are expected, got {list(sizes)}")
        if self.contrast is not None and not _is_contrast(self.contrast):
            raise ValueError(
                f"limits.contrast: a change between -1 and 1, and not 0, is expected, got {self.contrast:g}"
            )
        given, wrong = self.contrasts, [one for one in self.contrasts if not _is_contrast(one)]
        if wrong or len(set(given)) < len(given) or len(given) > MOST_CONTRASTS:
            raise ValueError(
                f"limits.contrasts: at most {MOST_CONTRASTS} different changes between -1 and 1, and not 0, are expected, got "
                f"{list(given)}"
            )
        if self.tolerance_px is not None and not 0 <= self.tolerance_px <= 10_000:
            raise ValueError(f"limits.tolerance: pixels from 0 are expected, got {self.tolerance_px:g}")

    @classmethod
    def from_words(cls, words: Mapping[str, str]) -> LimitsPlan:
        """The plan that words of a command ask for, such as {"limits.sizes": "[3,6,12]", "limits.contrast": "0.3"}.

        Raises:
            ValueError: names the word that makes no sense.
        """
        return cls(
            _listed(words, "limits.sizes"),
            _optional(words, "limits.contrast"),
            _optional(words, "limits.tolerance"),
            _listed(words, "limits.contrasts") or (),
        )

    def sizes_for(self, image_hw: tuple[int, int]) -> tuple[float, ...]:
        """The diameters that are tried in images of this size, in pixels."""
        if self.sizes_px is not None:
            return self.sizes_px
        largest = max(3 * SMALLEST_PX, LARGEST_SHARE * min(image_hw))
        step = (largest / SMALLEST_PX) ** (1 / (NUM_SIZES - 1))
        return tuple(round(SMALLEST_PX * step**place, 1) for place in range(NUM_SIZES))

    def tolerance_for(self, image_hw: tuple[int, int]) -> float:
        """The tolerance in images of this size, in pixels."""
        return TOLERANCE_SHARE * min(image_hw) if self.tolerance_px is None else self.tolerance_px


def _is_contrast(change: float) -> bool:
    return 0 < abs(change) <= 1


def _listed(words: Mapping[str, str], name: str) -> tuple[float, ...] | None:
    if name not in words:
        return None
    return tuple(_number(name, one) for one in words[name].strip("[]").split(",") if words[name].strip("[]"))


def _optional(words: Mapping[str, str], name: str) -> float | None:
    return _number(name, words[name]) if name in words else None


def _number(name: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name}: a number is expected, got '{word.strip()}'")
    return value
