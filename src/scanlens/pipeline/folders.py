"""Folders of commands on finished runs, below the run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from scanlens.errors import RunError


def timed_folder(above: Path) -> Path:
    """A folder named by the time, of this command alone."""
    above.mkdir(parents=True, exist_ok=True)
    name = f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}"
    for number in range(1, 1000):
        folder = above / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise RunError(f"{above} holds a thousand folders of this second; try again.")


def own_folder(folder: Path) -> Path:
    """A folder that was asked for, made; what lies in it already is never mixed with something new.

    Raises:
        RunError: if it is not empty, or no folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} is there already and not empty. Choose another out=FOLDER, or remove it.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
