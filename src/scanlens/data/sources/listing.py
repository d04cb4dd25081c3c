"""What lies below a folder, safely: regular names only, nothing outside the folder, always in the same order."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from scanlens.errors import DataError

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".jpe", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_MOST_FILES = 5_000_000
_LITTER_FOLDERS = frozenset({"__MACOSX", "__pycache__"})


def existing_root(root: str | None, *, name: str, get_it_from: str) -> Path:
    """The absolute folder of a data set.

    Raises:
        DataError: it is not given, absent or not a folder; says where the data set can be had.
    """
    where = f" (download from {get_it_from})" if get_it_from else ""
    if root is not None and not root.strip():
        raise DataError(
            f"{name}: data.root is empty. Set data.root=/path/to/{name}{where}; a shell variable may be unset."
        )
    if root is None:
        raise DataError(f"{name}: the folder of the images is not given. Set data.root=/path/to/{name}{where}.")
    path = Path(root).expanduser()
    if not path.is_dir():
        state = "is a file, not a folder" if path.exists() else "is not there"
        raise DataError(f"{name}: data.root={root} {state}. Set data.root to the folder of the images{where}.")
    return path.resolve()


def files_below(root: Path, *, notes: list[str]) -> list[str]:
    """All file names below `root`, relative and with forward slashes, sorted.

    Hidden names and litter of archives are left out. Links to files inside `root` are taken; links that lead out of
    it, links to folders, and names that are no text are not, and `notes` says how many.
    """
    found, num_links, num_unreadable = [], 0, 0
    for name, is_link_away in _walk(root):
        is_text = _is_text(name)
        num_links += is_link_away
        num_unreadable += not is_text
        if not is_link_away and is_text:
            found.append(name)
        if len(found) > _MOST_FILES:
            raise DataError(f"more than {_MOST_FILES} files below {root}: is data.root the right folder?")
    if num_links:
        notes.append(f"{num_links} links to folders or to files outside of data.root were left out.")
    if num_unreadable:
        notes.append(f"{num_unreadable} files were left out: their names are not UTF-8. Rename them.")
    return sorted(found)


def _is_text(name: str) -> bool:
    """Whether a name can be written into a table; what is not UTF-8 on disk cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _walk(root: Path) -> Iterator[tuple[str, bool]]:
    """Relative names, and whether each is a link that is not followed."""
    for folder, folders, files in os.walk(root, onerror=_refuse):
        below = Path(folder).relative_to(root)
        visible = [name for name in folders if not name.startswith(".") and name not in _LITTER_FOLDERS]
        links = [name for name in visible if (Path(folder) / name).is_symlink()]
        yield from (((below / name).as_posix(), True) for name in links)
        folders[:] = sorted(set(visible) - set(links))
        for name in files:
            if not name.startswith("."):
                path = Path(folder) / name
                yield (below / name).as_posix(), path.is_symlink() and not is_inside(path, root)


def _refuse(error: OSError) -> None:
    raise DataError(f"the folder {error.filename} cannot be listed ({error.strerror}).") from error


def is_inside(path: Path, root: Path) -> bool:
    """Whether `path`, all links followed, lies below `root`."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):  # a circle of links; a NUL in the name
        return False


def is_image_name(name: str, extensions: Iterable[str]) -> bool:
    return PurePosixPath(name).suffix.lower() in extensions


def normalized_extensions(extensions: list[str] | None) -> tuple[str, ...]:
    """Lower case with a leading dot; the usual ones for None."""
    if extensions is None:
        return IMAGE_EXTENSIONS
    return tuple("." + extension.lower().lstrip(".") for extension in extensions)


def fingerprint_of(files: Mapping[str, Path], settings: Mapping[str, Any]) -> str:
    """sha256 over the names, sizes and times of change of all files, and the settings that choose among them."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for name in sorted(files):
        try:
            status = files[name].stat()
            facts = f"{status.st_size}\0{status.st_mtime_ns}"
        except (OSError, ValueError):
            facts = "absent"
        digest.update(f"{name}\0{facts}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
