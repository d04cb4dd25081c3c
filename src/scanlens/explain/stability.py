"""Images changed so little that nobody would read them differently: the map should not change much either.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scanlens.seeds import derived_seed

NUDGES = ("noise", "noise again", "contrast")
"""What is done, in this order."""
NOISE = 0.02
"""Standard deviation of the noise, of the range of each image."""
CONTRAST = 1.05
"""Factor on the distance of every pixel from the mean of its image."""


def nudged(x_BCHW: Tensor, nudge: str, *, seed: int) -> Tensor:
    """The images with a little white noise, or a little more contrast; clipped to the range of each image.

    Args:
        x_BCHW: images, floating point.
        nudge: of `NUDGES`.
        seed: of the noise, which is the same for an image wherever it stands in a batch of the same order.

    Raises:
        ValueError: if there is no such nudge.
    """
    if nudge not in NUDGES:
        raise ValueError(f"a nudge is one of {', '.join(NUDGES)}; got {nudge!r}.")
    low_B111, high_B111 = x_BCHW.amin(dim=(1, 2, 3), keepdim=True), x_BCHW.amax(dim=(1, 2, 3), keepdim=True)
    if nudge == "contrast":
        mean_B111 = x_BCHW.mean(dim=(1, 2, 3), keepdim=True)
        changed_BCHW = mean_B111 + CONTRAST * (x_BCHW - mean_B111)
    else:
        generators = [
            torch.Generator().manual_seed(derived_seed(seed, NUDGES.index(nudge), b)) for b in range(len(x_BCHW))
        ]
        noise_BCHW = torch.stack([torch.randn(x_BCHW.shape[1:], generator=one) for one in generators])
        changed_BCHW = x_BCHW + NOISE * (high_B111 - low_B111) * noise_BCHW.to(x_BCHW)
    return changed_BCHW.clamp(low_B111, high_B111)
