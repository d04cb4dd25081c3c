"""Everything that is measured on one map of one image before it gets a verdict.

The rule that makes a verdict of these numbers lies in `evaluation`; here nothing is judged.

Legend: C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlens.explain.asking import logits_of
from scanlens.explain.base import Explainer
from scanlens.explain.ground import body
from scanlens.explain.removal import Removal
from scanlens.explain.target import margin, resolve_target
from scanlens.explain.verdict.agreement import Agreement, agreement, second_opinion, smoothed
from scanlens.explain.verdict.input_quality import InputQuality, Usual, input_quality
from scanlens.explain.verdict.region_effect import RegionEffect, region_effect
from scanlens.explain.verdict.regions import Mask, top_region
from scanlens.explain.verdict.stability import Stability, stability
from scanlens.seeds import derived_seed

NOTHING_POSITIVE = "nothing in the map speaks for the explained class"


@dataclass(frozen=True, slots=True)
class Measuring:
    """How maps are measured.

    Args:
        share: of the covered pixels that count as highlighted.
        num_regions: regions elsewhere that the highlighted one is compared with.
        removal: how a region is taken out.
        seed: of ties, places and noise.
        usual: what training images look like; None where that is not known.
    """

    share: float = 0.06
    num_regions: int = 24
    removal: Removal = "blur_noise"
    seed: int = 0
    usual: Usual | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MadeMap:
    """A map to be measured.

    Args:
        map_HW: signed.
        covered_HW: where it has a value.
        grain_yx: rows and columns of the image that one cell stands for.
        is_blank: see `Explanation.is_blank_B`.
    """

    map_HW: NDArray[np.floating]
    covered_HW: Mask
    grain_yx: tuple[float, float]
    is_blank: bool


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was found; None for what could not be asked.

    Args:
        quality: of the image.
        blank: why the map highlights nothing; None where it does.
        region: what happened when the highlighted region was taken out.
        agreement: with a second method.
        stability: under small changes of the image.
    """

    quality: InputQuality
    blank: str | None
    region: RegionEffect | None = None
    agreement: Agreement | None = None
    stability: Stability | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without pictures."""
        return {
            "quality": self.quality.as_dict(),
            "blank": self.blank,
            **{name: None if (one := getattr(self, name)) is None else one.as_dict() for name in _ASKED},
        }


_ASKED = ("region", "agreement", "stability")


@dataclass(eq=False)
class Case:
    """One image of one network, of which several maps may be measured; what they share is made once.

    Args:
        model: a classifier, left as it was.
        x_CHW: the image, in [0, 1].
        target: number of the explained class.
        how: see `Measuring`.
    """

    model: nn.Module
    x_CHW: Tensor
    target: int
    how: Measuring
    _opinions: dict[str, MadeMap] = field(default_factory=dict)

    def __post_init__(self) -> None:
        image_CHW = self.x_CHW.detach().cpu().float().numpy()
        self.quality = input_quality(image_CHW, self.how.usual)
        self.body_HW = body(np.nan_to_num(image_CHW))

    @cached_property
    def plain_1K(self) -> Tensor:
        """What the network says of the image as it is, as logits."""
        return logits_of(self.model, self.x_CHW[None])

    def measured(self, explainer: Explainer, made: MadeMap) -> Measured:
        """Measure one map.

        Args:
            explainer: the method that made it. A map of a control, which asks nothing of the network, is not asked
                whether it holds: it was not made of the image.
            made: the map.
        """
        if self.quality.status == "bad" or made.is_blank:
            return Measured(self.quality, "the map is the same everywhere" if made.is_blank else None)
        how = self.how
        region_HW = top_region(made.map_HW, made.covered_HW, share=how.share, seed=derived_seed(how.seed, 0))
        if not region_HW.any():
            return Measured(self.quality, NOTHING_POSITIVE)
        return Measured(
            self.quality,
            None,
            region_effect(
                self.model, self.x_CHW, self.target, region_HW, made.covered_HW, self.body_HW,
                num=how.num_regions, removal=how.removal, seed=derived_seed(how.seed, 1), margin=self._margin(),
            ),
            self._agreement(explainer, made),
            None if explainer.is_control else self._stability(explainer, made),
        )  # fmt: skip

    def _margin(self) -> float:
        return float(margin(self.plain_1K, resolve_target(self.plain_1K, [self.target])).double())

    def _stability(self, explainer: Explainer, made: MadeMap) -> Stability:
        return stability(
            self.model, explainer, self.x_CHW, self.target, made.map_HW, made.covered_HW,
            share=self.how.share, seed=derived_seed(self.how.seed, 2), plain_1K=self.plain_1K,
        )  # fmt: skip

    def _agreement(self, explainer: Explainer, made: MadeMap) -> Agreement | None:
        other, theirs = self._second(explainer)
        grain = (max(made.grain_yx[0], theirs.grain_yx[0]), max(made.grain_yx[1], theirs.grain_yx[1]))
        return agreement(
            smoothed(made.map_HW, grain), smoothed(theirs.map_HW, grain),
            made.covered_HW & theirs.covered_HW, self.body_HW,
            other=other, share=self.how.share, seed=derived_seed(self.how.seed, 3),
        )  # fmt: skip

    def _second(self, explainer: Explainer) -> tuple[str, MadeMap]:
        second = second_opinion(explainer, (self.x_CHW.shape[1], self.x_CHW.shape[2]))
        if second.name not in self._opinions:
            found = second.explain(self.model, self.x_CHW[None], [self.target])
            self._opinions[second.name] = MadeMap(
                found.map_BHW[0].numpy(), found.covered_HW.numpy(), found.geometry.jump_yx, bool(found.is_blank_B[0])
            )
        return second.title, self._opinions[second.name]
