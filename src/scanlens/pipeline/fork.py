"""A run that begins where another ended: with its weights, on its division, with other settings."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

from scanlens.errors import RunError
from scanlens.runs import Config, Run

if TYPE_CHECKING:
    from scanlens.models.base import Network


def forked_from(config: Config) -> Run | None:
    """The run that `fork` names; None where a run begins by itself.

    Raises:
        RunError: if there is no run with trained weights.
    """
    if not config.get("fork"):
        return None
    run = _run(config)
    if not (run.weights_file.is_file() and run.split_file.is_file()):
        raise RunError(
            f"fork={config['fork']}: no finished training lies in {run.folder}. Give the folder of a run, such as outputs/RUN_ID."
        )
    return run


def with_its_division(config: Config) -> Config:
    """The configuration of a forked run: it is tested on the images of the former, which those weights have not seen."""
    if not config.get("fork") or config["split"].get("file"):
        return config
    config = copy.deepcopy(config)
    config["split"]["file"] = str(_run(config).split_file)
    return config


def begin_as(run: Run, network: Network) -> str:
    """Fill a network with the weights of the run that it is forked from, and say so in a line.

    Raises:
        ModelError: if they belong to another network.
    """
    from scanlens.models.weights import load_weights

    load_weights(run.weights_file, network)
    return f"those of run {run.folder.name}"


def _run(config: Config) -> Run:
    return Run(Path(config["fork"]).expanduser().resolve())
