"""What the audit of shortcuts is asked: boxes of the user's own, and which change is worth a verdict. Needs no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scanlens.errors import ConfigError

LEAST_EFFECT = 0.05
_NUMBER = r"\d+(?:\.\d+)?"
_BOX = re.compile(rf"({_NUMBER}):({_NUMBER}),({_NUMBER}):({_NUMBER})")


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of every image, as the network gets it.

    Args:
        rows, columns: first and end, in pixels, or as shares of the image where all four numbers are at most 1.
    """

    rows: tuple[float, float]
    columns: tuple[float, float]

    @property
    def name(self) -> str:
        """As it was asked for."""
        return f"box {self.rows[0]:g}:{self.rows[1]:g},{self.columns[0]:g}:{self.columns[1]:g}"

    def pixels(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of an image of this size; at least one of each, and none beyond the image."""
        is_share = max(*self.rows, *self.columns) <= 1
        found = []
        for (start, end), side in ((self.rows, height), (self.columns, width)):
            first = min(round(start * side if is_share else start), side - 1)
            found.append(slice(first, min(side, max(first + 1, round(end * side if is_share else end)))))
        return found[0], found[1]


@dataclass(frozen=True, slots=True)
class ShortcutPlan:
    """What to look at beside what is always looked at, and from when on it counts.

    Args:
        boxes: further candidates.
        least_effect: smallest change of a probability that is worth a verdict, above 0 and below 1.
    """

    boxes: tuple[Box, ...] = ()
    least_effect: float = LEAST_EFFECT


def shortcut_plan(boxes: list[str], least_effect: str) -> ShortcutPlan:
    """The plan that words of a command ask for.

    Args:
        boxes: each ROWS,COLUMNS as START:END, such as "0:0.1,0.8:1"; several in one word are separated by ";".
        least_effect: a number.

    Raises:
        ConfigError: with all mistakes.
    """
    words = [word.strip() for text in boxes for word in text.split(";") if word.strip()]
    mistakes = []
    found = []
    for word in words:
        match = _BOX.fullmatch(word.replace(" ", ""))
        top, bottom, left, right = (float(number) for number in match.groups()) if match else (1.0, 0.0, 1.0, 0.0)
        if not (top < bottom and left < right):
            mistakes.append(
                f"boxes: rows and columns, each as START:END in shares or pixels, such as 0:0.1,0.8:1, are expected, got '{word}'"
            )
        found.append(Box((top, bottom), (left, right)))
    number = float(least_effect) if re.fullmatch(_NUMBER, least_effect) else 0.0
    if not 0 < number < 1:
        mistakes.append(
            f"least_effect: a change of a probability above 0 and below 1, such as {LEAST_EFFECT}, is expected, got '{least_effect}'"
        )
    if mistakes:
        raise ConfigError(mistakes)
    return ShortcutPlan(tuple(dict.fromkeys(found)), number)
