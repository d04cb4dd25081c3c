"""Verdicts of the score card of an explanation: PASS, FAIL or NOT ASSESSED under four headings, each by a stated rule.

The headings are those that staff of the FDA proposed for explanations of medical image classifiers: consistency,
plausibility, fidelity, usefulness. A rule looks at intervals, never at values alone, and where an interval lies on both
sides of a limit nothing is said.

References:
    Lago et al. 2025, arXiv:2506.13917 (the card). Adebayo et al. 2018, arXiv:1810.03292 (randomization).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scanlens.evaluation.explanations.numbers import Number

Word = Literal["PASS", "FAIL", "NOT ASSESSED"]
HEADINGS = ("consistency", "plausibility", "fidelity", "usefulness")
LEAST_UNITS = 5
ENOUGH_UNITS = 20
WANTED_LIKENESS = 0.7
WANTED_HITS = 0.5
MOST_KEPT = 0.25
ALIKE = 0.98
MOST_MISSING = 0.1
MOST_BLANK = 0.5

RULES = {
    "consistency": (
        f"PASS if the mean rank correlation of a map with the maps of slightly changed images is surely {WANTED_LIKENESS} or more, and "
        f"surely above that with maps of other images; FAIL if either is surely not so."
    ),
    "plausibility": (
        f"Of right answers whose lesion is marked, hits within the fixed tolerance: PASS if they are surely {WANTED_HITS:.0%} or more "
        "of the images and surely more than chance, and no control surely has more; FAIL if they are surely fewer than "
        f"{WANTED_HITS:.0%}, surely not more than chance, or a control surely has more."
    ),
    "fidelity": (
        f"Randomization: with all weights drawn anew, surely no more than {MOST_KEPT:.0%} is left of the rank correlation of a map "
        "with itself beyond that with maps of other images. Deletion: taking away what the map marks lowers the log-odds surely more than taking away "
        f"the same shapes elsewhere; with {ENOUGH_UNITS} patients or more that must be shown. Completeness, where it is promised: the "
        f"map surely sums to the log-odds within {MOST_MISSING:.0%}. Labels: the map surely changes if the network learns labels at "
        "random. PASS if randomization and deletion pass and nothing fails; FAIL if anything fails."
    ),
    "usefulness": (
        "Never assessed without readers. Beside it stands what the verdict on each case predicts, if verdicts were measured on the same "
        "weights and predictions: its AUROC for a right answer and for a peak on the marked lesion; 0.5 says nothing."
    ),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One word and the sentence that says why."""

    status: Word
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {"status": self.status, "reason": self.reason}


def not_assessed(reason: str) -> Verdict:
    """The verdict where nothing can be said, and why."""
    return _verdict("NOT ASSESSED", reason)


def _verdict(status: Word, reason: str) -> Verdict:
    return Verdict(status, f"{reason[:1].upper()}{reason[1:]}")


def consistency(likeness: Number, above_floor: Number, *, blank: Verdict | None = None) -> Verdict:
    """Of maps under small changes of the image.

    Args:
        likeness: mean rank correlation of each map with those of the slightly changed image.
        above_floor: the same less the rank correlation with maps of other images.
        blank: see `too_blank`; decides if given.
    """
    if blank is not None:
        return blank
    if few := _too_few(likeness):
        return few
    (low, high), (gain_low, gain_high) = _bounds(likeness), _bounds(above_floor)
    said = f"small changes of the image leave a rank correlation of {_told(likeness)}"
    if high < WANTED_LIKENESS:
        return _verdict("FAIL", f"{said}, surely below {WANTED_LIKENESS}.")
    if gain_high <= 0:
        return _verdict("FAIL", f"{said}, but maps of other images are just as alike.")
    if low >= WANTED_LIKENESS and gain_low > 0:
        return _verdict("PASS", f"{said}, surely {WANTED_LIKENESS} or more and above that with other images.")
    return not_assessed(f"{said}; that is on neither side of {WANTED_LIKENESS} for sure.")


