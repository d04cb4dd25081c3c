"""Splits that a data set brings along: used as they are, or mended where they leak."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from scanlens.data.units import refuse_shared
from scanlens.types import SPLITS, Record, Split


@dataclass(frozen=True, slots=True)
class GivenSplits:
    """What a data set's own division leaves settled.

    Args:
        of_id: split by id, for the records that have one.
        thinned: val or test that lost so much that they need images from train.
        notes: what was found and moved.
    """

    of_id: dict[str, Split] = field(default_factory=dict)
    thinned: frozenset[Split] = frozenset()
    notes: list[str] = field(default_factory=list)


def use_given(records: Sequence[Record], unit_of: Mapping[str, str]) -> GivenSplits:
    """The given splits, exactly.

    Raises:
        DataError: patients are in two of them.
    """
    given = _given(records)
    refuse_shared(
        "patients",
        ((record.patient, given[record.id]) for record in records if record.id in given),
        where="the data set's own division",
        remedy="Set split.given=fix to move them out of val and test, or split.given=ignore to divide anew.",
    )
    in_train = {unit_of[name] for name, split in given.items() if split == "train"}
    notes = []
    for split in SPLITS[1:]:
        members = [name for name in given if given[name] == split]
        leaking = sum(unit_of[name] in in_train for name in members)
        if leaking:
            notes.append(
                f"{leaking} of {len(members)} given {split} images have a near-duplicate in train, so {split} results "
                "are too good (split.given=fix mends it)."
            )
    return GivenSplits(given, notes=notes)


def fix_given(records: Sequence[Record], unit_of: Mapping[str, str]) -> GivenSplits:
    """The given splits, but each unit wholly in the earliest (train, val, test) that it is in.

    A split that so loses more than half of any class is called thinned.
    """
    given = _given(records)
    splits_of: dict[str, set[Split]] = defaultdict(set)
    for name, split in given.items():
        splits_of[unit_of[name]].add(split)
    fixed = {name: min(splits_of[unit_of[name]], key=SPLITS.index) for name in given}
    moved = Counter((given[name], fixed[name]) for name in given if given[name] != fixed[name])
    totals = Counter(given.values())
    notes = [
        f"{count} of {totals[source]} given {source} images have their patient or a near-duplicate in {goal} "
        f"and were moved there."
        for (source, goal), count in sorted(moved.items())
    ]
    before = Counter((given[record.id], record.target) for record in records if record.id in given)
    after = Counter((fixed[record.id], record.target) for record in records if record.id in given)
    thinned = frozenset(split for (split, target), count in before.items() if 2 * after[split, target] < count)
    return GivenSplits(fixed, thinned - {"train"}, notes)


def _given(records: Sequence[Record]) -> dict[str, Split]:
    return {record.id: record.split for record in records if record.split is not None}
