"""Upkeep of the folder of cache entries: whole ones are renamed into place, abandoned and old ones are removed.

The folder may be anybody's (`paths.cache=/data`), so only what the cache itself makes is ever touched: folders that are
named by a key and hold nothing but the files of an entry.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import shutil
import sys
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scanlens.errors import DataError

log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
FILES = frozenset({MANIFEST, "images.u16", "masks.u8", "thumbnails.f32", "facts.f64", "hashes.u8"})
ABANDONED_AFTER_S = 24 * 3600
_FINISHED = re.compile(r"[0-9a-f]{24}")
_UNFINISHED = re.compile(r"\.[0-9a-f]{24}\.[a-z0-9_]{8}")


def put_in_place(temporary: Path, entry: Path, *, is_whole: Callable[[Path], bool]) -> None:
    """Rename; if another process was first with a whole entry, theirs is as good; a damaged one gives way.

    Raises:
        DataError: if the entry cannot be put there.
    """
    problem: OSError | None = None
    for _ in range(10):
        try:
            temporary.rename(entry)
            return
        except OSError as error:
            problem = error
        if is_whole(entry):
            return
        _remove(entry)
    raise DataError(
        f"the decoded images cannot be put at {entry}: {problem}. Remove what is there, or set another paths.cache."
    )


class Hold:
    """Keeps an entry from being removed as long as this object lives, here or in a forked child.

    Args:
        entry: may be absent; then there is nothing to keep.
    """

    def __init__(self, entry: Path) -> None:
        with contextlib.suppress(OSError):  # absent, or on a file system without locks: removal then goes by age alone
            descriptor = os.open(entry / MANIFEST, os.O_RDONLY)
            weakref.finalize(self, os.close, descriptor)
            _lock(descriptor, exclusive=False)


def remove_abandoned(folder: Path) -> None:
    """Half-made entries of processes that died long ago."""
    for path in folder.iterdir():
        is_ours = _UNFINISHED.fullmatch(path.name) is not None and _holds_only_our_files(path)
        if is_ours and time.time() - _last_change(path) > ABANDONED_AFTER_S:
            shutil.rmtree(path, ignore_errors=True)


def make_room(folder: Path, *, keep: Path, max_bytes: int) -> None:
    """Remove the least recently used entries that nobody holds, until all together are no larger than `max_bytes`."""
    entries = _entries(folder)
    sizes = {path: _size(path) for path in entries}
    total = sum(sizes.values())
    for path in sorted(entries, key=_last_use):
        if total <= max_bytes:
            return
        if path == keep or _is_held(path):
            continue
        log.info("the cache is over %.1f GiB; removing its oldest entry %s", max_bytes / 2**30, path.name)
        _remove(path)
        total -= sizes[path]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What is known of an entry without opening its images.

    Args:
        path: its folder.
        num_bytes: on disk.
        num_images: that it holds; None if it is damaged.
        last_used_s: seconds since 1970.
        is_held: whether a process uses it now.
    """

    path: Path
    num_bytes: int
    num_images: int | None
    last_used_s: float
    is_held: bool


def list_entries(folder: Path) -> list[CacheEntry]:
    """All entries of a folder, by name."""
    return [
        CacheEntry(path, _size(path), _num_images(path), _last_use(path), _is_held(path))
        for path in sorted(_entries(folder))
    ]


def clear(folder: Path, *, used_before_s: float) -> tuple[list[CacheEntry], list[CacheEntry]]:
    """Remove what no process holds and what half-made entries are left, and tell which entries went and which stayed.

    Args:
        folder: of all entries.
        used_before_s: only those whose last use was before, in seconds since 1970.
    """
    remove_abandoned(folder)
    removed, kept = [], []
    for entry in list_entries(folder):
        is_old = entry.last_used_s < used_before_s
        if is_old and not entry.is_held:
            _remove(entry.path)
            removed.append(entry)
        else:
            kept.append(entry)
    return removed, kept


def _entries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _FINISHED.fullmatch(path.name) and _holds_only_our_files(path)]


def _num_images(entry: Path) -> int | None:
    try:
        return int(json.loads((entry / MANIFEST).read_text(encoding="utf-8"))["shape"][0])
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _remove(entry: Path) -> None:
    """Out of sight in one step, so that nobody opens a half-removed one."""
    aside = entry.with_name(f".{entry.name}.{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):  # another process was first
        entry.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _is_held(entry: Path) -> bool:
    try:
        with (entry / MANIFEST).open("r+b") as file:
            _lock(file.fileno(), exclusive=True)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock(descriptor: int, *, exclusive: bool) -> None:
    """An advisory lock that ends with the file, never waited for; Windows refuses to remove open files by itself."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)


def _holds_only_our_files(path: Path) -> bool:
    try:
        names = {p.name for p in path.iterdir()}
    except OSError:  # a file, not readable, or just removed
        return False
    return all(name in FILES or name.startswith(f".{MANIFEST}.") for name in names)


def _files_in(entry: Path) -> list[Path]:
    """Empty if another process has just renamed or removed the entry."""
    try:
        return list(entry.iterdir())
    except OSError:
        return []


def _size(entry: Path) -> int:
    return sum(_size_and_time(path)[0] for path in _files_in(entry))


def _last_use(entry: Path) -> float:
    return _size_and_time(entry)[1]


def _last_change(entry: Path) -> float:
    return max(_size_and_time(path)[1] for path in (entry, *_files_in(entry)))


def _size_and_time(path: Path) -> tuple[int, float]:
    """In bytes, and in seconds since 1970; zeros if another process has just removed it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0.0
    return found.st_size, found.st_mtime
