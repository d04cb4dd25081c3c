"""Who goes to train, val and test: whole patients (or groups of near-duplicates), every class in its share.

The unit that is never divided is the patient where known, else the group of near-duplicate images, else the image. What
had to be assumed, was moved or could not be done stands in `SplitTable.notes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scanlens.data.assignment import assign_units
from scanlens.data.given_splits import GivenSplits, fix_given, use_given
from scanlens.data.sources.csv_rows import check_columns, read_rows
from scanlens.data.units import find_units, refuse_shared
from scanlens.errors import ConfigError, DataError, did_you_mean
from scanlens.files import write_csv
from scanlens.types import SPLITS, Record, Split

COLUMNS = ("index", "id", "patient", "group", "target", "split")
_CHOICES = {"by": ("auto", "patient", "near_duplicates", "image"), "given": ("use", "ignore", "fix")}


@dataclass(frozen=True)
class SplitPlan:
    """How to divide a data set.

    Args:
        fractions: shares of train, val and test, of the images of each class; they sum to one. Train needs some; 0
            leaves val or test out.
        by: what is never divided. auto: the patient where known, else the group of near-duplicates where they were
            looked for, else the image. patient: every image needs one. near_duplicates: the group, whoever the patient
            is. image: nothing is kept together.
        given: splits that the data set brings along. use: exactly so; a patient in two of them is an error. fix: so,
            but what has its patient or a near-duplicate in an earlier split (train, then val) moves there; a val or
            test that thereby loses more than half of a class is filled up from train with whole units. ignore: divide
            anew. A split that is not given is cut out of the given train.
        folds: number of parts of a cross-validation, 3 or more; `fractions` and given splits then do not count. None
            for none.
        fold: which part is the test, from 0; the next one is val, all others train.
        file: CSV with the columns id and split, such as `split.csv` of a run, that settles everything; None for none.

    Raises:
        ConfigError: all mistakes at once.
    """

    fractions: list[float] = field(default_factory=lambda: [0.7, 0.15, 0.15])
    by: Literal["auto", "patient", "near_duplicates", "image"] = "auto"
    given: Literal["use", "ignore", "fix"] = "fix"
    folds: int | None = None
    fold: int = 0
    file: str | None = None

    def __post_init__(self) -> None:
        mistakes = []
        if len(self.fractions) != 3 or min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6:
            mistakes.append(f"split.fractions: three shares that sum to 1 are expected, {self.fractions} came.")
        elif self.fractions[0] == 0:
            mistakes.append("split.fractions: the first one, of train, must be above 0.")
        for key, choices in _CHOICES.items():
            if (word := getattr(self, key)) not in choices:
                mistakes.append(f"split.{key}: '{word}' is unknown. {did_you_mean(str(word), choices)}")
        if self.folds is not None and self.folds < 3:
            mistakes.append(f"split.folds: 3 or more are expected (test, val, train), {self.folds} came.")
        elif not 0 <= self.fold < (self.folds or 1):
            most = (self.folds or 1) - 1
            mistakes.append(f"split.fold: 0 to {most} is expected with folds={self.folds}, {self.fold} came.")
        if mistakes:
            raise ConfigError(mistakes)


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One image in `split.csv`.

    Args:
        index: its place in the list of records, used everywhere.
        id, patient, target: of its record.
        group: the unit that was not divided.
        split: where it went.
    """

    index: int
    id: str
    patient: str | None
    group: str
    target: str | None
    split: Split


@dataclass(frozen=True)
class SplitTable:
    """The division of a data set, one row for each record, in the same order.

    Args:
        rows: as in `split.csv`.
        notes: sentences for the summary of the run.
    """

    rows: list[SplitRow]
    notes: list[str] = field(default_factory=list)

    def indices(self, split: Split) -> list[int]:
        """Indices of the images of one split, ascending."""
        return [row.index for row in self.rows if row.split == split]

    def counts(self) -> dict[Split, dict[str, int]]:
        """Images of each class in each split; images without a class count under ''."""
        return {split: dict(Counter(row.target or "" for row in self.rows if row.split == split)) for split in SPLITS}

    def write(self, path: Path) -> None:
        """Write `split.csv`, whole or not at all."""
        write_csv(path, COLUMNS, ({column: getattr(row, column) for column in COLUMNS} for row in self.rows))


