"""A CSV file as rows of text, with its size bounded and its columns checked."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from scanlens.errors import DataError, did_you_mean

_MOST_BYTES = 512 * 2**20
_SEPARATORS = (",", ";", "\t")


def read_rows(path: Path, *, max_rows: int = 2_000_000) -> list[dict[str, str]]:
    """The rows below the header; cells are stripped, and the separator (comma, semicolon, tab) is found out.

    Raises:
        DataError: absent, too large, not UTF-8, no header, a column name twice, or a row of another length.
    """
    reader = csv.reader(io.StringIO(text := _text(path)), delimiter=_separator(text))
    rows: list[dict[str, str]] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        _check_header(path, columns)
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(columns):
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(columns)} cells are expected, as in the header; "
                    f"{len(cells)} came. Quote cells that hold the separator."
                )
            if len(rows) >= max_rows:
                raise DataError(f"{path} has more than {max_rows} rows; set data.max_rows higher if that is meant.")
            rows.append(dict(zip(columns, (cell.strip() for cell in cells), strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not readable as CSV ({error}).") from error
    return rows


def filled(cell: str) -> str | None:
    """What a cell says; None if it is empty or "nan", as pandas may write an empty one."""
    return None if cell.strip().lower() in ("", "nan") else cell


def check_columns(path: Path, rows: list[dict[str, str]], wanted: Mapping[str, str | None]) -> None:
    """Make sure that every column that a setting names is there.

    Args:
        path: the file, for the message.
        rows: its rows.
        wanted: setting (such as "data.patient") to column name; None where none is wanted.

    Raises:
        DataError: all missing columns, each with the nearest name.
    """
    if not rows:
        raise DataError(f"{path} has a header but no rows.")
    columns = list(rows[0])
    missing = [
        f"column '{column}' ({setting}) is not in {path} (found: {', '.join(columns)}). {did_you_mean(column, columns)}"
        for setting, column in wanted.items()
        if column is not None and column not in columns
    ]
    if missing:
        raise DataError("\n".join(missing))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} is larger than {_MOST_BYTES} bytes; a table of images is expected.")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        beside = sorted(other.name for other in path.parent.glob("*.csv"))
        raise DataError(f"the table {path} is not there. {did_you_mean(path.name, beside)}".rstrip()) from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def _separator(text: str) -> str:
    """The one that is most frequent in the header."""
    header = text.split("\n", 1)[0]
    return max(_SEPARATORS, key=header.count)


def _check_header(path: Path, columns: list[str]) -> None:
    if not any(columns):
        raise DataError(f"{path} is empty; a header with column names is expected in its first line.")
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the header names {', '.join(map(repr, twice))} more than once.")
