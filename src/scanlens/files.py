"""Whole files or none: text and CSV written to a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")  # as a spreadsheet sees it, with what `as_cell` puts before it
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def write_bytes(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write `data` so that `path` holds either all of it or what it held before, also if the machine stops.

    Args:
        path: the file; folders above it are made.
        data: its content.
        private: readable and writable by its owner alone, where the system knows owners.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, (0o600 if private else 0o666) & ~_umask())  # mkstemp makes files of its owner alone
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """`write_bytes` of UTF-8."""
    write_bytes(path, text.encode(), private=private)


def write_json(path: Path, value: Any, *, private: bool = False) -> None:
    """`write_text` of indented JSON; NaN and infinities are refused, since JSON has neither."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", private=private)


def write_csv(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, private: bool = False
) -> None:
    """`write_text` of a table; None becomes an empty cell, and text that a spreadsheet would run is written by `as_cell`."""
    known, lines = set(columns), list[str]()
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n")  # so that a lone \r is quoted too
    writer.writerow(as_cell(name) for name in columns)
    for row in rows:
        if unknown := sorted(row.keys() - known):
            raise ValueError(f"{path.name}: no column for {', '.join(map(str, unknown))}")
        writer.writerow(as_cell(row.get(name)) for name in columns)
    write_text(path, "".join(line.removesuffix("\r\n") + "\n" for line in lines), private=private)


def remove_partial(folder: Path) -> None:
    """Remove halves of files that a process which was killed left below a folder; only its single writer may do so."""
    for half in folder.rglob(".*.partial"):
        half.unlink(missing_ok=True)


def make_private_folder(folder: Path) -> None:
    """A folder that its owner alone may open, where the system knows owners; one that is there becomes so."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        folder.chmod(0o700)


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table with a header, as text; what `write_csv` wrote comes back as it was."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{from_cell(name): from_cell(cell or "") for name, cell in row.items() if name is not None} for row in rows]


def as_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: an apostrophe stands before text that begins like one and is no number.

    `from_cell` undoes it. Text that begins with an apostrophe before such a sign gets a second one.

    References:
        OWASP, CSV Injection.

    >>> as_cell("=1+1"), as_cell("-0.5"), as_cell("-x"), as_cell("it's")
    ("'=1+1", '-0.5', "'-x", "it's")
    """
    if value is None:
        return ""
    runs = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if runs else value


def from_cell(text: str) -> str:
    """What `as_cell` was given.

    >>> from_cell("'=1+1"), from_cell("-0.5"), from_cell("''tis")
    ('=1+1', '-0.5', "''tis")
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


class FileInUse(OSError):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock on a file, which is made if absent; the system ends it with the process.

    Where files cannot be locked (some network disks, Windows) nothing is held.

    Raises:
        FileInUse: if another process holds it.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileInUse(str(path)) from error
        except OSError:
            pass
        yield


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """The new name, too, must be on the disk; elsewhere than on POSIX a folder cannot be opened for this."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_unpacked_size(path: Path, *, most: int) -> None:
    """Nothing, if an archive such as .npz is not too large once unpacked; nothing is unpacked to find out.

    Raises:
        ValueError: it holds more than `most` bytes.
        zipfile.BadZipFile, OSError: it is no archive, or cannot be read.
    """
    with zipfile.ZipFile(path) as packed:
        size = sum(one.file_size for one in packed.infolist())
    if size > most:
        raise ValueError(f"at most {most:,} bytes are expected, {size:,} came")
