"""Judged new images joined to the volumes and patients they belong to.

Legend of axes: K classes, n images of one patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.patient_rules import PatientRule
from scanlens.pipeline.intake import NewImage
from scanlens.pipeline.patients import verdict


@dataclass(slots=True)
class Judged:
    """A new image and what became of it.

    Args:
        case: its name in every output.
        image: where it came from.
        probabilities_K: of the network; None if it could not be read.
        reason: why it could not be read; else empty.
        pixel_hash: by which it is known again; None if it could not be read or is of one gray value.
        seen: "image" or "patient" if the network was trained on it; else empty.
    """

    case: str
    image: NewImage
    probabilities_K: Floats | None = None
    reason: str = ""
    pixel_hash: bytes | None = None
    seen: str = ""

    def row(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Of `predictions.csv`."""
        image = self.image
        where = {"file": image.file, "patient": image.patient, "volume": image.volume, "slice": image.slice}
        found = {} if self.probabilities_K is None else verdict(self.probabilities_K, class_names)
        return {"case": self.case, **where, **found, "seen_in_training": self.seen, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class NewPatient:
    """A patient, or a volume of nobody known, judged as a whole.

    Args:
        name: as in the images.
        read: his images that could be read.
        unread: the others.
        probabilities_K: by the rule; None if nothing could be read.
    """

    name: str
    read: list[Judged]
    unread: list[Judged]
    probabilities_K: Floats | None

    def row(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Of `patients.csv`."""
        found = {} if self.probabilities_K is None else verdict(self.probabilities_K, class_names)
        counts = {"num_images": len(self.read), "num_unreadable": len(self.unread)}
        return {"patient": self.name, **counts, **found, "reason": "" if self.read else self.unread[0].reason}

    def telling(self, num: int) -> list[Judged]:
        """All pictures, and of each volume the `num` slices with the highest probability of the patient's class."""
        if self.probabilities_K is None:
            return []
        best = int(self.probabilities_K.argmax())
        volumes: dict[str, list[Judged]] = {}
        for one in self.read:
            volumes.setdefault(one.image.volume, []).append(one)
        chosen = [one for one in self.read if not one.image.volume]
        for volume, slices in volumes.items():
            if volume:
                chosen += sorted(slices, key=lambda one: -_probability(one, best))[:num]
        return chosen


def join_images_of(judged: Sequence[Judged], rule: PatientRule, *, positive: int | None) -> list[NewPatient]:
    """Everyone that images belong to, in order of appearance."""
    units: dict[tuple[int, str], list[Judged]] = {}
    for one in judged:
        if one.image.unit is not None:
            units.setdefault(one.image.unit, []).append(one)
    return [_patient(name, members, rule, positive) for (_, name), members in units.items()]


def _patient(name: str, members: Sequence[Judged], rule: PatientRule, positive: int | None) -> NewPatient:
    read = [one for one in members if one.probabilities_K is not None]
    rows_nK = [one.probabilities_K for one in read if one.probabilities_K is not None]
    pooled_K = rule.pool(np.stack(rows_nK), positive=positive) if rows_nK else None
    return NewPatient(name, read, [one for one in members if one.probabilities_K is None], pooled_K)


def _probability(one: Judged, k: int) -> float:
    return 0.0 if one.probabilities_K is None else float(one.probabilities_K[k])
