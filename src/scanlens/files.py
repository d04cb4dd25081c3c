"""Whole files or none: text and CSV written to a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
    """`write_text` of a table; None becomes an empty cell."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    write_text(path, buffer.getvalue(), private=private)


def write_list(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """`write_csv` for people, who open it as a spreadsheet: text that would run there as a formula gets an apostrophe.

    References:
        OWASP, CSV Injection.
    """
    write_csv(path, columns, ({name: _defused(value) for name, value in row.items()} for row in rows))


def _defused(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def make_private_folder(folder: Path) -> None:
    """A folder that its owner alone may open, where the system knows owners; one that is there becomes so."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        folder.chmod(0o700)


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table with a header, as text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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
