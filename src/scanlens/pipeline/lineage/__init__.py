"""What a network has ever been trained on: images that it was trained on may not judge it later.

A run remembers its training and validation images and patients, and those of the runs that its starting weights come from
(`lineage.json`; the images also in the header of `weights.safetensors`, so that they travel with it). An image is known
again by its decoded pixels, whatever it is called. A patient is known by the name that the source gives; such names are
those of one data set (`data.name`), and an equal one in another data set need not be the same person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlens.pipeline.lineage.memory import ROLES, Generation, Lineage, Role, are_marked


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images that may have been seen.

    Args:
        hashes: of their pixels (`image_facts.pixel_hash`); None for pictures of one gray value, and where there is none.
        patients: their names as the source gives them; None where unknown.
    """

    hashes: Sequence[bytes | None]
    patients: Sequence[str | None]

    def at(self, indices: Sequence[int]) -> Images:
        """Some of them."""
        return Images([self.hashes[i] for i in indices], [self.patients[i] for i in indices])


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What was seen of N images.

    Args:
        image_N: whether it is one of the images.
        patient_N: whether its patient is one of the patients, by name.
    """

    image_N: NDArray[np.bool_]
    patient_N: NDArray[np.bool_]

    def words(self) -> list[str]:
        """ "image", else "patient", else "" for each."""
        return np.where(self.image_N, "image", np.where(self.patient_N, "patient", "")).tolist()


def seen(lineage: Lineage, images: Images, *, roles: Sequence[Role] = ROLES) -> Seen:
    """Which of the images the weights were trained on, or chosen by, in any of their runs.

    Args:
        lineage: of the weights; `read_lineage(run.lineage_file)` of a run.
        images: any, such as new ones.
        roles: train, and val, which chose the epoch.
    """
    found = [seen_by(generation, images, roles=roles) for generation in lineage.generations]
    nothing_N = np.zeros(len(images.hashes), bool)
    return Seen(
        np.any([nothing_N, *(one.image_N for one in found)], axis=0),
        np.any([nothing_N, *(one.patient_N for one in found)], axis=0),
    )


def seen_by(generation: Generation, images: Images, *, roles: Sequence[Role]) -> Seen:
    """Which of the images one run was trained on."""
    names = [None if name is None else name.encode() for name in images.patients]
    image_N, patient_N = np.zeros(len(names), bool), np.zeros(len(names), bool)
    for memory in (generation.of(role) for role in roles):
        image_N |= are_marked(images.hashes, memory.images, kind="image", salt=generation.salt)
        if memory.patients is not None:
            patient_N |= are_marked(names, memory.patients, kind="patient", salt=generation.salt)
    return Seen(image_N, patient_N)
