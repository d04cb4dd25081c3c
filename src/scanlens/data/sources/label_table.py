"""A table that says of which class something is, and more of it: settings checked, rows read, classes chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from scanlens.data.sources.csv_rows import check_columns, filled, read_rows
from scanlens.errors import DataError, did_you_mean

_KEYS = ("file", "by", "key", "label", "meta")
_OPTIONAL = ("by", "meta")
Labels = Mapping[str, str | list[str]]


def label_mistakes(labels: Labels, *, choices: Sequence[str]) -> list[str]:
    """What is wrong with the setting `labels`, a sentence each.

    Args:
        labels: `file` (below the root), `key` and `label` (columns), `by`, what the key names ("file" if absent), and
            `meta`, further columns to keep, such as [site].
        choices: what `by` may be.
    """
    mistakes = [f"labels.{key} is unknown. {did_you_mean(key, _KEYS)}" for key in labels if key not in _KEYS]
    mistakes += [f"labels.{key} is missing." for key in _KEYS if key not in labels and key not in _OPTIONAL]
    mistakes += [
        f"labels.{key}: one name is expected, {labels[key]} came."
        for key in _KEYS
        if key != "meta" and isinstance(labels.get(key), list)
    ]
    if keyed_by(labels) not in choices:
        expected = f"{', '.join(choices[:-1])} or {choices[-1]}"
        mistakes.append(f"labels.by: {expected} is expected, '{labels['by']}' came.")
    return mistakes


def keyed_by(labels: Labels) -> str:
    """What the rows of the table are about."""
    return str(labels.get("by", "file"))


def read_labels(table: Path, labels: Labels) -> dict[str, str]:
    """Key to class, without rows that have no class; messages name rows, never keys, which may be those of patients.

    Raises:
        DataError: the table cannot be read, lacks a column, or gives one key two classes.
    """
    found: dict[str, str] = {}
    for number, key, row in _keyed_rows(table, labels):
        label = filled(row[str(labels["label"])])
        if label is not None and found.setdefault(key, label) != label:
            raise DataError(
                f"{table}, row {number}: this {keyed_by(labels)} has two classes, '{found[key]}' and '{label}'."
            )
    return found


def read_label_meta(table: Path, labels: Labels) -> dict[str, dict[str, str]]:
    """Key to the further columns `labels.meta`, as written; empty where none are asked for.

    Raises:
        DataError: a column is not there, or one key has two values of it.
    """
    meta = labels.get("meta", [])
    columns = [meta] if isinstance(meta, str) else list(meta)
    found: dict[str, dict[str, str]] = {}
    for number, key, row in _keyed_rows(table, labels) if columns else []:
        said = {column: row[column] for column in columns}
        if found.setdefault(key, said) != said:
            raise DataError(f"{table}, row {number}: this {keyed_by(labels)} has two values of {' or '.join(columns)}.")
    return found


def _keyed_rows(table: Path, labels: Labels) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Number in the file, key and cells of every row; names of files with forward slashes."""
    rows, meta = read_rows(table), labels.get("meta", [])
    columns = {f"data.labels.{name}": str(labels[name]) for name in ("key", "label")}
    columns |= {f"data.labels.meta[{i}]": name for i, name in enumerate([meta] if isinstance(meta, str) else meta)}
    check_columns(table, rows, columns)
    for number, row in enumerate(rows, start=2):
        key = row[str(labels["key"])]
        yield number, Path(key.replace("\\", "/")).as_posix() if keyed_by(labels) == "file" else key, row


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
