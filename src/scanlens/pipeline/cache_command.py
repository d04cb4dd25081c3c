"""`scanlens cache`: what decoded images lie on the disk, and their removal where nobody uses them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from scanlens.data.cache_upkeep import CacheEntry, clear, list_entries
from scanlens.errors import ConfigError, DataError

_DAY_S = 24 * 3600


def list_cache(folder: Path) -> str:
    """The entries below a folder, the most recently used first, as a table.

    Raises:
        DataError: there is no such folder.
    """
    entries = list_entries(_existing(folder))
    if not entries:
        return f"no decoded images in {folder}"
    lines = [f"{'entry':<26}{'size':>10}{'images':>10}  {'last use':<18}in use"]
    for one in sorted(entries, key=lambda entry: -entry.last_used_s):
        num = "?" if one.num_images is None else str(one.num_images)
        used = f"{datetime.fromtimestamp(one.last_used_s):%Y-%m-%d %H:%M}"
        lines.append(
            f"{one.path.name:<26}{_size(one.num_bytes):>10}{num:>10}  {used:<18}{'yes' if one.is_held else 'no'}"
        )
    return "\n".join([*lines, f"{_counted(entries)} in {folder}"])


def clear_cache(folder: Path, *, older_than_days: str = "0") -> str:
    """Remove entries that no process holds, and say how much that was.

    Args:
        folder: of all entries.
        older_than_days: as typed; only entries that were last used longer ago go.

    Raises:
        ConfigError: it is no number of days.
        DataError: there is no such folder.
    """
    try:
        days = float(older_than_days)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise ConfigError([f"older_than: a number of days, 0 or more, is expected, '{older_than_days}' came"])
    removed, kept = clear(_existing(folder), used_before_s=time.time() - days * _DAY_S)
    told = f"removed {_counted(removed)} from {folder}"
    in_use = [one for one in kept if one.is_held]
    return told + (f"; {_counted(in_use)} in use stay" if in_use else "")


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}. Give the paths.cache of your runs: scanlens cache path=...")
    return folder


def _counted(entries: Sequence[CacheEntry]) -> str:
    noun = "entry" if len(entries) == 1 else "entries"
    return f"{len(entries)} {noun}, {_size(sum(one.num_bytes for one in entries))}"


def _size(num_bytes: int) -> str:
    """ "3.2 MiB", "1.5 GiB"."""
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.1f} MiB"
