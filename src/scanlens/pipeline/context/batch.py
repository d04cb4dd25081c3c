"""Explained cases, a few at a time, with what the network sees and says of them.

Legend of axes: B images, C channels, H rows, W columns, D features, K classes, F facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlens.models.base import Network
from scanlens.types import RawImage

BATCH = 8
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ContextCase:
    """One explained image and what is known of it.

    Args:
        case: its name, such as "test-00012".
        predicted: number of the class that is explained.
        x_CHW: the image in [0, 1] as the network gets it.
        facts_F: as `image_facts` makes them.
        thumb_HW: 48 x 48.
        pixel_hash: of the decoded pixels.
        unit: whom it belongs to, in the numbers of the known images; -1 for nobody known.
        patient: of the source, to look it up; never written.
        spacing_mm: (row, column) distance of pixels before resizing; None if unknown.
        is_assumed_square: only the distance of rows is known, and columns are taken to be as far apart.
        modality: as the file states it; "" if unknown.
        read: gives the image as its source holds it; None where the source is not at hand.
        seen: "image" or "patient" if a new image was among what the network was trained on, else ""; None if not asked.
    """

    case: str
    predicted: int
    x_CHW: NDArray[np.float32]
    facts_F: Floats
    thumb_HW: NDArray[np.float32]
    pixel_hash: bytes
    unit: int = -1
    patient: str | None = None
    spacing_mm: tuple[float, float] | None = None
    is_assumed_square: bool = False
    modality: str = ""
    read: Callable[[], RawImage] | None = None
    seen: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some cases after one pass through the network.

    Args:
        cases: B of them.
        x_BCHW: their images, where the network lies.
        logits_BK: what it says, float64.
        features_BD: what its last linear layer sees.
    """

    cases: Sequence[ContextCase]
    x_BCHW: Tensor
    logits_BK: Tensor
    features_BD: Floats


def batches(network: Network, cases: Iterable[ContextCase]) -> Iterator[Batch]:
    """All cases, eight at a time."""
    device, iterator = next(network.parameters()).device, iter(cases)
    while chunk := list(islice(iterator, BATCH)):
        x_BCHW = torch.from_numpy(np.stack([one.x_CHW for one in chunk])).to(device)
        features_BD, logits_BK = seen_and_said(network, x_BCHW)
        yield Batch(chunk, x_BCHW, logits_BK, features_BD)


def seen_and_said(network: Network, x_BCHW: Tensor) -> tuple[Floats, Tensor]:
    """Features (B, D) as `Network.embed` gives them and logits_BK in float64 on the CPU, of one pass in evaluation mode."""
    caught: list[Tensor] = []

    def catch(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        caught.append(inputs[0].detach())

    head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    handle = head.register_forward_pre_hook(catch)
    try:
        with torch.inference_mode():
            logits_BK = network.eval()(x_BCHW)
    finally:
        handle.remove()
    return caught[0].double().flatten(1).cpu().numpy(), logits_BK.double().cpu()
