"""What readers made of the answers of a network: agreement, rightness, and what seeing the output changed.

One reading is what one reader wrote of one case. Intervals are over patients, whatever the number of readers: they say nothing
of other readers, and the cases are chosen ones, not a sample of a population.

Legend of axes: R readings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scanlens.evaluation.intervals import LEVEL, share_entry
from scanlens.evaluation.resampling import PatientGroups, group_patients

Answer = Literal["agree", "disagree", "cannot tell"]
ANSWERS: tuple[Answer, ...] = ("agree", "disagree", "cannot tell")
METHOD = "Wilson's, with the number of independent patients that would be as certain"


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader on one case.

    Args:
        case: its name.
        reader: who it was, or None for one without a name.
        answer: what was said of the output of the network.
        reading: class that the reader named; None for none.
        is_before: whether that class was named before the output was shown.
        predicted: class that the network names.
        target: class by the reference standard; None if unknown.
        patient: name of the patient; None if unknown.
        group: of near-duplicates, which stands for the patient where that is unknown.
    """

    case: str
    reader: str | None
    answer: Answer
    reading: str | None
    is_before: bool
    predicted: str
    target: str | None
    patient: str | None = None
    group: str | None = None


def judge_readings(readings: Sequence[Reading], class_names: Sequence[str]) -> dict[str, Any]:
    """Counts and shares of at least one reading, each {value, low, high, reason}.

    Args:
        readings: at most one of a named reader on a case.
        class_names: of the network.

    Returns:
        `num_readings`, `num_readers` (named ones), `num_unnamed` (readings), `num_cases`, `num_patients`, `unit`, `answers`,
        `agreement` (of those who could tell), `cannot_tell`, `right` (agreement with the reference standard once the output
        was seen), `network_right` (of the network in the same readings), `before_reveal` (None where nobody read first), `interval`.

    Raises:
        ValueError: if there are none.
    """
    if not readings:
        raise ValueError("readings: at least one is expected")

    def is_judged(one: Reading) -> bool:
        return _is_right(one, class_names) is not None

    units = group_patients(
        [one.patient for one in readings],
        np.zeros(len(readings), dtype=np.int64),
        groups=[one.group for one in readings],
    )
    share = _Shares(readings, units)
    counts = Counter(one.answer for one in readings)
    return {
        "num_readings": len(readings),
        "num_readers": len({one.reader for one in readings if one.reader}),
        "num_unnamed": sum(not one.reader for one in readings),
        "num_cases": len({one.case for one in readings}),
        "num_patients": units.num_patients,
        "unit": units.unit,
        "answers": {name: counts[name] for name in ANSWERS},
        "agreement": share(lambda one: one.answer == "agree", _could_tell),
        "cannot_tell": share(lambda one: one.answer == "cannot tell"),
        "right": share(lambda one: bool(_is_right(one, class_names)), is_judged),
        "network_right": share(lambda one: one.predicted == one.target, is_judged),
        "before_reveal": _before_and_after(readings, share, class_names),
        "interval": {"method": METHOD, "level": LEVEL, "of": units.unit},
    }


def final_class(one: Reading, class_names: Sequence[str]) -> str | None:
    """The class that a reader ends with; None where that is not known."""
    if one.answer == "agree":
        return one.predicted
    if one.answer == "cannot tell":
        return None
    others = [name for name in class_names if name != one.predicted]
    if one.reading in others:
        return one.reading
    return others[0] if len(others) == 1 else None


@dataclass(frozen=True, slots=True)
class _Shares:
    readings: Sequence[Reading]
    units: PatientGroups

    def __call__(
        self, is_so: Callable[[Reading], bool], is_meant: Callable[[Reading], bool] = lambda _: True
    ) -> dict[str, Any]:
        """Share of the meant readings of which something is so; with `num`, how many are meant."""
        among_R = np.array([is_meant(one) for one in self.readings], dtype=bool)
        success_R = np.array([is_so(one) for one in self.readings], dtype=bool)
        found = share_entry(success_R, among_R, self.units, absent="no reading tells")
        return {**found, "num": int(among_R.sum())}


def _could_tell(one: Reading) -> bool:
    return one.answer != "cannot tell"


def _is_right(one: Reading, class_names: Sequence[str]) -> bool | None:
    """Whether a reader ends with the reference standard; None where that, or the reader's class, is not known.

    Who disagrees with a right answer is wrong, whatever was meant; to count these alone of those who name no class would make
    readers worse than they are.
    """
    final = final_class(one, class_names)
    return None if one.target is None or final is None else final == one.target


def _before_and_after(readings: Sequence[Reading], share: _Shares, class_names: Sequence[str]) -> dict[str, Any] | None:
    """Of readings with a class named before the output was shown, and one after it: the same readings twice."""

    def is_pair(one: Reading) -> bool:
        return one.is_before and one.reading is not None and final_class(one, class_names) is not None

    def is_known(one: Reading) -> bool:
        return is_pair(one) and one.target is not None

    first = [one for one in readings if one.is_before]
    if not first:
        return None
    pairs = [one for one in readings if is_pair(one)]
    known = [one for one in pairs if one.target is not None]
    moved = [one for one in known if final_class(one, class_names) != one.reading]
    return {
        "num_readings": len(first),
        "num_cannot_tell_before": sum(one.reading is None for one in first),
        "num_pairs": len(pairs),
        "agreement_before": share(lambda one: one.reading == one.predicted, is_pair),
        "agreement_after": share(lambda one: final_class(one, class_names) == one.predicted, is_pair),
        "right_before": share(lambda one: one.reading == one.target, is_known),
        "right_after": share(lambda one: final_class(one, class_names) == one.target, is_known),
        "num_changed": sum(final_class(one, class_names) != one.reading for one in pairs),
        "num_wrong_to_right": sum(final_class(one, class_names) == one.target for one in moved),
        "num_right_to_wrong": sum(one.reading == one.target for one in moved),
    }
