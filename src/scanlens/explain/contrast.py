"""Why this and not that: the evidence between two classes, instead of for one class against all others.

A map of the predicted class may be dominated by what tells it from classes that nobody doubts. The logit of the class
minus that of its rival is the log-odds between the two, whatever the others say; its map is the difference of the maps
of the two logits, for every method that is linear in the explained number (HiResCAM, Grad-CAM, Ablation-CAM, integrated
gradients, occlusion). Prabhushankar et al. 2020, arXiv:2008.00178, ask the same through the gradient of a loss towards the
rival, which depends on how sure the network is.

Legend: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain.auto import choose_explainers
from scanlens.explain.base import Explainer, Finding
from scanlens.explain.cam import GradCam, HiResCam
from scanlens.explain.fusion import Fusion
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.explain.occlusion import Occlusion
from scanlens.explain.perturbing_cams import AblationCam
from scanlens.explain.rival import rival_number
from scanlens.explain.target import Question, require_classifier, resolve_target, runner_up

_METHODS: dict[str, Callable[[str | None], Explainer]] = {
    "hires_cam": HiResCam,
    "grad_cam": GradCam,
    "ablation_cam": AblationCam,
    "fusion": lambda layer: Fusion(layer=layer),
    "integrated_gradients": lambda layer: IntegratedGradients(),
    "occlusion": lambda layer: Occlusion(),
}


class Contrast(Explainer):
    """Signed evidence for the explained class (positive) and for one rival (negative), in log-odds between the two.

    Args:
        method: whose map; "auto" for the one that suits the network.
        layer: dotted name of the layer, for methods that have one; None for the network's own.
        against: the rival: name of a class, or its number from 0 to K - 1 in the order of the classes; None, and where it
            is itself the explained class, for the likeliest of the others.
        class_names: the K names in the order of the logits; without them a rival has to be named by its number.

    Raises:
        ValueError: if there is no such method, or no class of that name.
    """

    name = "contrast"
    title = "Why this and not that"
    score_name = "log-odds between the two classes"
    description = (
        "Why this and not that: evidence for the explained class (positive) and for its rival (negative), in log-odds "
        "between these two."
    )

    def __init__(
        self,
        method: Literal[
            "auto", "hires_cam", "grad_cam", "ablation_cam", "fusion", "integrated_gradients", "occlusion"
        ] = "auto",
        layer: str | None = None,
        against: int | str | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        if method != "auto" and method not in _METHODS:
            raise ValueError(f"explain.method must be auto or one of {', '.join(_METHODS)}; got {method!r}.")
        if class_names is not None:
            against = rival_number(class_names, against)
        elif isinstance(against, str):
            raise ValueError(
                f"explain.against={against}: names of classes are not known here; give its number, from 0."
            )
        self.method, self.layer = method, layer
        self.class_names = None if class_names is None else list(class_names)
        self.against: int | None = against

    @property
    def legend(self) -> str:
        rival = "the likeliest other class"
        if self.against is not None:
            named = f"number {self.against}" if self.class_names is None else self.class_names[self.against]
            rival = f"class {named}, or {rival} where that one is explained itself"
        return f"{self.description} The rival is {rival}. {self.reason}".strip()

    def explainers_for(self, model: nn.Module) -> list[Explainer]:
        inner = self._inner(model)
        self.reason = f"Method: {inner.title}. {inner.reason}".strip()
        return [self]

    def check(self, model: nn.Module) -> None:
        self._inner(model)

    def _inner(self, model: nn.Module) -> Explainer:
        """The method that makes the map, checked."""
        require_classifier(model, self.title)
        if self.method == "auto":
            return choose_explainers(model, layer=self.layer)[0]
        inner = _METHODS[self.method](self.layer)
        inner.check(model)
        return inner

    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding:
        if question.against_B is None:
            question = self._with_rivals(model, x_BCHW, question)
        return self._inner(model)._find(model, x_BCHW, question)

    def _with_rivals(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Question:
        with torch.no_grad():
            logits_BK = model(x_BCHW.clone())
        target_B = resolve_target(logits_BK, question.target_B)
        rival_B = runner_up(logits_BK, target_B)
        if self.against is not None:
            num_classes = max(2, logits_BK.shape[1])
            if not 0 <= self.against < num_classes:
                raise ExplainError(
                    f"explain.against must be the number of a class, 0 to {num_classes - 1}; got {self.against}."
                )
            rival_B = torch.where(target_B == self.against, rival_B, self.against)
        return Question(target_B, rival_B)
