"""The networks of a cross-validation taken together on new images, which none of them has seen."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scanlens.data.preprocess import Preprocess
from scanlens.errors import RunError
from scanlens.evaluation.uncertainty import together
from scanlens.files import write_csv
from scanlens.models.base import Network
from scanlens.pipeline.decode import privacy_plan
from scanlens.pipeline.fold_runs import folds_in
from scanlens.pipeline.folders import timed_folder
from scanlens.pipeline.intake import Intake
from scanlens.pipeline.lineage.new_images import mark_seen
from scanlens.pipeline.new_patients import Judged, join_images_of
from scanlens.pipeline.patients import rule_of
from scanlens.pipeline.predict import PLACE, judge_images
from scanlens.pipeline.uncertainty import ENTROPY, INFORMATION
from scanlens.runs import Run, load_run

log = logging.getLogger(__name__)


def fold_ensemble(folder: Path, paths: Sequence[Path]) -> Path:
    """Judge new images by the mean of all folds' networks; tables go into `new/<time>` of the folder.

    `predictions.csv` has a row for each picture and slice: mean probabilities, their entropy and the mutual information in
    nats; `patients.csv` one for each patient or volume, by the rule of the first fold.

    Args:
        folder: of the cross-validation.
        paths: files or folders of new images.

    Returns:
        The folder that was written.

    Raises:
        RunError: the folds are not whole, hold no classifier, or any of them was trained on one of the images.
    """
    runs = [fold.run for fold in folds_in(folder)]
    if runs[0].facts["task"] != "classification":
        raise RunError(f"{folder} holds autoencoders, which have no classes to predict. Give folds of a classifier.")
    names = runs[0].facts["class_names"]
    intake = Intake(runs[0].config["data"], runs[0].facts["color"], privacy=privacy_plan(runs[0].config))
    images = list(intake.images(paths))
    judged = []
    for run in runs:
        network: Network = load_run(run.folder)[1]
        judged.append(judge_images(network, images, Preprocess(**run.facts["preprocess"])))
        _refuse_seen(run, judged[-1])
    rows = _joined(judged, names)
    out = timed_folder(folder / "new")
    write_csv(
        out / "predictions.csv",
        [*PLACE, "predicted", *(f"prob_{name}" for name in names), ENTROPY, INFORMATION, "reason"],
        rows,
        private=True,
    )
    rule, positive = rule_of(json.loads(runs[0].evaluation_file.read_text(encoding="utf-8")), names)
    patients = [one.row(names) for one in join_images_of(judged[0], rule, positive=positive)]
    if patients:
        write_csv(out / "patients.csv", list(patients[0]), patients, private=True)
    log.info(
        "%d images by the mean of %d networks\nwritten to %s\nFor research, not for diagnosis.",
        len(images),
        len(runs),
        out,
    )
    return out


def _refuse_seen(run: Run, judged: Sequence[Judged]) -> None:
    """New images must be new to every network."""
    for note in mark_seen(run, judged):
        log.warning("%s: %s", run.folder.name, note)
    known = sum(bool(one.seen) for one in judged)
    if known:
        raise RunError(
            f"the network of fold {run.folder.name} was trained on, or chosen by, {known} of {len(judged)} images or their "
            "patients; folds are taken together on images that none of them has seen. Leave these out."
        )


def _joined(judged: Sequence[Sequence[Judged]], names: Sequence[str]) -> list[dict[str, object]]:
    """Rows of the table; the first network's images get the mean as theirs."""
    first = judged[0]
    read = [n for n, one in enumerate(first) if one.probabilities_K is not None]
    if not read:
        raise RunError(f"none of {len(first)} images can be read, such as {first[0].case}: {first[0].reason}")
    found = together(np.array([[one[n].probabilities_K for n in read] for one in judged], dtype=np.float64))
    told: list[dict[str, object]] = [{} for _ in first]
    for place, n in enumerate(read):
        first[n].probabilities_K = np.asarray(found.probabilities_NK[place])
        told[n] = {
            ENTROPY: f"{found.entropy_N[place]:.9g}",
            INFORMATION: f"{found.mutual_information_N[place]:.9g}",
        }
    rows = [{**one.row(names), **more} for one, more in zip(first, told, strict=True)]
    return [{name: cell for name, cell in row.items() if name != "seen_in_training"} for row in rows]
