"""How well an autoencoder of another run gives cases back, among its own validation images.

Legend of axes: N validation images of the autoencoder, B cases.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scanlens.errors import RunError, ScanlensError
from scanlens.evaluation.anomaly import anomaly_score
from scanlens.evaluation.input_checks import range_check
from scanlens.files import read_csv
from scanlens.models.base import Network
from scanlens.pipeline.context.batch import Batch
from scanlens.pipeline.lineage import Images, seen
from scanlens.pipeline.lineage.memory import Lineage
from scanlens.pipeline.lineage.stored import read_lineage
from scanlens.runs import Config, Run, load_run

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Anomaly:
    """A trained autoencoder and what its errors usually are.

    Args:
        network: in evaluation mode.
        reference_N: mean squared errors of its validation images of normal classes.
        lineage: what it was trained on; None if not known.
        name: of its run folder.
    """

    network: Network
    reference_N: NDArray[np.float64]
    lineage: Lineage | None
    name: str

    def of(self, batch: Batch) -> list[dict[str, Any]]:
        """For each case the mean squared error of its reconstruction and where it lies among the reference."""
        x_BCHW = batch.x_BCHW.to(next(self.network.parameters()).device)
        with torch.inference_mode():
            error_B = (self.network(x_BCHW) - x_BCHW).square().flatten(1).mean(dim=1).double().cpu().numpy()
        usual_N = anomaly_score(self.reference_N, self.reference_N)
        found = []
        for place, (error, score) in enumerate(
            zip(error_B.tolist(), anomaly_score(error_B, self.reference_N).tolist(), strict=True)
        ):
            check = range_check("reconstruction_error", error, self.reference_N)
            found.append(
                {
                    "error": error,
                    "percentile": check.percentile,
                    "two_sided": check.two_sided,
                    "score": score,
                    "is_beyond": range_check("score", score, usual_N, is_distance=True).is_beyond,
                    "seen_in_training": self._was_seen(batch, place),
                }
            )
        return found

    def about(self) -> dict[str, Any]:
        """What is told once of all cases."""
        return {"run": self.name, "num_reference": len(self.reference_N), "reason": None}

    def _was_seen(self, batch: Batch, place: int) -> bool | None:
        if self.lineage is None:
            return None
        one = batch.cases[place]
        return bool(seen(self.lineage, Images([one.pixel_hash], [one.patient])).words()[0])


def open_anomaly(config: Config, facts: Config) -> tuple[Anomaly | None, dict[str, Any]]:
    """The autoencoder that `callbacks.anomaly_run` names, and what is told of it; refused with the reason where it does not fit.

    Args:
        config: of the run whose cases are judged.
        facts: of the same.
    """
    wanted = config["callbacks"].get("anomaly_run")
    if not wanted:
        return None, {"run": None, "num_reference": 0, "reason": "no autoencoder was named (callbacks.anomaly_run)"}
    try:
        found = _opened(Path(str(wanted)).expanduser(), facts)
    except (ScanlensError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("callbacks.anomaly_run=%s has no effect: %s", wanted, error)
        reason = (
            str(error) if isinstance(error, _Unfit) else "it could not be opened as a finished run; the log says why"
        )
        return None, {"run": None, "num_reference": 0, "reason": f"callbacks.anomaly_run was refused: {reason}"}
    return found, found.about()


class _Unfit(RunError):
    """The run is no autoencoder that could say anything; its words name no path."""


def _opened(folder: Path, facts: Config) -> Anomaly:
    run, network = load_run(folder)
    if run.facts["task"] != "reconstruction":
        raise _Unfit("it is a classifier; an autoencoder is needed (model=autoencoder)")
    differing = [
        f"{name} {run.facts['preprocess'].get(name)!r} instead of {value!r}"
        for name, value in facts["preprocess"].items()
        if run.facts["preprocess"].get(name) != value
    ]
    if differing:
        raise _Unfit(f"it prepares images otherwise ({', '.join(differing)}), so errors cannot be compared")
    reference_N = _reference(run)
    if not len(reference_N):
        raise _Unfit("it has no validation images of its normal classes, so no error is known to be usual")
    lineage = read_lineage(run.lineage_file) if run.lineage_file.exists() else None
    return Anomaly(network.eval(), reference_N, lineage, run.folder.name)


def _reference(run: Run) -> NDArray[np.float64]:
    path, normal = run.predictions / "val.csv", run.config["task"].get("train_on")
    if not path.is_file():
        return np.zeros(0)
    errors = [float(row["mse"]) for row in read_csv(path) if not normal or row["target"] in normal]
    return np.array([error for error in errors if np.isfinite(error)])
