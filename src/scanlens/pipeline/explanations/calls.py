"""Whether a single image is called positive, by what the run chose on validation: calibration and threshold, frozen.

Legend: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scanlens.evaluation.calibrator import Calibrator
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.decisions import stored_points
from scanlens.evaluation.target_class import TargetClass
from scanlens.explain.asking import probabilities_of
from scanlens.models.base import Network
from scanlens.pipeline.explanations.subject import Subject
from scanlens.pipeline.external.stored import read_chosen
from scanlens.pipeline.trust import named_class


@dataclass(frozen=True, slots=True)
class Caller:
    """The operating point of a run, applied to images one by one.

    Args:
        network: of the run.
        calibrator: of its probabilities.
        target: the class that must not be missed.
        threshold: called are calibrated probabilities of it or above; None: called is what is more probable than not.
        unit: what the threshold was chosen for. An image by itself is judged like a patient who has no other.
    """

    network: Network
    calibrator: Calibrator
    target: TargetClass
    threshold: float | None
    unit: str

    def probabilities(self, x_BCHW: Tensor) -> Floats:
        """Calibrated probabilities of the classes, p_BK."""
        return self.calibrator.apply(probabilities_of(self.network, x_BCHW).numpy())

    def is_called(self, calibrated_BK: Floats) -> NDArray[np.bool_]:
        """Whether each image is called positive, from its calibrated probabilities."""
        score_B = np.clip(calibrated_BK[:, list(self.target.members)].sum(axis=1), 0, 1)
        return score_B > 0.5 if self.threshold is None else score_B >= self.threshold

    def explained(self, calibrated_BK: Floats) -> NDArray[np.int64]:
        """The class to explain of each image: of those that must not be missed the most probable one."""
        members = np.array(self.target.members)
        return np.asarray(members[calibrated_BK[:, members].argmax(axis=1)])

    def is_negative(self, targets: Sequence[str], class_names: Sequence[str]) -> list[bool]:
        """Whether each label is none of the classes that must not be missed."""
        names = {class_names[k] for k in self.target.members}
        return [one not in names for one in targets]


def open_caller(subject: Subject) -> tuple[Caller | None, str | None]:
    """The operating point, or None and why there is none."""
    run = subject.run
    target, reason = named_class(run.config, run.facts["class_names"])
    chosen = read_chosen(run)
    reason = reason or chosen.reasons.get("decisions")
    if target is None or reason:
        return None, reason
    point = stored_points(chosen.judged["decisions"])[0]
    if point.reason is not None:
        return None, point.reason
    calibrator = chosen.calibrator or Calibrator("none", len(run.facts["class_names"]))
    return Caller(subject.network, calibrator, target, point.threshold, point.unit), None
