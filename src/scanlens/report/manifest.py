"""`report/MANIFEST.sha256`: hashes of every file of a report, so that a site can verify it, or find and delete all of it.

It is checked by `sha256sum --check MANIFEST.sha256` in the folder.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from scanlens.files import write_text

NAME = "MANIFEST.sha256"


def write_manifest(report: Path) -> Path:
    """Write the file and return where it lies.

    Args:
        report: the folder `report` of a run; what is hidden, a link, or has a line end in its name is left out.
    """
    found = (path for path in report.rglob("*") if path.is_file() and not path.is_symlink() and path.name != NAME)
    names = sorted(path.relative_to(report).as_posix() for path in found)
    kept = [name for name in names if not name.startswith(".") and "\n" not in name and "\r" not in name]
    write_text(report / NAME, "".join(f"{_sha256(report / name)}  {name}\n" for name in kept))
    return report / NAME


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
