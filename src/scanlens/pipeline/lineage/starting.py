"""Where starting weights come from: the lineage in their run folder, else in the header of their file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanlens.errors import RunError
from scanlens.models.vgg import RESERVED_WEIGHTS
from scanlens.models.weights import RUN_WEIGHTS, read_metadata, weights_file
from scanlens.pipeline.lineage.memory import Lineage
from scanlens.pipeline.lineage.stored import from_metadata, read_lineage
from scanlens.runs import Run


@dataclass(frozen=True, slots=True)
class Start:
    """What a run starts from.

    Args:
        lineage: of its weights; without generations if they come from no run that is known.
        folder: of the run that they lie in; None if they lie in none.
    """

    lineage: Lineage
    folder: Path | None = None

    def split_file(self, run: str) -> Path | None:
        """The division of one of the runs, if it is still there."""
        if self.folder is None:
            return None
        found = Run(self.folder if run == self.folder.name else self.folder.parent / run).split_file
        return found if found.is_file() else None


def starting_weights(model: Mapping[str, Any]) -> Start:
    """What the weights that `model.weights` names have seen.

    Args:
        model: the part `model` of a configuration.

    Raises:
        ModelError: if there is no such file, or it is broken.
        RunError: if what it has seen cannot be read, or `lineage.json` is that of other weights.
    """
    weights = model.get("weights") or "none"
    if weights == "none":
        return Start(Lineage(begins_with="random"))
    if weights in RESERVED_WEIGHTS or not Path(weights).expanduser().exists():
        return Start(Lineage(begins_with="public"))
    file = weights_file(weights).resolve()
    carried = from_metadata(read_metadata(file), file=file)
    run = _run_of(file)
    if run is None:
        return Start(carried or Lineage(begins_with="unknown"))
    stored = read_lineage(run.lineage_file)
    if carried is not None and _salts(stored) != _salts(carried):
        raise RunError(
            f"{run.lineage_file} is not about the weights beside it, {file.name}: one of them comes from another run. "
            "Restore both from one run, or give a copy of the weights file that lies in a folder of its own."
        )
    return Start(stored, run.folder)


def _run_of(file: Path) -> Run | None:
    """The run whose weights these are."""
    run = Run(file.parent)
    if file.parent.name == run.checkpoints.name:
        run = Run(file.parent.parent)
    elif file.name != RUN_WEIGHTS:
        return None
    return run if run.lineage_file.exists() else None


def _salts(lineage: Lineage) -> list[bytes]:
    return [each.salt for each in lineage.generations]
