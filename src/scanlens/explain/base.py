"""What every explanation is: a raw signed map, where it lies on the image, and what was explained.

Legend: B images, C channels, H rows, W columns of the image; h, w rows and columns of the explained layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain.geometry import Geometry, Pair, place
from scanlens.explain.scope import untouched
from scanlens.explain.target import Asked, Classes, Question, require_classifier

AGAINST_ONE = "log-odds between the two classes"
FLAT_SHARE = 1e-6
"""A map whose values differ by less than this share of their size is the same everywhere, up to rounding."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Signed maps of a batch, never scaled to look good. All tensors lie on the CPU, without gradients.

    Args:
        cells_Bhw: the map at the resolution of the layer, float32; positive speaks for what is explained.
        map_BHW: the same, placed on the image by geometry, float32; 0 where `covered_HW` is False.
        covered_HW: which pixels the layer can speak of at all.
        is_blank_B: the map says nothing about where: it was not finite (stored as zeros), or the same everywhere.
        method: name of the explainer, such as "hires_cam".
        layer: dotted name of the explained layer; "input" for methods that work on pixels.
        target_B: explained classes, int64; None for methods that explain no class.
        score_B: the number that was explained, float32; not a number where the method explains none.
        score_name: what `score_B` is, such as "margin (log-odds)".
        unit: unit of the map.
        legend: for the reader of the picture: what it shows, why this method, the layer and the size of its cells.
        geometry: where the cells lie.
        completeness_gap_B: sum of the map minus what it should sum to, in units of the score; None if the method
            makes no such promise.
        against_B: the one class that each explained class was set against, int64; None for all others together.
        logits_BK: what the network said of the images as they are, float32; None where the method did not keep it.
    """

    cells_Bhw: Tensor
    map_BHW: Tensor
    covered_HW: Tensor
    is_blank_B: Tensor
    method: str
    layer: str
    target_B: Tensor | None
    score_B: Tensor
    score_name: str
    unit: str
    legend: str
    geometry: Geometry
    completeness_gap_B: Tensor | None = None
    against_B: Tensor | None = None
    logits_BK: Tensor | None = None

    @property
    def note(self) -> str:
        """What the reader must know about the placement, or ""."""
        return self.geometry.note


@dataclass(frozen=True, eq=False)
class Finding:
    """What a method found in one batch, before it is cleaned and placed; see `Explanation` for the fields.

    `asked` is None for methods that explain no class.
    """

    cells_Bhw: Tensor
    geometry: Geometry
    layer: str
    asked: Asked | None
    score_B: Tensor
    completeness_gap_B: Tensor | None = None
    logits_BK: Tensor | None = None


class Explainer(ABC):
    """Asks a network for the evidence behind its output. Works on any `nn.Module`, which is left as it was.

    Subclasses say who they are in the class attributes and implement `_find`, which runs inside `scope.untouched`.
    `reason` says why this method was chosen; `layer` is the dotted name asked for, None for the network's own or none;
    `shift_yx` is how far maps are moved (down, right; pixels), see `registration`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str] = "log-odds"
    score_name: ClassVar[str] = "margin (log-odds)"
    needs_class: ClassVar[bool] = True
    is_two_sided: ClassVar[bool] = False  # both signs mean the same: something differs
    is_control: ClassVar[bool] = False  # knows nothing of what the network has learned; others are compared with it
    asks_network: ClassVar[bool] = True  # runs the network at all
    keeps_positions: ClassVar[bool] = (
        True  # draws evidence only where the head reads it, also if that is not everywhere
    )
    description: ClassVar[str]
    reason: str = ""
    layer: str | None = None
    shift_yx: Pair = (0.0, 0.0)

    @property
    def legend(self) -> str:
        """What the map shows, why this method was chosen, and how far it was moved."""
        down, right = self.shift_yx
        is_moved = (down, right) != (0.0, 0.0)
        moved = (
            f" Moved by ({down:+.1f}, {right:+.1f}) px (down, right), as measured on validation images."
            if is_moved
            else ""
        )
        return f"{self.description} {self.reason}".strip() + moved

    def explain(
        self, model: nn.Module, x_BCHW: Tensor, target_B: Classes = None, against_B: Classes = None
    ) -> Explanation:
        """Explain every image of a batch.

        Args:
            model: the network; images go in, class scores (B, K) or a reconstruction come out.
            x_BCHW: images, floating point, usually in [0, 1].
            target_B: one class per image; None for the predicted ones. Ignored by methods that explain no class.
            against_B: why this and not that: one other class per image, so that the log-odds between these two are
                explained; None for the log-odds against all others together.

        Raises:
            ExplainError: if this explanation cannot be had of this network, and why.
        """
        model = getattr(model, "_orig_mod", model)  # hooks do not fire inside of a compiled network
        self.check(model)
        if against_B is not None and not self.needs_class:
            raise ExplainError(f"{self.title} explains no class, so no class can be set against another.")
        with untouched(model, x_BCHW) as clean_BCHW:
            found = self._find(model, clean_BCHW, Question(target_B, against_B))
        return self._finished(found, (x_BCHW.shape[2], x_BCHW.shape[3]))

    def __call__(self, model: nn.Module, x_BCHW: Tensor, target_B: Classes = None, against_B: Classes = None) -> Tensor:
        """Only the placed maps: map_BHW of `explain`."""
        return self.explain(model, x_BCHW, target_B, against_B).map_BHW

    def explainers_for(self, model: nn.Module) -> list[Explainer]:
        """This method, if it can explain this network; the interface that all of `conf/explain` share.

        Raises:
            ExplainError: if it cannot.
        """
        self.check(model)
        return [self]

    def check(self, model: nn.Module) -> None:
        """Refuse a network that this method cannot explain, before any image is read."""
        if self.needs_class:
            require_classifier(model, self.title)

    @abstractmethod
    def _find(self, model: nn.Module, x_BCHW: Tensor, question: Question) -> Finding: ...

    def _finished(self, found: Finding, image_hw: tuple[int, int]) -> Explanation:
        cells_Bhw, is_blank_B = cleaned(found.cells_Bhw)
        geometry = found.geometry.moved(self.shift_yx)
        map_BHW, covered_HW = place(cells_Bhw, geometry, image_hw)
        gap_B, asked = found.completeness_gap_B, found.asked
        against_B = None if asked is None or asked.against_B is None else asked.against_B.detach().cpu()
        score_name = self.score_name if against_B is None else AGAINST_ONE
        return Explanation(
            cells_Bhw=cells_Bhw,
            map_BHW=map_BHW,
            covered_HW=covered_HW,
            is_blank_B=is_blank_B,
            method=self.name,
            layer=found.layer,
            target_B=None if asked is None else asked.target_B.detach().cpu(),
            score_B=found.score_B.detach().float().cpu(),
            score_name=score_name,
            unit=self.unit,
            legend=f"{self.legend} {_where(found)} Explained: {score_name}.",
            geometry=geometry,
            completeness_gap_B=None if gap_B is None else gap_B.detach().float().cpu(),
            against_B=against_B,
            logits_BK=None if found.logits_BK is None else found.logits_BK.detach().float().cpu(),
        )


def _where(found: Finding) -> str:
    """Layer and size of its cells, in a sentence."""
    rows, columns = found.geometry.jump_yx
    return f"Layer {found.layer}, {'x'.join(map(str, found.cells_Bhw.shape[1:]))} cells of {rows:g}x{columns:g} px."


def cleaned(cells_Bhw: Tensor) -> tuple[Tensor, Tensor]:
    """Maps as float32 on the CPU, and which of them are uninformative; a map that is not finite becomes zeros."""
    cells_Bhw = cells_Bhw.detach().float().cpu()
    is_finite_B = torch.isfinite(cells_Bhw).flatten(1).all(dim=1)
    cells_Bhw = torch.where(is_finite_B[:, None, None], cells_Bhw, 0.0)
    flat_Bn = cells_Bhw.flatten(1)
    spread_B = flat_Bn.amax(dim=1) - flat_Bn.amin(dim=1)
    is_flat_B = spread_B <= FLAT_SHARE * flat_Bn.abs().amax(dim=1)
    return cells_Bhw, ~is_finite_B | is_flat_B