def make_splits(
    records: Sequence[Record], *, plan: SplitPlan, seed: int, groups: Mapping[str, int | str] | None = None
) -> SplitTable:
    """Divide records as planned; the same records, plan, seed and groups always give the same table.

    Args:
        records: each id once.
        plan: see there.
        seed: draws among units that fit equally well.
        groups: near-duplicate group of each id, if they were looked for.

    Raises:
        DataError: patients are needed but not known, given splits share patients, or a split stays empty.
    """
    if not records:
        raise DataError("There are no images to divide into train, val and test.")
    if plan.file is not None:
        return read_split(Path(plan.file), records, may_share_patients=plan.by in ("near_duplicates", "image"))
    unit_of, notes = find_units(records, plan.by, groups)
    if plan.folds is not None:
        assigned = _folds(records, unit_of, plan, plan.folds, seed, notes)
    else:
        assigned = _fractions(records, unit_of, plan, seed, notes)
    rows = [
        SplitRow(index, record.id, record.patient, unit_of[record.id], record.target, assigned[record.id])
        for index, record in enumerate(records)
    ]
    _check_not_empty(rows, plan)
    return SplitTable(rows, notes + _thin_classes(rows))


def read_split(path: Path, records: Sequence[Record], *, may_share_patients: bool = False) -> SplitTable:
    """A division from a CSV file with the columns id and split, and group if it is there; others are not looked at.

    Args:
        path: the file.
        records: the data set as it is now.
        may_share_patients: patients may be in two splits.

    Raises:
        DataError: not exactly one row for each record, an unknown split, or a patient in two splits.
    """
    lines = read_rows(path)
    check_columns(path, lines, {"of the division": "id", "of train, val and test": "split"})
    _check_ids(path, [line["id"] for line in lines], [record.id for record in records])
    by_id = {line["id"]: line for line in lines}
    rows = []
    for index, record in enumerate(records):
        line = by_id[record.id]
        split = next((name for name in SPLITS if name == line["split"]), None)
        if split is None:
            raise DataError(f"{path}: {record.id} has the split '{line['split']}'; train, val or test is expected.")
        group = line.get("group") or record.patient or record.id
        rows.append(SplitRow(index, record.id, record.patient, group, record.target, split))
    if not may_share_patients:
        remedy = f"Mend {path}, or set split.file=null to divide anew."
        refuse_shared("patients", ((row.patient, row.split) for row in rows), where=str(path), remedy=remedy)
    return SplitTable(rows, [f"The division into train, val and test was read from {path.name}.", *_thin_classes(rows)])


def _fractions(
    records: Sequence[Record], unit_of: Mapping[str, str], plan: SplitPlan, seed: int, notes: list[str]
) -> dict[str, Split]:
    """Split by id: given val and test stay; the rest goes to train and to what is not given or was thinned."""
    rule = {"use": use_given, "fix": fix_given}.get(plan.given)
    given = rule(records, unit_of) if rule is not None else GivenSplits()
    notes += given.notes
    held = {name: split for name, split in given.of_id.items() if split != "train"}
    unit_split = {unit_of[name]: split for name, split in held.items()}
    held |= {  # images without a given split follow their patient
        record.id: unit_split[unit_of[record.id]]
        for record in records
        if record.id not in given.of_id and unit_of[record.id] in unit_split
    }
    closed = set(held.values()) - given.thinned
    parts = [split for split, share in zip(SPLITS, plan.fractions, strict=True) if share > 0 and split not in closed]
    free = [record for record in records if record.id not in held]
    if not free:
        raise DataError(
            "The data set's own division leaves no images for train. Set split.given=ignore to divide anew."
        )
    notes += _cut_notes(given, parts)
    shares = [plan.fractions[SPLITS.index(split)] for split in parts]
    chosen = assign_units(
        [(unit_of[record.id], record.target) for record in free],
        shares=[share / sum(shares) for share in shares],
        seed=seed,
        held=[(parts.index(held[r.id]), r.target) for r in records if r.id in held and held[r.id] in parts],
    )
    return held | {record.id: parts[part] for record, part in zip(free, chosen, strict=True)}


