"""What the choices of a run say of new images and patients: calibrated probabilities, a call, a set, a referral.

Calibration, threshold, sets and referral were chosen on the validation split of the run and are used as they are. A
threshold of patients is for probabilities joined by the rule of the run: images of a patient get no call of their own, and
a picture of nobody known counts as a patient with one image. Sets and referral are of images.

Legend of axes: N images, K classes, n images of one patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.decisions import stored_points
from scanlens.evaluation.operating_point import OperatingPoint
from scanlens.evaluation.target_class import TargetClass
from scanlens.pipeline.external.stored import PARTS, Chosen, nothing_chosen, read_chosen
from scanlens.pipeline.new_patients import Judged, NewPatient
from scanlens.pipeline.trust import named_class
from scanlens.runs import Run

UNJUDGED = "the run holds no evaluation.json"
UNCALIBRATED = "it is of calibrated probabilities, and there are none"
IMAGE_COLUMNS = ("score", "threshold", "called", "set", "set_size", "refer")
PATIENT_COLUMNS = ("score", "threshold", "called", "num_called", "num_referred")
WORDS = {True: "positive", False: "negative"}


@dataclass(frozen=True, slots=True)
class Call:
    """What is said of one image or patient; a part that was not chosen is None.

    Args:
        calibrated_K: calibrated probabilities.
        score: that of the class not to miss, which is compared with the threshold.
        is_called: whether it is called positive.
        likely: classes of its set.
        is_referred: whether it should go to a person.
    """

    calibrated_K: Floats | None = None
    score: float | None = None
    is_called: bool | None = None
    likely: tuple[str, ...] | None = None
    is_referred: bool | None = None


class Calls:
    """The choices of a run, ready to be used.

    Args:
        chosen: by the run.
        run: the same run.
    """

    def __init__(self, chosen: Chosen, run: Run) -> None:
        self.chosen, self.names = chosen, list(run.facts["class_names"])
        self.reasons = dict(chosen.reasons)
        if chosen.calibrator is None:
            self.reasons = dict.fromkeys(PARTS, UNCALIBRATED) | self.reasons
        self.point, self.target = self._operating_point(run)

    def _operating_point(self, run: Run) -> tuple[OperatingPoint | None, TargetClass | None]:
        """None for both, and the reason noted, where nobody can be called."""
        if "decisions" in self.reasons:
            return None, None
        point, (target, reason) = stored_points(self.chosen.judged["decisions"])[0], named_class(run.config, self.names)
        if reason := point.reason or reason:
            self.reasons["decisions"] = reason
            return None, None
        return point, target

    @property
    def is_calibrating(self) -> bool:
        """Whether calibrated probabilities differ from those that the network states."""
        return self.chosen.calibrator is not None and self.chosen.calibrator.method != "none"

    @property
    def is_of_patients(self) -> bool:
        """Whether the threshold is one of patients."""
        return self.point is not None and self.point.unit == "patient"

    def of_images(self, judged: Sequence[Judged]) -> dict[str, Call]:
        """By case; images that could not be read are left out."""
        read = [one for one in judged if one.probabilities_K is not None]
        calibrator = self.chosen.calibrator
        if not read or calibrator is None:
            return {one.case: Call() for one in read}
        calibrated_NK = calibrator.apply(
            np.stack([one.probabilities_K for one in read if one.probabilities_K is not None])
        )
        sets, referral = self.chosen.sets, self.chosen.referral
        in_set_NK = None if sets is None else sets.sets(calibrated_NK)
        referred_N = None if referral is None else referral.refers(calibrated_NK)
        found = {}
        for n, one in enumerate(read):
            row_12 = self._against_others(calibrated_NK[n : n + 1])
            is_called_here = not self.is_of_patients or one.image.unit is None
            found[one.case] = Call(
                calibrated_K=calibrated_NK[n],
                score=None if row_12 is None else float(row_12[0, 1]),
                is_called=self._is_called(row_12) if is_called_here else None,
                likely=None if in_set_NK is None else tuple(np.array(self.names)[in_set_NK[n]].tolist()),
                is_referred=None if referred_N is None else bool(referred_N[n]),
            )
        return found

    def of_patient(self, patient: NewPatient, images: Mapping[str, Call]) -> Call:
        """The patient as a whole, from the calls of his images; empty if none was read or calibrated."""
        rows = [images[one.case].calibrated_K for one in patient.read]
        known = [row_K for row_K in rows if row_K is not None]
        if not known:
            return Call()
        rule, positive = self.chosen.plan.choice.rule, self.chosen.plan.positive
        calibrated_nK = np.stack(known)
        binary_n2 = self._against_others(calibrated_nK)
        joined = None if binary_n2 is None else rule.pool(binary_n2, positive=None if positive is None else 1)[None]
        return Call(
            calibrated_K=rule.pool(calibrated_nK, positive=positive),
            score=None if joined is None else float(joined[0, 1]),
            is_called=self._is_called(joined) if self.is_of_patients else None,
        )

    def image_row(self, call: Call) -> dict[str, Any]:
        """Columns `calibrated_<class>` and IMAGE_COLUMNS of one image."""
        likely = call.likely
        return {
            **self._row(call),
            "set": None if likely is None else "|".join(likely),
            "set_size": None if likely is None else len(likely),
            "refer": None if call.is_referred is None else ("yes" if call.is_referred else "no"),
        }

    def patient_row(self, patient: NewPatient, call: Call, images: Mapping[str, Call]) -> dict[str, Any]:
        """Columns `calibrated_<class>` and PATIENT_COLUMNS of one patient."""
        own = [images[one.case] for one in patient.read]
        counts = {"num_called": [one.is_called for one in own], "num_referred": [one.is_referred for one in own]}
        return {
            **self._row(call),
            **{name: None if None in given or not given else sum(map(bool, given)) for name, given in counts.items()},
        }

    def columns(self) -> list[str]:
        """Of calibrated probabilities."""
        return [f"calibrated_{name}" for name in self.names]

    def _row(self, call: Call) -> dict[str, Any]:
        row_K = [None] * len(self.names) if call.calibrated_K is None else [f"{p:.9g}" for p in call.calibrated_K]
        threshold = None if self.point is None or call.is_called is None else self.point.threshold
        return {
            **dict(zip(self.columns(), row_K, strict=True)),
            "score": None if call.score is None else f"{call.score:.9g}",
            "threshold": None if threshold is None else f"{threshold:.9g}",
            "called": None if call.is_called is None else WORDS[call.is_called],
        }

    def _against_others(self, calibrated_NK: Floats) -> Floats | None:
        if self.target is None:
            return None
        return self.target.against_others(calibrated_NK, np.zeros(len(calibrated_NK), dtype=np.int64))[0]

    def _is_called(self, row_12: Floats | None) -> bool | None:
        if self.point is None or row_12 is None:
            return None
        return bool(self.point.decide(row_12[:, 1], row_12.argmax(axis=1) == 1)[0])


def read_calls(run: Run) -> Calls:
    """The choices of a run; of one that was never judged nothing but the mean as the rule for patients.

    Raises:
        RunError: if evaluation.json does not hold what judging writes.
    """
    return Calls(read_chosen(run) if run.evaluation_file.is_file() else nothing_chosen(UNJUDGED), run)
