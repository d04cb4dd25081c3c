"""Who gives something of an image to whom: recipients of every class, a donor of each other class, one of the own.

The donor of the own class is the reference: its piece is as foreign as the others', so that what pasting alone does is in
both and cancels.

Legend of axes: N images, P recipients, J other classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scanlens.evaluation.checks import Ints, check_length

ABSENT = -1


@dataclass(frozen=True, slots=True)
class Pairing:
    """Places among N images; `ABSENT` where there is no donor of another patient.

    Args:
        recipient_P: who receives.
        own_P: class of each recipient.
        reference_P: who gives, of the same class.
        donor_PJ: who gives, of each other class.
        class_PJ: these classes, ascending.
    """

    recipient_P: Ints
    own_P: Ints
    reference_P: Ints
    donor_PJ: Ints
    class_PJ: Ints


def paired(target_N: Ints, unit_N: Ints, *, num_classes: int, most: int, seed: int) -> Pairing:
    """Recipients, as many of each class as there are up to `most` in all, and donors of other patients.

    Every image of a class gives about equally often.

    Args:
        target_N: class of each image.
        unit_N: number of the patient (or what stands for him) of each image; nobody gives to himself.
        num_classes: at least 2.
        most: recipients in all, 1 or more.
        seed: the same gives the same pairs.
    """
    check_length(unit_N.tolist(), name="unit_N", num_images=len(target_N))
    generator = np.random.default_rng(seed)
    members_K = [generator.permutation(np.flatnonzero(target_N == k)) for k in range(num_classes)]
    recipient_P = _in_turn(members_K, most)
    own_P = target_N[recipient_P]
    others_PJ = np.array([[k for k in range(num_classes) if k != own] for own in own_P.tolist()], dtype=np.int64)
    givers_K = [_Giver(generator.permutation(members), unit_N) for members in members_K]
    references = [givers_K[own].next_for(int(unit_N[n])) for n, own in zip(recipient_P, own_P, strict=True)]
    donors = [
        [givers_K[k].next_for(int(unit_N[n])) for k in others] for n, others in zip(recipient_P, others_PJ, strict=True)
    ]
    shape = (len(recipient_P), num_classes - 1)
    return Pairing(
        recipient_P,
        own_P,
        np.array(references, dtype=np.int64),
        np.array(donors, dtype=np.int64).reshape(shape),
        others_PJ.reshape(shape),
    )


def _in_turn(members_K: list[Ints], most: int) -> Ints:
    """One of each class after the other, until there are enough or none is left; ascending."""
    longest = max((len(members) for members in members_K), default=0)
    turns = [int(members[turn]) for turn in range(longest) for members in members_K if turn < len(members)]
    return np.array(sorted(turns[:most]), dtype=np.int64)


class _Giver:
    """Images of one class, which give one after the other, round and round."""

    def __init__(self, images: Ints, unit_N: Ints) -> None:
        self.waiting, self.unit_N = images.tolist(), unit_N

    def next_for(self, unit: int) -> int:
        """The one who waits longest and is another patient, who then waits again; ABSENT if there is none."""
        for place, image in enumerate(self.waiting):
            if int(self.unit_N[image]) != unit:
                self.waiting.append(self.waiting.pop(place))
                return int(image)
        return ABSENT
