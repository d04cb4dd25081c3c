"""What is explained: the log-odds of one class, against all others or against one other.

A single logit is not identifiable: adding the same function of the image to every logit changes no probability, but
it changes the map of a logit. Differences of logits stay the same, and unlike a probability they do not saturate.

Legend: B images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError

Classes = Tensor | Sequence[int] | None


@dataclass(frozen=True)
class Asked:
    """Whose evidence is asked for, image by image, checked.

    Args:
        target_B: the explained classes, int64.
        against_B: the one class that each is set against, int64; None for all others together.
    """

    target_B: Tensor
    against_B: Tensor | None = None

    def score(self, logits_BK: Tensor) -> Tensor:
        """The number that is explained, differentiable: score_B, in log-odds."""
        if self.against_B is None:
            return margin(logits_BK, self.target_B)
        return difference(logits_BK, self.target_B, self.against_B)

    def of_image(self, index: int, copies: int) -> Asked:
        """The same question for so many variants of one image."""
        against_B = None if self.against_B is None else self.against_B[index].expand(copies)
        return Asked(self.target_B[index].expand(copies), against_B)


@dataclass(frozen=True)
class Question:
    """Whose evidence is asked for, before the network has said how many classes there are.

    Args:
        target_B: one class per image; None for the predicted ones.
        against_B: one other class per image; None for all others together.
    """

    target_B: Classes
    against_B: Classes = None

    def asked_of(self, logits_BK: Tensor) -> Asked:
        """The classes, checked against the output of the network.

        Raises:
            ExplainError: if there is not exactly one valid class per image, or one is set against itself.
        """
        target_B = resolve_target(logits_BK, self.target_B)
        if self.against_B is None:
            return Asked(target_B)
        against_B = resolve_target(logits_BK, self.against_B)
        if bool((target_B == against_B).any()):
            raise ExplainError(
                "a class cannot be set against itself: explained are the classes "
                f"{target_B.tolist()}, against {against_B.tolist()}. Choose another class to compare with."
            )
        return Asked(target_B, against_B)


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


def difference(logits_BK: Tensor, target_B: Tensor, against_B: Tensor) -> Tensor:
    """Logit of the target minus the logit of one other class: log(p_target / p_other), differentiable.

    Args:
        logits_BK: class scores, as in `margin`; with K <= 2 this is the margin.
        target_B: classes as int64.
        against_B: other classes as int64, none equal to its target.

    Returns:
        difference_B, in log-odds between the two classes, whatever the probability of the others.
    """
    if logits_BK.shape[1] == 1:
        return margin(logits_BK, target_B)
    own_B, other_B = (logits_BK.gather(1, classes_B[:, None])[:, 0] for classes_B in (target_B, against_B))
    return own_B - other_B


def runner_up(logits_BK: Tensor, target_B: Tensor) -> Tensor:
    """The likeliest class besides the target, int64: the second where the target is predicted, else the predicted."""
    if logits_BK.shape[1] == 1:
        return 1 - target_B
    return logits_BK.detach().scatter(1, target_B[:, None], float("-inf")).argmax(dim=1)


def resolve_target(logits_BK: Tensor, target_B: Classes) -> Tensor:
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
