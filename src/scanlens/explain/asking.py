"""What a network says of changed images: margins without gradients, batch by batch, the network left as it was.

Legend: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from scanlens.explain.scope import untouched
from scanlens.explain.target import margin, resolve_target

BATCH = 64
PIXELS_OF_A_PASS = 64 * 64 * 64
"""Of all images of a pass on a processor: with more, feature maps no longer fit its caches and every image takes longer."""


def images_per_pass(x_BCHW: Tensor, most: int = BATCH) -> int:
    """How many images of this size go through a network at once: `most`, on a processor fewer of large ones."""
    if x_BCHW.device.type != "cpu":
        return most
    return max(1, min(most, PIXELS_OF_A_PASS // (x_BCHW.shape[-2] * x_BCHW.shape[-1])))


def logits_of(model: nn.Module, x_BCHW: Tensor, *, batch_size: int | None = None) -> Tensor:
    """Class scores, logits_BK, on the CPU; see `margins_of`."""
    return torch.cat([logits_BK.cpu() for logits_BK, _ in _logits(model, x_BCHW, batch_size)])


def margins_of(
    model: nn.Module, x_BCHW: Tensor, target_B: Tensor | Sequence[int], *, batch_size: int | None = None
) -> Tensor:
    """Log-odds of each image's target class against all others, float64 on the CPU.

    Args:
        model: a classifier; images go in, class scores (B, K) come out.
        x_BCHW: images, usually in [0, 1].
        target_B: one class per image.
        batch_size: images per pass; None for as many as suit their size, see `images_per_pass`.

    Returns:
        margin_B.

    Raises:
        ExplainError: if there are no images, or not exactly one valid class per image.
    """
    target_B = torch.as_tensor(target_B)
    found = []
    for logits_BK, chosen in _logits(model, x_BCHW, batch_size):
        found.append(margin(logits_BK, resolve_target(logits_BK, target_B[chosen])).double().cpu())
    return torch.cat(found)


def probabilities_of(model: nn.Module, x_BCHW: Tensor, *, batch_size: int | None = None) -> Tensor:
    """Softmax of the class scores, float64 on the CPU: probability_BK."""
    return torch.cat([logits_BK.double().softmax(dim=1).cpu() for logits_BK, _ in _logits(model, x_BCHW, batch_size)])


def _logits(model: nn.Module, x_BCHW: Tensor, batch_size: int | None) -> Iterator[tuple[Tensor, slice]]:
    model = getattr(model, "_orig_mod", model)
    num = batch_size or images_per_pass(x_BCHW)
    for start in range(0, max(1, len(x_BCHW)), num):
        chosen = slice(start, start + num)
        with untouched(model, x_BCHW[chosen]) as clean_BCHW, torch.no_grad():
            yield model(clean_BCHW), chosen
