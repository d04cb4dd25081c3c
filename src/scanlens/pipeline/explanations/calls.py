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
from scanlens.evaluation.operating_point import OperatingPoint
from scanlens.evaluation.target_class import TargetClass
from scanlens.explain.asking import probabilities_of
from scanlens.models.base import Network
from scanlens.pipeline.calls import read_calls
from scanlens.pipeline.explanations.subject import Subject


@dataclass(frozen=True, slots=True)
class Caller:
    """The operating point of a run, applied to images one by one.

    Args:
        network: of the run.
        calibrator: of its probabilities.
        target: the class that must not be missed.
        point: its threshold. Where that is one of patients, an image is judged like a patient who has no other.
    """

    network: Network
    calibrator: Calibrator
    target: TargetClass
    point: OperatingPoint

    def probabilities(self, x_BCHW: Tensor) -> Floats:
        """Calibrated probabilities of the classes, p_BK."""
        return self.calibrator.apply(probabilities_of(self.network, x_BCHW).numpy())

    def is_called(self, calibrated_BK: Floats) -> NDArray[np.bool_]:
        """Whether each image is called positive, from its calibrated probabilities."""
        nobody_B = np.zeros(len(calibrated_BK), dtype=np.int64)
        binary_B2, _ = self.target.against_others(calibrated_BK, nobody_B)
        return self.point.decide(binary_B2[:, 1], binary_B2.argmax(axis=1) == 1)

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
    calls = read_calls(subject.run)
    calibrator = calls.chosen.calibrator
    if calls.point is None or calls.target is None or calibrator is None:
        return None, calls.reasons["decisions"]
    return Caller(subject.network, calibrator, calls.target, calls.point), None
