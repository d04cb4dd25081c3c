"""A finished run judged on test images that were made worse: robustness.json, and pictures of what was done to them.

Only images of the test split are opened: threshold and calibration are those that validation chose before.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scanlens.callbacks.predictions import index_of
from scanlens.data.degradation import degraded
from scanlens.data.degradation_kinds import KINDS
from scanlens.data.module import EVALUATION_BATCH, ScanData
from scanlens.errors import RunError
from scanlens.evaluation.binary_view import BinaryView, Join, matching_views
from scanlens.evaluation.calibrator import Calibrator
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import Interval, entry
from scanlens.evaluation.operating_point import sensitivity_and_specificity
from scanlens.evaluation.patients import patient_level
from scanlens.evaluation.robustness import Answers, JudgedImages, robustness_point
from scanlens.evaluation.target_class import TargetClass
from scanlens.files import write_json
from scanlens.models.base import Network
from scanlens.pipeline import only_writer, stages_done
from scanlens.pipeline.patients import Predicted, read_predicted, rule_of
from scanlens.pipeline.progress import progress_bar
from scanlens.pipeline.run_images import open_data
from scanlens.pipeline.trust import binary_predictions, named_class
from scanlens.report.folder import ROBUSTNESS_VERSION
from scanlens.report.page import write_report
from scanlens.report.robustness_sentences import robustness_sentences
from scanlens.report.sheets import row_png
from scanlens.runs import Config, Run, load_run

log = logging.getLogger(__name__)
MAX_DISAGREEMENT = 0.01  # of probabilities, between those written and those of today; processors round differently
Transform = Callable[[Tensor, Sequence[int]], Tensor]


def robustness(run_dir: Path, *, kinds: Sequence[str]) -> Config:
    """Judge a finished run, write robustness.json and pictures into its folder, and its page again.

    Args:
        run_dir: folder of a finished run.
        kinds: of `KINDS`.

    Returns:
        The contents of robustness.json (see `judged_robustness`).

    Raises:
        RunError: if it is no finished run of a classifier with test images, or no longer says what it said.
    """
    run, network = load_run(run_dir)
    if run.facts["task"] != "classification":
        raise RunError(f"{run.folder} holds an autoencoder, which answers nothing. Give the run of a classifier.")
    if "judge" not in stages_done(run):
        raise RunError(f"{run.folder} is not finished; let the training finish (the same command resumes it)")
    if run.facts["hardware"]["accelerator"] == "gpu" and torch.cuda.is_available():
        network.to("cuda")
    with only_writer(run.folder):
        content = write_robustness(run, network, open_data(run), kinds=kinds)
        if run.report_file.is_file():
            write_report(run.folder)
    log.info("%s\n\nwritten to %s", "\n".join(robustness_sentences(content)), run.robustness_file)
    return content


def write_robustness(run: Run, network: Network, data: ScanData, *, kinds: Sequence[str]) -> Config:
    """Write robustness.json and the pictures of a judged run; what lies there is replaced."""
    content = judged_robustness(run, network, data, kinds=kinds)
    write_json(run.robustness_file, content)
    _write_examples(run, data, kinds)
    return content


def judged_robustness(run: Run, network: Network, data: ScanData, *, kinds: Sequence[str]) -> Config:
    """The contents of robustness.json.

    Returns:
        `plain` (the images as they are: see `robustness_point`, and `sensitivity` at the operating point) and, under
        `kinds`, of each its `title`, `unit`, `shown` (factor to the unit), `about` and `points`: the same at each `strength`, the
        first 0. Beside them `num_images`, `num_patients`, `positive` and `unit` of the operating point.

    Raises:
        RunError: if there is no test image, or the network no longer gives the predictions that were written.
    """
    test = read_predicted(run, "test")
    if not test.rows:
        raise RunError(f"{run.folder} has no predictions of test images; nothing can be judged")
    judge = _Judge(run, test)
    index_N = [index_of(row) for row in test.rows]
    plain_NK = _probabilities(network, data, index_N, lambda x_BCHW, index_B: x_BCHW)
    _refuse_other_predictions(run, plain_NK, test.probabilities_NK)
    plain = judge.answers(plain_NK)
    start = judge.point(plain, plain)
    content = _head(run, test, judge) | {"plain": start, "kinds": {}}
    with progress_bar("robustness", total=sum(len(KINDS[name].strengths) for name in kinds)) as advance:
        for name in kinds:
            points = [{"strength": 0.0} | start]
            for strength in KINDS[name].strengths:
                worse_NK = _probabilities(network, data, index_N, _worse(run, name, strength))
                points.append({"strength": strength} | judge.point(judge.answers(worse_NK), plain))
                advance(1)
            kind = KINDS[name]
            told = {"title": kind.title, "unit": kind.unit, "shown": kind.shown, "about": kind.about}
            content["kinds"][name] = told | {"points": points}
    return content


def _head(run: Run, test: Predicted, judge: _Judge) -> Config:
    return {
        "schema_version": ROBUSTNESS_VERSION,
        "seed": run.config["seed"],
        "num_images": len(test.rows),
        "num_patients": test.units.num_known or None,
        "resampled": test.units.resampled,
        "positive": judge.chosen.get("positive"),
        "unit": judge.chosen.get("unit"),
        "calibration": judge.calibrator.method,
    }


class _Judge:
    """What the run decided before: calibration, threshold, rule for patients; and whom it is asked about."""

    def __init__(self, run: Run, test: Predicted) -> None:
        self.run, self.test = run, test
        self.evaluation = json.loads(run.evaluation_file.read_text(encoding="utf-8"))
        names = run.facts["class_names"]
        stored = ((self.evaluation.get("calibration") or {}).get("choice") or {}).get("calibrator")
        self.calibrator = Calibrator("none", len(names)) if stored is None else Calibrator.from_dict(stored)
        self.chosen: Config = (self.evaluation.get("decisions") or {}).get("chosen") or {}
        self.target = named_class(run.config, names)[0] if self.chosen else None
        self.tested = JudgedImages(
            target_N=test.target_N,
            class_names=names,
            patients=test.patients,
            groups=test.groups,
            seed=run.config["seed"],
            num_resamples=run.config["callbacks"]["bootstrap_resamples"],
        )

    def answers(self, stated_NK: Floats) -> Answers:
        return Answers(stated_NK, self.calibrator.apply(stated_NK))

    def point(self, answers: Answers, plain: Answers) -> dict[str, Any]:
        found = robustness_point(answers, plain, self.tested, is_plain=answers is plain)
        return found | {"sensitivity": self._sensitivity(answers.calibrated_NK)}

    def _sensitivity(self, calibrated_NK: Floats) -> dict[str, Any]:
        if self.target is None or self.chosen.get("reason"):
            why = self.chosen.get("reason") or "the run has no operating point"
            return entry(None, Interval(None, None), remark=why)
        view = self._view(calibrated_NK, self.target)
        threshold = self.chosen["threshold"]
        is_called_U = view.is_named_U if threshold is None else view.score_U >= threshold
        return sensitivity_and_specificity(view, is_called_U)[0]

    def _view(self, calibrated_NK: Floats, target: TargetClass) -> BinaryView:
        """Patients or images, as when the threshold was chosen."""
        rule, positive = rule_of(self.evaluation, self.run.facts["class_names"])
        by_patient: Join = partial(patient_level, rule=rule, positive=None if positive is None else 1)
        return matching_views(
            None,
            binary_predictions(self.test, target, calibrated_NK),
            class_names=target.names,
            positive=target.name,
            join=by_patient if self.chosen["unit"] == "patient" else _no_patients,
        )[1]


def _no_patients(*_: object) -> tuple[None, str]:
    return None, "the threshold was chosen for images"


def _worse(run: Run, kind: str, strength: float) -> Transform:
    fill = run.config["augment"].get("fill", "zeros")
    return lambda x_BCHW, index_B: degraded(x_BCHW, kind, strength, seed=run.config["seed"], index_B=index_B, fill=fill)


def _probabilities(network: Network, data: ScanData, index_N: Sequence[int], change: Transform) -> Floats:
    """What the network says of these images, changed first, in their order."""
    device = next(network.parameters()).device
    found = []
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            for index_B in _batches(index_N):
                x_BCHW = torch.stack([data.image_and_mask(index)[0] for index in index_B])
                logits_BK = network(change(x_BCHW, index_B).to(device))
                found.append(logits_BK.double().softmax(dim=1).cpu().numpy())
    finally:
        network.train(was_training)
    return np.concatenate(found)


def _batches(index_N: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(index_N), EVALUATION_BATCH):
        yield list(index_N[start : start + EVALUATION_BATCH])


def _refuse_other_predictions(run: Run, now_NK: Floats, written_NK: Floats) -> None:
    difference = float(np.abs(now_NK - written_NK).max())
    if difference > MAX_DISAGREEMENT:
        raise RunError(
            f"{run.folder}: the network gives other predictions than those in predictions/test.csv (by up to "
            f"{difference:.3f}): weights, predictions or decoded images changed since. Restore them, or train again."
        )


def _write_examples(run: Run, data: ScanData, kinds: Sequence[str]) -> None:
    """For each kind a row of one test image, as it is and at every strength."""
    index = run.indices("test")[0]
    x_1CHW = data.image_and_mask(index)[0].unsqueeze(0)
    run.robustness.mkdir(exist_ok=True)
    for name in kinds:
        worse = [_worse(run, name, strength)(x_1CHW, [index])[0] for strength in (0.0, *KINDS[name].strengths)]
        row_png([x_CHW.numpy() for x_CHW in worse], run.robustness / f"{name}.png")