def _cut_notes(given: GivenSplits, parts: Sequence[Split]) -> list[str]:
    if not given.of_id:
        return []
    absent = [split for split in parts if split != "train" and split not in given.thinned]
    notes = [f"The data set gives no {split}; it was cut out of the given train." for split in absent]
    thinned = [split for split in parts if split in given.thinned]
    return notes + [
        f"Given {split} lost more than half of a class that way and was filled up from train with whole groups, "
        f"so results do not compare with those published on it."
        for split in thinned
    ]


def _folds(
    records: Sequence[Record], unit_of: Mapping[str, str], plan: SplitPlan, folds: int, seed: int, notes: list[str]
) -> dict[str, Split]:
    """Split by id: part `fold` is the test, the next one val, the others train."""
    if plan.given != "ignore" and any(record.split is not None for record in records):
        notes.append(
            "The data set's own division does not count in a cross-validation; all its images are in the folds."
        )
    num_units = len(set(unit_of.values()))
    if num_units < folds:
        raise DataError(f"{folds} folds need as many patients or groups; there are {num_units}. Set split.folds lower.")
    items = [(unit_of[record.id], record.target) for record in records]
    parts = assign_units(items, shares=[1 / folds] * folds, seed=seed)
    special: dict[int, Split] = {plan.fold: "test", (plan.fold + 1) % folds: "val"}
    return {record.id: special.get(part, "train") for record, part in zip(records, parts, strict=True)}


def _check_not_empty(rows: Sequence[SplitRow], plan: SplitPlan) -> None:
    counts = Counter(row.split for row in rows)
    for split, share in zip(SPLITS, plan.fractions, strict=True):
        if counts[split] == 0 and (share > 0 or plan.folds is not None):
            raise DataError(
                f"{split} stays empty: {len(rows)} images are of {len({row.group for row in rows})} patients or groups, and "
                "these are not divided. Get more patients, or set the share of this split in split.fractions to 0."
            )


def _thin_classes(rows: Sequence[SplitRow]) -> list[str]:
    """One sentence for each class that a split in use lacks."""
    in_use = [split for split in SPLITS if any(row.split == split for row in rows)]
    notes = []
    for target in sorted({row.target for row in rows if row.target is not None}):
        own = [row for row in rows if row.target == target]
        present = {row.split for row in own}
        lacking = [split for split in in_use if split not in present]
        if lacking:
            what = "it cannot be learned" if "train" in lacking else "it cannot be judged there"
            notes.append(
                f"Class '{target}': its {len(own)} images are of {len({row.group for row in own})} patients or groups, "
                f"and none is in {' and '.join(lacking)}, so {what}."
            )
    return notes


def _check_ids(path: Path, listed: Sequence[str], expected: Sequence[str]) -> None:
    problems = {
        "are listed more than once": [name for name, count in Counter(listed).items() if count > 1],
        "of the data set are missing": sorted(set(expected) - set(listed)),
        "are not in the data set": sorted(set(listed) - set(expected)),
    }
    mistakes = [f"{len(names)} images {problem}, such as '{names[0]}'" for problem, names in problems.items() if names]
    if mistakes:
        raise DataError(f"{path} does not fit the data set: {'; '.join(mistakes)}. Set split.file=null to divide anew.")