def plausibility(hits: Number, excess: Number, against: Mapping[str, Number], *, tolerance: str) -> Verdict:
    """Of maps beside marked lesions.

    Args:
        hits: share of images whose peak lies within the tolerance of the lesion; blank maps are misses.
        excess: hits less chance.
        against: by title of each control, hits less those of the control on the same images.
        tolerance: the tolerance, in words.
    """
    if few := _too_few(hits):
        return few
    said = f"{_told(hits)} of the maps point at the lesion within {tolerance}"
    better = [title for title, number in against.items() if _bounds(number)[1] < 0]
    (low, high), (excess_low, excess_high) = _bounds(hits), _bounds(excess)
    if excess_high <= 0:
        return _verdict("FAIL", f"{said}, surely no more than chance.")
    if high < WANTED_HITS:
        return _verdict("FAIL", f"{said}, surely fewer than {WANTED_HITS:.0%}.")
    if better:
        return _verdict(
            "FAIL", f"{said}; a control that knows nothing of the network surely does better: {_list(better)}."
        )
    if low >= WANTED_HITS and excess_low > 0:
        return _verdict("PASS", f"{said}, surely {WANTED_HITS:.0%} or more, and no control surely does better.")
    return not_assessed(f"{said}; that is on neither side of {WANTED_HITS:.0%} for sure.")


def randomization(likeness: Number, floor: Number, kept: Number, *, blank: Verdict | None = None) -> Verdict:
    """Whether maps depend on what the network has learned.

    Args:
        likeness: mean rank correlation of each map with that of a network whose weights are all drawn anew, sign aside.
        floor: the same of maps of different images.
        kept: share of a map's own that is left: see `numbers.kept_number`.
        blank: see `too_blank`; decides if given.
    """
    return _change("all weights drawn anew", likeness, floor, kept, blank)


def labels(likeness: Number, floor: Number, kept: Number, *, blank: Verdict | None = None) -> Verdict:
    """Whether maps depend on the labels: as `randomization`, for a network that has learned labels at random."""
    return _change("a network that learned labels at random", likeness, floor, kept, blank)


def removal(advantage: Number, against: Mapping[str, Number], *, blank: Verdict | None = None) -> Verdict:
    """Whether what maps mark matters to the network.

    Args:
        advantage: fall of the log-odds without the marked pixels, less that without the same shapes elsewhere.
        against: by title of each control, the fall less that of the control's pixels, on the same images.
        blank: see `too_blank`; decides if given.
    """
    if blank is not None:
        return blank
    if few := _too_few(advantage):
        return few
    low, high = _bounds(advantage)
    said = f"without what the map marks the log-odds fall by {_told(advantage)} more than without the same shapes elsewhere"
    unbeaten = [title for title, number in against.items() if _bounds(number)[0] <= 0]
    caution = f" Not surely more than without what a control marks: {_list(unbeaten)}." if unbeaten else ""
    if low > 0:
        return _verdict("PASS", f"{said}.{caution}")
    if high <= 0:
        return _verdict("FAIL", f"{said}: surely not more.{caution}")
    if advantage["num_units"] >= ENOUGH_UNITS:
        return _verdict("FAIL", f"{said}: not surely more, with {advantage['num_units']} patients or images.{caution}")
    return not_assessed(
        f"{said}: not surely more, but only {advantage['num_units']} patients or images were looked at."
    )


def completeness(gap: Number) -> Verdict:
    """Whether the map sums to what it promises: `gap` is the missing share of the log-odds, without sign."""
    if few := _too_few(gap):
        return few
    low, high = _bounds(gap)
    said = f"the map misses {_told(gap)} of the log-odds that it should sum to"
    if high <= MOST_MISSING:
        return _verdict("PASS", f"{said}.")
    if low > MOST_MISSING:
        return _verdict("FAIL", f"{said}, surely more than {MOST_MISSING:.0%}.")
    return not_assessed(f"{said}; that is on neither side of {MOST_MISSING:.0%} for sure.")


