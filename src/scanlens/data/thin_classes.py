"""Classes of so few patients that not every split can have one: who, how many, where, and what can be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scanlens.data.split_table import SplitRow
from scanlens.types import SPLITS

ENOUGH = 3  # patients of a class that can be in train, val and test


def thin_class_notes(rows: Sequence[SplitRow], *, folds: int | None) -> list[str]:
    """One sentence or two for each class that a split in use lacks.

    Args:
        rows: the division.
        folds: of a cross-validation, whose other folds test what this one does not; None for none.
    """
    in_use = [split for split in SPLITS if any(row.split == split for row in rows)]
    notes = []
    for target in sorted({row.target for row in rows if row.target is not None}):
        present = {row.split for row in rows if row.target == target}
        lacking = [split for split in in_use if split not in present]
        if lacking:
            learned = "learned" if "train" in lacking else f"judged in {' and '.join(lacking)}"
            notes.append(f"{counted_class(rows, target)}, so it cannot be {learned}. {_remedy(rows, target, folds)}")
    return notes


def counted_class(rows: Sequence[SplitRow], target: str) -> str:
    """ "Class 'rare': 7 images of 2 patients (train 4, val 0, test 3)"."""
    own = [row for row in rows if row.target == target]
    counts = Counter(row.split for row in own)
    where = ", ".join(f"{split} {counts[split]}" for split in SPLITS)
    num = len({row.group for row in own})
    who = "patient" if all(row.patient is not None for row in own) else "group"
    return f"Class '{target}': {_counted(len(own), 'image')} of {_counted(num, who)} ({where})"


def how_to_do_without(rows: Sequence[SplitRow], target: str) -> str:
    """What to do about a class that has too few patients for any division."""
    others = sorted({row.target for row in rows if row.target is not None} - {target})
    left_out = f", or leave it out: data.class_names=[{','.join(others)}]" if len(others) > 1 else ""
    return f"Add patients of it, merge it with another class{left_out}."


def _remedy(rows: Sequence[SplitRow], target: str, folds: int | None) -> str:
    if len({row.group for row in rows if row.target == target}) < ENOUGH:
        return how_to_do_without(rows, target)
    if folds is not None:
        return "The other folds test the rest of its patients."
    return "Give that split more in split.fractions, or test every patient once: scanlens folds folds=5."


def _counted(num: int, noun: str) -> str:
    return f"{num} {noun}" + ("" if num == 1 else "s")
