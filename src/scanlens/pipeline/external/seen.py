"""Whether new images, or their patients, were among what a network was trained on, or chosen by."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scanlens.errors import DataError
from scanlens.pipeline.decode import Listed
from scanlens.pipeline.lineage import seen_by
from scanlens.pipeline.lineage.memory import ROLES
from scanlens.pipeline.lineage.remember import data_name, images_of
from scanlens.pipeline.lineage.stored import read_lineage
from scanlens.runs import Run

_UNKNOWN = "The run has no lineage.json: whether the network was trained on these images is not known."
_MARGIN = "results on them are too good"


@dataclass(frozen=True, slots=True)
class SeenBefore:
    """What was found.

    Args:
        num_images: new images that the network was trained on, or that chose its epoch.
        num_of_patients: further images, of patients that it was trained on (of equal names in a data set of equal name).
        is_known: whether the run remembers what it has seen.
        told: a sentence each.
    """

    num_images: int
    num_of_patients: int
    is_known: bool
    told: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def judge_seen(run: Run, listed: Listed, *, refuses: bool) -> SeenBefore:
    """Compare new images with the lineage of a run, that of its starting weights included.

    Raises:
        DataError: if any was seen and that `refuses`.
        RunError: if `lineage.json` of the run is not what it should be.
    """
    if not run.lineage_file.exists():
        return SeenBefore(0, 0, False, [_UNKNOWN])
    images, data = images_of(listed), data_name(listed)
    nothing_N = np.zeros(len(images.hashes), bool)
    image_N, patient_N, namesake_N = nothing_N, nothing_N.copy(), nothing_N.copy()
    for generation in read_lineage(run.lineage_file).generations:
        found = seen_by(generation, images, roles=ROLES)
        image_N = image_N | found.image_N
        if generation.data == data:
            patient_N |= found.patient_N
        else:
            namesake_N |= found.patient_N
    patient_N &= ~image_N
    namesake_N &= ~image_N & ~patient_N
    told = _told(int(image_N.sum()), int(patient_N.sum()), len(image_N))
    if told and refuses:
        raise DataError(
            f"{told} Remove them, give another data.root, or set on_seen=warn to go on and have the report say so. "
            "If these are other people of equal names, set data.name to another name."
        )
    notes = [f"on_seen=warn: {told}"] if told else []
    if namesake_N.any():
        notes.append(
            f"{namesake_N.sum()} images are of patients with names that the training knew too, from a data set of another "
            f"name. If they are the same people, {_MARGIN}."
        )
    return SeenBefore(int(image_N.sum()), int(patient_N.sum()), True, notes)


def _told(num_images: int, num_of_patients: int, num: int) -> str:
    parts = [
        f"{num_images} were used for training, or for choosing the epoch" if num_images else "",
        f"{num_of_patients} are of patients that were" if num_of_patients else "",
    ]
    told = " and ".join(part for part in parts if part)
    return f"Of {num} new images, {told}, so {_MARGIN}." if told else ""