def fidelity(parts: Mapping[str, Verdict]) -> Verdict:
    """All of `randomization`, `removal` and whatever else was assessed, taken together."""
    failed = [part for part in parts.values() if part.status == "FAIL"]
    if failed:
        return _verdict("FAIL", _together(failed))
    open_ones = [parts[name] for name in ("randomization", "removal") if parts[name].status != "PASS"]
    if open_ones:
        return not_assessed(_together(open_ones))
    return _verdict("PASS", _together([part for part in parts.values() if part.status == "PASS"]))


def usefulness(numbers: Sequence[Number], *, note: str) -> Verdict:
    """Never assessed: whether maps help anybody takes readers, and there are none. What is known stands beside it.

    Args:
        numbers: AUROC of the verdict on each case for what it might predict, {value, low, high, num_images, says}, `says`
            being a sentence by its interval; empty if no verdicts were measured.
        note: what is said where there are none.
    """
    told = [f"{one['says']}{_area(one)}" for one in numbers]
    return not_assessed(" ".join(["no readers: whether maps help them takes a reader study.", *(told or [note])]))


def _area(number: Number) -> str:
    if number["value"] is None:
        return ""
    bounds = "no interval" if number["low"] is None else f"{number['low']:.2f} to {number['high']:.2f}"
    return f" AUROC {number['value']:.2f} ({bounds}), n = {number['num_images']}."


def too_blank(num_blank: int, num_maps: int) -> Verdict | None:
    """FAIL if more than half of the maps say nothing about where; None otherwise."""
    if num_maps and num_blank / num_maps > MOST_BLANK:
        return _verdict("FAIL", f"{num_blank} of {num_maps} maps are blank: the same everywhere.")
    return None


def _change(what: str, likeness: Number, floor: Number, kept: Number, blank: Verdict | None) -> Verdict:
    if blank is not None:
        return blank
    if floor.get("value") is not None and floor["value"] > ALIKE:
        return _verdict(
            "FAIL", f"maps of different images are all alike ({floor['value']:.2f}), so they tell nothing of an image."
        )
    if few := _too_few(kept):
        return few
    low, high = _bounds(kept)
    said = (
        f"with {what} a map has a rank correlation of {likeness['value']:.2f} with what it was, and maps of different images have "
        f"{floor['value']:.2f}: {_told(kept)} of what is a map's own is left"
    )
    if high <= MOST_KEPT:
        return _verdict("PASS", f"{said}.")
    if low > MOST_KEPT:
        return _verdict("FAIL", f"{said}, surely more than {MOST_KEPT}: the map hardly depends on it.")
    return not_assessed(f"{said}; that is on neither side of {MOST_KEPT} for sure.")


def _too_few(number: Number) -> Verdict | None:
    if number.get("value") is None:
        return not_assessed(f"{number.get('reason') or 'no image'}.")
    is_beyond_doubt = number["low"] is not None and number["low"] == number["high"]  # the same value for everybody
    if number["low"] is None or (number["num_units"] < LEAST_UNITS and not is_beyond_doubt):
        return not_assessed(
            f"only {number['num_units']} patients or independent images; at least {LEAST_UNITS} are needed."
        )
    return None


def _bounds(number: Mapping[str, Any]) -> tuple[float, float]:
    """The interval; without one, everything is possible."""
    low, high = number.get("low"), number.get("high")
    return (float("-inf"), float("inf")) if low is None or high is None else (float(low), float(high))


def _told(number: Mapping[str, Any]) -> str:
    low, high = _bounds(number)
    return f"{number['value']:.2f} ({low:.2f} to {high:.2f})"


def _list(titles: list[str]) -> str:
    return ", ".join(titles).lower()


def _together(parts: list[Verdict]) -> str:
    return " ".join(dict.fromkeys(part.reason for part in parts))
