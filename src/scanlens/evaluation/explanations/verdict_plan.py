"""What a heat map is asked before it is shown, as a configuration says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

REMOVALS = ("blur_noise", "inpaint")
MOST_REGIONS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictPlan:
    """How the maps of explained cases are tested, and what a verdict needs.

    Args:
        enabled: whether explained cases get a verdict.
        share: of the pixels that a map covers that count as highlighted, in (0, 0.25]. Much less than a lesion is filled in again
            with lesion when it is taken out, and nothing changes; much more leaves no room for regions elsewhere.
        num_regions: regions of the same shape elsewhere that the highlighted one is compared with.
        removal: how a region is taken out. blur_noise: filled in from what lies around it, with noise; inpaint: biharmonic
            inpainting, slower.
        alpha: a map is SUPPORTED if the p value of the highlighted region is no larger. The smallest one that can come out is
            1 / (num_regions + 1). A map at random reaches it about that often, or up to twice as often where the answer rests on
            a single spot: regions elsewhere must not touch the highlighted one, so they cannot meet the same spot.
        weak_alpha: beyond this one it is NOT SUPPORTED, in between WEAK.
        agreement_alpha: a map is at most WEAK if a second method points elsewhere: if the p values of its overlap and of its rank
            correlation, against copies of the second map moved elsewhere, both lie beyond this one. At 0.5 only a second method
            that agrees less than half of the moved copies counts; 0.2 asks for agreement beyond chance and lets less luck through.
        least_kept: share of the highlighted region that stays highlighted under small changes of the image (the mean over
            them), below which a map is at most WEAK.
        needs_sanity: True: at most WEAK until the maps of this network were compared with those of random weights
            (scanlens explain parts=score_card); False: this is only told.
        max_minutes: of the tests within a training; cases that are left then are told as not assessed.
    """

    enabled: bool = True
    share: float = 0.06
    num_regions: int = 24
    removal: Literal["blur_noise", "inpaint"] = "blur_noise"
    alpha: float = 0.05
    weak_alpha: float = 0.2
    agreement_alpha: float = 0.5
    least_kept: float = 0.5
    needs_sanity: bool = True
    max_minutes: float = 10.0

    def __post_init__(self) -> None:
        if self.removal not in REMOVALS:
            raise ValueError(f"verdict.removal must be one of {', '.join(REMOVALS)}, got {self.removal!r}.")
        if not 0 < self.share <= 0.25:
            raise ValueError(f"verdict.share must be above 0 and at most 0.25, got {self.share}.")
        if not 1 <= self.num_regions <= MOST_REGIONS:
            raise ValueError(f"verdict.num_regions must lie between 1 and {MOST_REGIONS}, got {self.num_regions}.")
        if not 0 < self.alpha <= self.weak_alpha < 1:
            raise ValueError(
                f"verdict: 0 < alpha <= weak_alpha < 1 is needed, got alpha={self.alpha}, weak_alpha={self.weak_alpha}."
            )
        if self.alpha * (self.num_regions + 1) < 1:
            raise ValueError(
                f"verdict.num_regions={self.num_regions} gives no p value below {1 / (self.num_regions + 1):.3g}, so no map could "
                f"reach verdict.alpha={self.alpha}. Take at least {_regions_for(self.alpha)} regions, or a larger alpha."
            )
        for name in ("agreement_alpha", "least_kept"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"verdict.{name} must lie in [0, 1], got {getattr(self, name)}.")
        if not self.max_minutes > 0:
            raise ValueError(f"verdict.max_minutes must be above 0, got {self.max_minutes}.")


def _regions_for(alpha: float) -> int:
    num = 1
    while alpha * (num + 1) < 1:
        num += 1
    return num
