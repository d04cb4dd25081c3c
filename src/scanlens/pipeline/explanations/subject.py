"""What every part of the test of explanations looks at: a finished run, its network, its images and its methods.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanlens.callbacks.case_choice import random_order
from scanlens.callbacks.predictions import index_of
from scanlens.data.module import ScanData
from scanlens.errors import RunError
from scanlens.explain.base import Explainer
from scanlens.explain.limits_plan import LimitsPlan
from scanlens.explain.shortcut_plan import ShortcutPlan
from scanlens.models.base import Network
from scanlens.pipeline import stages_done
from scanlens.pipeline.moved_maps import explainers_of
from scanlens.pipeline.patients import Predicted, read_predicted
from scanlens.pipeline.run_images import open_data
from scanlens.runs import Run, load_run

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Subject:
    """A finished run of a classifier, opened.

    Args:
        run: its folder.
        network: with the best weights, in evaluation mode.
        data: its images, as the network gets them.
        max_cases: a part that costs passes for each image looks at no more than so many, drawn at random by the seed.
        shortcut_plan: what the audit of shortcuts was asked beyond what it always asks.
        limits: what the part `limits` tries.
        methods: options of the group `explain` that are compared beside the run's own methods; None for the usual ones.
    """

    run: Run
    network: Network
    data: ScanData
    max_cases: int
    shortcut_plan: ShortcutPlan = field(default_factory=ShortcutPlan)
    limits: LimitsPlan = field(default_factory=LimitsPlan)
    methods: Sequence[str] | None = None

    @property
    def seed(self) -> int:
        return int(self.run.config["seed"])

    @property
    def class_names(self) -> list[str]:
        return list(self.run.facts["class_names"])

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @cached_property
    def explainers(self) -> list[Explainer]:
        """The methods that the run was configured with, the one to be believed first; see `explainers_of`."""
        return explainers_of(self.run, self.network)

    @cached_property
    def test(self) -> Predicted:
        """What the network said of the test images; thresholds were chosen before, on `val`."""
        return read_predicted(self.run, "test")

    @cached_property
    def val(self) -> Predicted:
        return read_predicted(self.run, "val")

    def drawn(self, rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        """At most `max_cases` of these rows of predictions: the same for the same seed, whatever their order."""
        return sorted(rows, key=random_order(self.seed))[: self.max_cases]

    def images(self, rows: Sequence[dict[str, str]]) -> tuple[Tensor, list[Mask | None]]:
        """The images x_BCHW of rows of predictions, on the device of the network, and their masks (H, W) where known."""
        read = [self.data.image_and_mask(index_of(row)) for row in rows]
        return torch.stack([image for image, _ in read]).to(self.device), [mask for _, mask in read]

    def classes(self, rows: Sequence[dict[str, str]], column: str = "predicted") -> Tensor:
        """Class numbers of a column (`predicted` or `target`) of rows of predictions: target_B."""
        return torch.tensor([self.class_names.index(row[column]) for row in rows])


def open_subject(
    run_dir: Path,
    *,
    max_cases: int,
    methods: Sequence[str] | None = None,
    shortcut_plan: ShortcutPlan | None = None,
    limits: LimitsPlan | None = None,
) -> Subject:
    """The finished run in this folder, opened; see `Subject` for the arguments.

    Raises:
        RunError: if it is no finished run of a classifier with test images.
    """
    run, network = load_run(run_dir)
    if run.facts["task"] != "classification":
        raise RunError(f"{run.folder} holds an autoencoder, whose maps explain no class. Give the run of a classifier.")
    if "judge" not in stages_done(run):
        raise RunError(f"{run.folder} is not finished; let the training finish (the same command resumes it)")
    if not run.indices("test"):
        raise RunError(f"{run.folder} has no test images; nothing can be explained")
    if run.facts["hardware"]["accelerator"] == "gpu" and torch.cuda.is_available():
        network.to("cuda")
    return Subject(
        run, network, open_data(run), max_cases, shortcut_plan or ShortcutPlan(), limits or LimitsPlan(), methods
    )
