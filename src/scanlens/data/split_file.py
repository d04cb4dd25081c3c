"""A division read from a file and held against the data set as it is now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from scanlens.data.sources.csv_rows import check_columns, filled, read_rows
from scanlens.data.split_table import SplitRow, SplitTable
from scanlens.data.thin_classes import thin_class_notes
from scanlens.data.units import refuse_shared
from scanlens.errors import DataError
from scanlens.files import from_cell
from scanlens.types import SPLITS, Record, Split

_REMEDY = "Set split.file=null to divide anew."
_UNFIT = f"split.file does not fit the data set. {_REMEDY}"
Line = Mapping[str, str]


def read_split(path: Path, records: Sequence[Record], *, may_share_patients: bool = False) -> SplitTable:
    """A division from a CSV file with the columns id and split; target, patient and group count if they are there.

    What the file says of classes and patients must be what the data set says: a file of other labels is one of another
    data set. An empty cell says nothing.

    Args:
        path: the file.
        records: the data set as it is now.
        may_share_patients: patients may be in two splits.

    Raises:
        DataError: not exactly one row for each record, another class or patient than in the data, an unknown split, or
            a patient in two splits.
    """
    lines = [{name: from_cell(cell) for name, cell in line.items()} for line in read_rows(path)]
    check_columns(path, lines, {"of the division": "id", "of train, val and test": "split"})
    _check_ids(path, [line["id"] for line in lines], [record.id for record in records])
    number_of = {line["id"]: number for number, line in enumerate(lines, start=2)}
    by_id = {line["id"]: line for line in lines}
    _check_facts(path, [(number_of[r.id], by_id[r.id], r) for r in records])
    rows = [_row(path, index, record, by_id[record.id]) for index, record in enumerate(records)]
    if not may_share_patients:
        known = [
            (record.patient or filled(by_id[record.id].get("patient", "")), row.split)
            for record, row in zip(records, rows, strict=True)
        ]
        remedy = f"Mend {path}, or set split.file=null to divide anew."
        refuse_shared("patients", known, where=str(path), remedy=remedy)
    note = "The division into train, val and test was read from a file (split.file)."
    return SplitTable(rows, [note, *thin_class_notes(rows, folds=None)])


def _row(path: Path, index: int, record: Record, line: Line) -> SplitRow:
    split: Split | None = next((name for name in SPLITS if name == line["split"]), None)
    if split is None:
        raise DataError(
            f"{path}: {record.id} has the split '{line['split']}'; train, val or test is expected.",
            public="split.file names a split other than train, val and test.",
        )
    group = line.get("group") or record.patient or record.id
    return SplitRow(index, record.id, record.patient, group, record.target, split)


def _check_ids(path: Path, listed: Sequence[str], expected: Sequence[str]) -> None:
    problems = {
        "are listed more than once": [name for name, count in Counter(listed).items() if count > 1],
        "of the data set are missing": sorted(set(expected) - set(listed)),
        "are not in the data set": sorted(set(listed) - set(expected)),
    }
    mistakes = [f"{len(names)} images {problem}, such as '{names[0]}'" for problem, names in problems.items() if names]
    if mistakes:
        raise DataError(f"{path} does not fit the data set: {'; '.join(mistakes)}. {_REMEDY}", public=_UNFIT)


def _check_facts(path: Path, found: Sequence[tuple[int, Line, Record]]) -> None:
    """Classes and patients in the file are those of the data; who a patient is is not told."""
    relabeled = [one for one in found if _contradict(one[1].get("target"), one[2].target)]
    moved = [one for one in found if one[2].patient is not None and _contradict(one[1].get("patient"), one[2].patient)]
    mistakes = []
    if relabeled:
        number, line, record = relabeled[0]
        now = "without a class" if record.target is None else f"'{record.target}'"
        mistakes.append(
            f"{len(relabeled)} images have another class, such as '{record.id}' (row {number}: '{line['target']}' in the "
            f"file, {now} in the data)"
        )
    if moved:
        number, _, record = moved[0]
        mistakes.append(f"{len(moved)} images have another patient, such as '{record.id}' (row {number})")
    if mistakes:
        told = f"{path} contradicts the data set: {'; '.join(mistakes)}. Mend one of them, or: {_REMEDY}"
        raise DataError(told, public=_UNFIT)


def _contradict(written: str | None, known: str | None) -> bool:
    said = filled(written or "")
    return said is not None and said != known
