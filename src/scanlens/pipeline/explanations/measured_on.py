"""On what a part was measured, so that parts which were measured at other times can be told to belong together."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scanlens.runs import Run


def measured_on(run: Run) -> dict[str, str]:
    """SHA-256 of the weights and of the predictions of the test split, which decide all that is measured of a run's maps.

    A training that was done again, or another run's file, does not fit.
    """
    files = {"weights": run.weights_file, "predictions": run.predictions / "test.csv"}
    return {name: _digest(path) for name, path in files.items()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
