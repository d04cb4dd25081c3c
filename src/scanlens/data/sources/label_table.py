"""A table that says of which class something is: its settings checked, its rows read, the classes chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from scanlens.data.sources.csv_rows import check_columns, filled, read_rows
from scanlens.errors import DataError, did_you_mean

_KEYS = ("file", "by", "key", "label")


def label_mistakes(labels: Mapping[str, str], *, choices: Sequence[str]) -> list[str]:
    """What is wrong with the setting `labels`, a sentence each.

    Args:
        labels: `file` (below the root), `key` and `label` (columns), and `by`, what the key names; "file" if absent.
        choices: what `by` may be.
    """
    mistakes = [f"labels.{key} is unknown. {did_you_mean(key, _KEYS)}" for key in labels if key not in _KEYS]
    mistakes += [f"labels.{key} is missing." for key in _KEYS if key not in labels and key != "by"]
    if keyed_by(labels) not in choices:
        expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
        mistakes.append(f"labels.by: {expected} is expected, '{labels['by']}' came.")
    return mistakes


def keyed_by(labels: Mapping[str, str]) -> str:
    """What the rows of the table are about."""
    return labels.get("by", "file")


def read_labels(table: Path, labels: Mapping[str, str]) -> dict[str, str]:
    """Key to class, without rows that have no class; messages name rows, never keys, which may be those of patients.

    Raises:
        DataError: the table cannot be read, lacks a column, or gives one key two classes.
    """
    rows = read_rows(table)
    check_columns(table, rows, {"data.labels.key": labels["key"], "data.labels.label": labels["label"]})
    by = keyed_by(labels)
    found: dict[str, str] = {}
    for number, row in enumerate(rows, start=2):
        key, label = row[labels["key"]], filled(row[labels["label"]])
        key = Path(key.replace("\\", "/")).as_posix() if by == "file" else key
        if label is not None and found.setdefault(key, label) != label:
            raise DataError(f"{table}, row {number}: this {by} has two classes, '{found[key]}' and '{label}'.")
    return found


def chosen_classes(found: Collection[str], class_names: Sequence[str] | None, *, table: Path) -> list[str]:
    """The classes asked for, in their order; all that are there, sorted, for None.

    Raises:
        DataError: names every class that is asked for and not there, with the nearest one.
    """
    there = sorted(found)
    wanted = there if class_names is None else list(class_names)
    missing = [
        f"class '{name}' is not in {table} (found: {', '.join(there[:12])}). {did_you_mean(name, there)}".rstrip()
        for name in wanted
        if name not in there
    ]
    if missing:
        raise DataError("\n".join(missing))
    return wanted
