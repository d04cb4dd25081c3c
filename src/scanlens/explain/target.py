"""What is explained: the margin, the log-odds of one class against all others.

A single logit is not identifiable: adding the same function of the image to every logit changes no probability, but
it changes the map of a logit. The margin stays the same, and unlike a probability it does not saturate.

Legend: B images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError


def margin(logits_BK: Tensor, target_B: Tensor) -> Tensor:
    """Logit of the target minus the log-sum-exp of the other logits: log(p / (1 - p)), differentiable.

    Args:
        logits_BK: class scores. With K = 1 the score is the log-odds of class 1 against class 0.
        target_B: classes as int64, checked by `resolve_target`.

    Returns:
        margin_B, in log-odds (natural logarithm).
    """
    if logits_BK.shape[1] == 1:
        return torch.where(target_B == 1, logits_BK[:, 0], -logits_BK[:, 0])
    is_target_BK = torch.arange(logits_BK.shape[1], device=logits_BK.device) == target_B[:, None]
    others_BK = logits_BK.masked_fill(is_target_BK, float("-inf"))
    own_B = logits_BK.masked_fill(~is_target_BK, 0.0).sum(dim=1)
    return own_B - torch.logsumexp(others_BK, dim=1)


def resolve_target(logits_BK: Tensor, target_B: Tensor | Sequence[int] | None) -> Tensor:
    """The classes to explain as int64 on the device of the logits; the predicted ones where None was asked.

    Raises:
        ExplainError: if the output is not (B, K), or there is not exactly one valid class per image.
    """
    if not isinstance(logits_BK, Tensor) or logits_BK.ndim != 2:
        came = tuple(logits_BK.shape) if isinstance(logits_BK, Tensor) else type(logits_BK).__name__
        raise ExplainError(
            f"a class explanation needs a network whose output is class scores (B, K); got {came}. "
            "For a network that reconstructs its input use explain=residual or explain=latent_cam."
        )
    num_classes = max(2, logits_BK.shape[1])
    if target_B is None:
        return (logits_BK.detach()[:, 0] > 0).long() if logits_BK.shape[1] == 1 else logits_BK.detach().argmax(dim=1)
    target_B = torch.as_tensor(target_B).detach().clone()
    if target_B.is_floating_point() or target_B.dtype == torch.bool or target_B.shape != logits_BK.shape[:1]:
        raise ExplainError(
            f"one target class per image is needed: an integer tensor of shape ({len(logits_BK)},); "
            f"got {tuple(target_B.shape)} of {target_B.dtype}. Pass None to explain the predicted classes."
        )
    if int(target_B.min()) < 0 or int(target_B.max()) >= num_classes:
        raise ExplainError(f"target classes must lie in 0..{num_classes - 1}; got {sorted(set(target_B.tolist()))}.")
    return target_B.to(device=logits_BK.device, dtype=torch.int64)


def require_classifier(model: nn.Module, method: str) -> None:
    """Refuse to explain a class of a network that has none.

    Raises:
        ExplainError: if `model.head_kind` is "none".
    """
    if getattr(model, "head_kind", None) == "none":
        raise ExplainError(
            f"{method} explains the evidence for a class, and {type(model).__name__} knows no classes: it reconstructs "
            "its input. Use explain=residual (where the reconstruction differs), explain=latent_cam, or explain=auto."
        )
