"""The division of a data set as a table, which is written as `split.csv`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scanlens.files import write_csv
from scanlens.types import SPLITS, Split

COLUMNS = ("index", "id", "patient", "group", "target", "split")


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
        untrained: classes that some folds of a cross-validation have no training image of, with these folds.
    """

    rows: list[SplitRow]
    notes: list[str] = field(default_factory=list)
    untrained: Mapping[str, list[int]] = field(default_factory=dict)

    def indices(self, split: Split) -> list[int]:
        """Indices of the images of one split, ascending."""
        return [row.index for row in self.rows if row.split == split]

    def counts(self) -> dict[Split, dict[str, int]]:
        """Images of each class in each split; images without a class count under ''."""
        return {split: dict(Counter(row.target or "" for row in self.rows if row.split == split)) for split in SPLITS}

    def write(self, path: Path) -> None:
        """Write `split.csv`, whole or not at all."""
        rows = ({column: getattr(row, column) for column in COLUMNS} for row in self.rows)
        write_csv(path, COLUMNS, rows, private=True)
