"""A run folder: where its files lie, what is in them, and how its network is opened again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scanlens.config import load_frozen
from scanlens.errors import RunError
from scanlens.files import read_csv

if TYPE_CHECKING:
    from scanlens.models.base import Network

Config = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """Names of everything in a run folder; nothing is read before it is asked for.

    Args:
        folder: absolute path of `outputs/<RUN_ID>`.
    """

    folder: Path

    @property
    def config_file(self) -> Path:
        return self.folder / "config.yaml"

    @property
    def split_file(self) -> Path:
        return self.folder / "split.csv"

    @property
    def images_file(self) -> Path:
        """Of an audit whose images cannot be divided."""
        return self.folder / "images.csv"

    @property
    def volumes_file(self) -> Path:
        return self.folder / "volumes.csv"

    @property
    def lineage_file(self) -> Path:
        return self.folder / "lineage.json"

    @property
    def meta_file(self) -> Path:
        return self.folder / "meta.csv"

    @property
    def quarantine_file(self) -> Path:
        return self.folder / "quarantine.csv"

    @property
    def fingerprint_file(self) -> Path:
        return self.folder / "fingerprint.npz"

    @property
    def neighbors_file(self) -> Path:
        return self.folder / "neighbors.npz"

    @property
    def external(self) -> Path:
        return self.folder / "external"

    @property
    def provenance_file(self) -> Path:
        return self.folder / "provenance.json"

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.csv"

    @property
    def evaluation_file(self) -> Path:
        return self.folder / "evaluation.json"

    @property
    def members_file(self) -> Path:
        """Of an ensemble only."""
        return self.folder / "ensemble.json"

    @property
    def robustness_file(self) -> Path:
        return self.folder / "robustness.json"

    @property
    def robustness(self) -> Path:
        return self.folder / "robustness"

    @property
    def weights_file(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def initial_weights_file(self) -> Path:
        return self.checkpoints / "initial.safetensors"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions"

    @property
    def explanations(self) -> Path:
        return self.folder / "explanations"

    @property
    def mistakes(self) -> Path:
        return self.folder / "missed"

    @property
    def report_file(self) -> Path:
        return self.folder / "report" / "index.html"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @cached_property
    def config(self) -> Config:
        """The frozen configuration, its `facts` included.

        Raises:
            RunError: if there is no run here.
        """
        content = load_frozen(self.folder)
        if not isinstance(content.get("facts"), dict):
            raise RunError(f"{self.config_file} holds no finished preparation; start the training command again")
        return content

    @property
    def facts(self) -> Config:
        """What the data decided: class names, channels, sizes, counts."""
        return self.config["facts"]

    @cached_property
    def split_rows(self) -> list[dict[str, str]]:
        """The rows of `split.csv`."""
        return read_csv(self.split_file)

    @cached_property
    def place_of(self) -> dict[int, tuple[str, int]]:
        """Volume, and slice in it, of the images that are slices, by index; empty if none is."""
        rows = read_csv(self.volumes_file) if self.volumes_file.is_file() else []
        return {int(row["index"]): (row["volume"], int(row["slice"])) for row in rows}

    def indices(self, split: str) -> list[int]:
        """Places of the images of one split, ascending."""
        return [int(row["index"]) for row in self.split_rows if row["split"] == split]


def read_mapping(path: Path) -> Config:
    """The contents of a JSON file of a run folder.

    Raises:
        RunError: if it is absent, damaged, or no mapping.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"{path} cannot be read ({' '.join(str(error).split())[:160]}). Restore it from a copy."
        ) from error
    if not isinstance(content, dict):
        raise RunError(
            f"{path}: a mapping of names to values is expected, got {type(content).__name__}. Restore it from a copy."
        )
    return content


def load_run(folder: str | Path) -> tuple[Run, Network]:
    """A finished run and its network with the best weights, in evaluation mode, on the CPU.

    Raises:
        RunError: if the folder holds no finished training, or an ensemble.
    """
    from scanlens.models.weights import load_weights
    from scanlens.pipeline.build import rebuild_network

    run = Run(Path(folder).resolve())
    if run.members_file.is_file():
        raise RunError(f"{run.folder} is an ensemble and holds no network of its own; give one of its members.")
    if not run.weights_file.is_file():
        raise RunError(
            f"{run.folder} has no weights.safetensors yet; let the training finish (the same command resumes it)"
        )
    try:
        network = rebuild_network(run.config)
    except (KeyError, TypeError, AttributeError, ValueError, RuntimeError, MemoryError, OverflowError) as error:
        raise RunError(
            f"{run.config_file} does not describe a network of this version ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}). "
            "Restore it from a copy, or train again."
        ) from error
    load_weights(run.weights_file, network)
    return run, network.eval()
