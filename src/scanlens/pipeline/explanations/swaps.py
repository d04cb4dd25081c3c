"""A network asked what it says of images that were given something of others: recipient by recipient, all changes at once.

Legend of axes: B recipients at once, P recipients in all, J other classes, S images that take part (recipient, reference,
donors), C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.explanations.counterfactual import Answers
from scanlens.evaluation.explanations.pairing import ABSENT, Pairing
from scanlens.explain.asking import probabilities_of
from scanlens.explain.interventions import Look, swapped
from scanlens.explain.regions import Region
from scanlens.seeds import derived_seed

Flags = NDArray[np.bool_]
ReadImages = Callable[[Sequence[int]], tuple[Tensor, Flags]]
"""Images x_BCHW of places, and where their lesions are, (B, H, W); nothing marked where that is not known."""

_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Group:
    """Recipients and those who give to them.

    Args:
        x_SBCHW: recipients, references, and one donor of each other class; an absent one is the recipient himself.
        lesion_SBHW: where their lesions are.
    """

    x_SBCHW: Tensor
    lesion_SBHW: Flags


class Change(Protocol):
    """Something that is given."""

    def applied(self, group: Group) -> tuple[Tensor, Flags]:
        """Recipients after the gift of the reference and of each donor, (1 + J, B, C, H, W), and pairs that count, (B, J)."""
        ...


@dataclass(frozen=True, eq=False)
class RegionSwap:
    """A region is pasted. Pairs do not count where a lesion of anyone lies in it, or where it is empty."""

    region: Region

    def applied(self, group: Group) -> tuple[Tensor, Flags]:
        x_SBCHW = group.x_SBCHW
        masks_SBHW = np.stack([self.region.masks(x_BCHW.cpu().numpy()) for x_BCHW in x_SBCHW])
        shared_BHW = self.region.shared(masks_SBHW)
        region_BHW = torch.from_numpy(np.array(shared_BHW)).to(x_SBCHW.device)
        changed = torch.stack([swapped(x_SBCHW[0], giver_BCHW, region_BHW) for giver_BCHW in x_SBCHW[1:]])
        has_lesion_SB: Flags = np.asarray((group.lesion_SBHW & shared_BHW).any(axis=(2, 3)))
        is_free_SB: Flags = ~has_lesion_SB & np.asarray(shared_BHW.any(axis=(1, 2)))
        return changed, (is_free_SB[0] & is_free_SB[1] & is_free_SB[2:]).T


@dataclass(frozen=True, eq=False)
class LookTransfer:
    """A look of the whole image is given; `seed` is that of noise."""

    look: Look
    seed: int

    def applied(self, group: Group) -> tuple[Tensor, Flags]:
        x_SBCHW = group.x_SBCHW
        changed = [
            self.look.give(x_SBCHW[0], giver_BCHW, derived_seed(self.seed, place))
            for place, giver_BCHW in enumerate(x_SBCHW[1:])
        ]
        return torch.stack(changed), np.ones((x_SBCHW.shape[1], len(x_SBCHW) - 2), dtype=bool)


def answers_to(
    network: nn.Module,
    read: ReadImages,
    pairing: Pairing,
    changes: Sequence[Change],
    *,
    advance: Callable[[int], None] = lambda steps: None,
) -> tuple[Floats, list[Answers]]:
    """What the network says of the recipients as they are, plain_PK, and after each change.

    Args:
        network: class scores come out; left as it was.
        read: gives images by their places.
        pairing: who gives to whom.
        changes: what is given.
        advance: told of every recipient that is done.
    """
    plain: list[Floats] = []
    reference: list[list[Floats]] = [[] for _ in changes]
    donors: list[list[Floats]] = [[] for _ in changes]
    counts: list[list[Flags]] = [[] for _ in changes]
    for group in _groups(read, pairing):
        plain.append(probabilities_of(network, group.x_SBCHW[0]).numpy())
        for place, change in enumerate(changes):
            changed, counts_BJ = change.applied(group)
            said = np.stack([probabilities_of(network, x_BCHW).numpy() for x_BCHW in changed])
            reference[place].append(said[0])
            donors[place].append(np.moveaxis(said[1:], 0, 1))
            counts[place].append(counts_BJ)
        advance(group.x_SBCHW.shape[1])
    return np.concatenate(plain), [
        Answers(np.concatenate(own), np.concatenate(other), np.concatenate(counting))
        for own, other, counting in zip(reference, donors, counts, strict=True)
    ]


def _groups(read: ReadImages, pairing: Pairing) -> Iterator[Group]:
    givers_PS = np.concatenate([pairing.reference_P[:, None], pairing.donor_PJ], axis=1)
    givers_PS = np.where(givers_PS == ABSENT, pairing.recipient_P[:, None], givers_PS)
    everyone_PS: Ints = np.concatenate([pairing.recipient_P[:, None], givers_PS], axis=1)
    for start in range(0, len(everyone_PS), _AT_ONCE):
        found = [read(places.tolist()) for places in everyone_PS[start : start + _AT_ONCE].T]
        yield Group(torch.stack([x for x, _ in found]), np.stack([lesion for _, lesion in found]))
