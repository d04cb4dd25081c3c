"""Why the predicted class and not the next one: the map of a case against its runner-up, by the first method of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scanlens.callbacks.case_maps import explain_cases
from scanlens.errors import ExplainError
from scanlens.explain.base import Explainer
from scanlens.explain.contrast import Contrast
from scanlens.explain.measure import peak_yx
from scanlens.explain.target import difference, runner_up
from scanlens.models.base import Network
from scanlens.pipeline.context.batch import Batch
from scanlens.report.pictures import save_map

TWO_CLASSES = "with two classes the map of the case is the map against the other class"


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """Makes the maps.

    Args:
        explainer: the first method of the run.
        network: a classifier.
        class_names: in the order of the logits.
        folder: receives `<case>_<method>_runner_up.npz`.
    """

    explainer: Explainer
    network: Network
    class_names: Sequence[str]
    folder: Path

    @property
    def reason(self) -> str | None:
        """Why there is no such map; None if there is."""
        if len(self.class_names) < 3:
            return TWO_CLASSES
        if isinstance(self.explainer, Contrast):
            return "the map of the case is set against one class already"
        if not self.explainer.needs_class:
            return f"{self.explainer.title} explains no class"
        return None

    def about(self) -> dict[str, Any]:
        """What is told once of all cases."""
        unit = "log-odds between the predicted class and the runner-up"
        return {"method": self.explainer.name, "title": self.explainer.title, "unit": unit, "reason": self.reason}

    def of(self, batch: Batch) -> list[dict[str, Any] | None]:
        """For each case the runner-up, its probability, by how much it lost, and what is said of the map; None for none."""
        if self.reason is not None:
            return [None] * len(batch.cases)
        target_B = torch.tensor([one.predicted for one in batch.cases])
        rival_B = runner_up(batch.logits_BK, target_B)
        lost_by_B = difference(batch.logits_BK, target_B, rival_B)
        probabilities_BK = batch.logits_BK.softmax(dim=1)
        names = [one.case for one in batch.cases]
        maps = explain_cases(
            self.explainer, self.network, range(len(names)), names, target_B.tolist(),
            lambda place: (batch.x_BCHW[place].cpu(), None), against=rival_B.tolist(),
        )  # fmt: skip
        found: list[dict[str, Any] | None] = []
        for place, made in enumerate(maps):
            name = f"{made.case}_{made.method}_runner_up.npz"
            save_map(self.folder / name, map=made.map_HW, cells=made.cells_hw, covered=made.covered_HW, scan=made.scan)
            rival = int(rival_B[place])
            peak = None if made.is_blank else peak_yx(made.evidence_HW)
            found.append(
                {
                    "class": self.class_names[rival],
                    "probability": float(probabilities_BK[place, rival]),
                    "log_odds": float(lost_by_B[place]),
                    "method": made.method,
                    "npz": name,
                    "is_blank": made.is_blank,
                    "max_abs": float(np.abs(made.map_HW).max()),
                    "peak_yx": None if peak is None else [float(value) for value in peak],
                }
            )
        return found


def first_explainer(explainers: Sequence[Explainer]) -> Explainer:
    """The method to be believed first.

    Raises:
        ExplainError: if there is none.
    """
    if not explainers:
        raise ExplainError("the run makes no maps (explain=none)")
    return explainers[0]
