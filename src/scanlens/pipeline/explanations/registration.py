"""Do the maps of a run lie beside the evidence, always the same way? Measured without masks on validation images.

Half of the validation patients measure the offset, the other half says whether moving the map helps. Whether hits on
marked lesions of the test split improve as well is told beside it, and decides nothing.

Legend: N images, B images of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.explanations.registration import Move, judged_move, paired_change
from scanlens.evaluation.resampling import PatientGroups, group_patients
from scanlens.explain.base import Explainer
from scanlens.explain.measure import pointing_hit
from scanlens.explain.registration import (
    REFERENCE,
    Reference,
    largest_shift,
    map_peaks,
    reference_of,
    registered,
    sigma_for,
)
from scanlens.pipeline.explanations.subject import Mask, Subject
from scanlens.pipeline.patients import Predicted, groups_in_split
from scanlens.pipeline.trust import named_class
from scanlens.report.explanations.registration import sentences
from scanlens.runs import Run

Row = dict[str, str]
BATCH = 8


def measure(subject: Subject) -> dict[str, Any]:
    """The contents of registration.json, or `reason` alone."""
    cellular = _cellular(subject, subject.explainers)
    if not cellular:
        return {"reason": "no method of this run makes maps of cells that explain a class"}
    rows, about = told_rows(subject.run, subject.val)
    if not rows:
        return {"reason": f"no validation image is {about}"}
    drawn = subject.drawn(rows)
    reference = _reference(subject, drawn)
    methods = {one.name: _of_method(subject, one, drawn, reference) for one in cellular}
    return {
        "reference": REFERENCE,
        "images": about,
        "num_images": len(drawn),
        "applied": {one.name: list(one.shift_yx) for one in subject.explainers if one.shift_yx != (0.0, 0.0)},
        "methods": methods,
    }


def lines(content: dict[str, Any]) -> list[str]:
    """What the terminal says."""
    return sentences(content)


def measured_moves(subject: Subject, explainers: Sequence[Explainer]) -> dict[str, dict[str, Any]]:
    """What is decided about each method whose map has cells, by its name (see `Move`); none without validation images."""
    rows, _ = told_rows(subject.run, subject.val)
    cellular = _cellular(subject, explainers)
    if not rows or not cellular:
        return {}
    drawn = subject.drawn(rows)
    reference = _reference(subject, drawn)
    return {one.name: _measured_move(subject, one, drawn, reference)[0].as_dict() for one in cellular}


def told_rows(run: Run, predicted: Predicted) -> tuple[list[Row], str]:
    """The rows whose maps have a place to point to, and what they are: rightly named as the class not to be missed.

    Without such a class all rightly named ones are taken.
    """
    right = [row for row in predicted.rows if row["predicted"] == row["target"]]
    target, _ = named_class(run.config, run.facts["class_names"])
    if target is None:
        return right, "rightly named"
    members = {run.facts["class_names"][k] for k in target.members}
    return [row for row in right if row["predicted"] in members], f"rightly named as '{target.name}'"


def units_of(run: Run, rows: Sequence[Row]) -> PatientGroups:
    """Who these images belong to."""
    return group_patients(
        [row["patient"] or None for row in rows], np.zeros(len(rows), dtype=np.int64), groups=groups_in_split(run, rows)
    )


def _reference(subject: Subject, rows: Sequence[Row]) -> Reference:
    x_NCHW, _ = subject.images(rows)
    return reference_of(subject.network, x_NCHW, subject.classes(rows))


def _measured_move(
    subject: Subject, explainer: Explainer, rows: Sequence[Row], reference: Reference
) -> tuple[Move, dict[str, Any]]:
    """The offset of one method on these validation images and whether it is to be moved; and what was held against what."""
    x_NCHW, _ = subject.images(rows)
    map_N2, geometry = map_peaks(explainer, subject.network, x_NCHW, subject.classes(rows))
    reference_N2 = reference.peaks(sigma_px=sigma_for(geometry))
    largest_px = largest_shift(geometry, (x_NCHW.shape[2], x_NCHW.shape[3]))
    units = units_of(subject.run, rows)
    move = judged_move(map_N2, reference_N2, units, largest_px=largest_px, seed=subject.seed)
    return move, {
        "title": explainer.title,
        "cell_px": list(geometry.jump_yx),
        "largest_px": largest_px,
        "sigma_px": sigma_for(geometry),
    }


def _of_method(subject: Subject, explainer: Explainer, rows: Sequence[Row], reference: Reference) -> dict[str, Any]:
    move, facts = _measured_move(subject, explainer, rows, reference)
    hits = None if move.shift_yx is None else _hits(subject, explainer, registered(explainer, move.shift_yx))
    return facts | move.as_dict() | {"hits": hits}


def _hits(subject: Subject, plain: Explainer, moved: Explainer) -> dict[str, Any] | None:
    """The pointing game on rightly named test images with a mask, as it is and moved; None without masks."""
    rows, _ = told_rows(subject.run, subject.test)
    masked = subject.data.cached.has_mask
    drawn = subject.drawn([row for row in rows if masked[int(row["case"].rpartition("-")[2])]])
    if not drawn:
        return None
    x_NCHW, masks = subject.images(drawn)
    target_N = subject.classes(drawn)
    before_N, after_N = (_hit_values(one, subject.network, x_NCHW, target_N, masks) for one in (plain, moved))
    return paired_change(before_N, after_N, units_of(subject.run, drawn))


def _hit_values(
    explainer: Explainer, network: nn.Module, x_NCHW: Any, target_N: Any, masks: Sequence[Mask | None]
) -> Floats:
    """1, 0 or the expected value of ties for each image; NaN where nothing is marked."""
    values = []
    for start in range(0, len(masks), BATCH):
        chosen = slice(start, start + BATCH)
        found = explainer.explain(network, x_NCHW[chosen], target_N[chosen])
        for map_HW, is_blank, mask_HW in zip(found.map_BHW.numpy(), found.is_blank_B, masks[chosen], strict=True):
            hit = None if mask_HW is None else pointing_hit(map_HW, mask_HW)
            values.append(np.nan if hit is None else 0.0 if is_blank else hit)
    return np.array(values, dtype=np.float64)


def _cellular(subject: Subject, explainers: Sequence[Explainer]) -> list[Explainer]:
    """The methods that explain a class at a layer, not moved; those on pixels, like the reference, cannot be off."""
    x_1CHW, _ = subject.images((subject.val.rows or subject.test.rows)[:1])
    plain = [registered(one, (0.0, 0.0)) for one in explainers if one.needs_class]
    return [one for one in plain if one.explain(subject.network, x_1CHW).layer != "input"]
