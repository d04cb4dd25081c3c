"""New volumes explained as a whole: a map on their own voxels, and which slices decide.

Legend: H rows, W columns, S side of the network's image, N slices, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scanlens.callbacks.case_maps import BATCH, CaseMap, explain_cases
from scanlens.data.preprocess import Preprocess
from scanlens.data.volume_overlay import VolumeOverlay
from scanlens.errors import ImageError
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.patient_rules import PatientRule
from scanlens.evaluation.slice_importance import decisive, slice_importance
from scanlens.explain.base import Explainer
from scanlens.files import write_csv
from scanlens.models.base import Network
from scanlens.pipeline.intake import Intake
from scanlens.pipeline.new_patients import Judged
from scanlens.pipeline.progress import progress_bar
from scanlens.report.profiles import importance_png

log = logging.getLogger(__name__)
NUM_DECISIVE = 5
COLUMNS = ("volume", "slice", "case", "class", "probability", "importance", "decisive_rank")


@dataclass(frozen=True, slots=True)
class NewVolume:
    """One volume whose slices were judged.

    Args:
        name: in every output, such as new-00012: the case of its first slice.
        slices: those that could be read, in order.
        k: number of the class that its patient is predicted to be, which is explained.
        importance_N: of each slice for that class, in log-odds (`slice_importance`).
        decisive: places in `slices` of those that speak most for it.
    """

    name: str
    slices: list[Judged]
    k: int
    importance_N: Floats
    decisive: list[int]

    def rows(self, class_names: Sequence[str]) -> list[dict[str, Any]]:
        """Of `slices.csv`."""
        rank = {place: number + 1 for number, place in enumerate(self.decisive)}
        return [
            {
                "volume": one.image.volume,
                "slice": one.image.slice,
                "case": one.case,
                "class": class_names[self.k],
                "probability": f"{_probability(one, self.k):.9g}",
                "importance": f"{self.importance_N[place]:.6f}",
                "decisive_rank": rank.get(place),
            }
            for place, one in enumerate(self.slices)
        ]


def new_volumes(judged: Sequence[Judged], rule: PatientRule, *, positive: int | None) -> list[NewVolume]:
    """The volumes among judged images, each with the slices that decide what is said of it."""
    members: dict[tuple[int, str, str], list[Judged]] = {}
    for one in judged:
        if one.image.volume and one.probabilities_K is not None:
            members.setdefault((one.image.given, one.image.patient, one.image.volume), []).append(one)
    return [_volume(slices, rule, positive) for slices in members.values()]


def _volume(slices: Sequence[Judged], rule: PatientRule, positive: int | None) -> NewVolume:
    ordered = sorted(slices, key=lambda one: one.image.slice or 0)
    probabilities_NK = np.stack([one.probabilities_K for one in ordered if one.probabilities_K is not None])
    k = int(rule.pool(probabilities_NK, positive=positive).argmax())
    importance_N = slice_importance(probabilities_NK, rule, k, positive=positive)
    return NewVolume(ordered[0].case, ordered, k, importance_N, decisive(importance_N, NUM_DECISIVE))


def _probability(one: Judged, k: int) -> float:
    return 0.0 if one.probabilities_K is None else float(one.probabilities_K[k])


def write_slices(volumes: Sequence[NewVolume], class_names: Sequence[str], folder: Path, *, draws: bool) -> None:
    """`slices.csv` and, if it `draws`, for each volume a picture of probability and importance along its slices."""
    if not volumes:
        return
    write_csv(folder / "slices.csv", COLUMNS, [row for one in volumes for row in one.rows(class_names)], private=True)
    for volume in volumes if draws else ():
        importance_png(
            {
                "class": class_names[volume.k],
                "slices": [one.image.slice for one in volume.slices],
                "probabilities": [_probability(one, volume.k) for one in volume.slices],
                "importance": volume.importance_N.tolist(),
                "decisive": [volume.slices[place].image.slice for place in volume.decisive],
            },
            folder / f"{volume.name}_slices.png",
        )


@dataclass(frozen=True, slots=True)
class OverlayWriter:
    """Writes maps of whole NIfTI volumes.

    Args:
        explainer: the method.
        network: in evaluation mode.
        preprocess: of the run.
        intake: knows how volumes are cut.
        folder: receives `<case>_<method>.nii.gz`.
    """

    explainer: Explainer
    network: Network
    preprocess: Preprocess
    intake: Intake
    folder: Path

    def write(self, volumes: Sequence[NewVolume]) -> list[Path]:
        """All slices of every NIfTI volume, explained for the class of its patient; the files that were written."""
        placed = [(volume, path) for volume in volumes if (path := volume.slices[0].image.path) is not None]
        written = []
        with progress_bar("maps of volumes", total=sum(len(volume.slices) for volume, _ in placed)) as advance:
            for volume, path in placed:
                try:
                    written.append(self._write(volume, self.intake.overlay(path), advance))
                except ImageError as error:
                    log.warning("%s: no map of the volume: %s", volume.name, error)
        return written

    def _write(self, volume: NewVolume, overlay: VolumeOverlay, advance: Callable[[int], None]) -> Path:
        for start in range(0, len(volume.slices), BATCH):
            chosen = volume.slices[start : start + BATCH]
            for one, found in zip(chosen, self._maps(chosen, volume.k), strict=True):
                known_SS = np.where(found.covered_HW, found.map_HW, np.float32(np.nan))
                overlay.put(
                    one.image.slice or 0,
                    self.preprocess.placed_back(known_SS, shape_hw=overlay.shape_hw, spacing_mm=overlay.spacing_mm),
                )
            advance(len(chosen))
        path = self.folder / f"{volume.name}_{self.explainer.name}.nii.gz"
        unit = self.explainer.unit
        overlay.write(path, about=f"scanlens {self.explainer.name}, {unit}; NaN: not covered; not for diagnosis")
        return path

    def _maps(self, chosen: Sequence[Judged], k: int) -> list[CaseMap]:
        images = [torch.from_numpy(self.preprocess(one.image.read())) for one in chosen]
        cases, targets = [one.case for one in chosen], [k] * len(chosen)
        return explain_cases(
            self.explainer, self.network, range(len(images)), cases, targets, lambda i: (images[i], None)
        )
