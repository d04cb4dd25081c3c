"""Does the answer depend on what is highlighted? The region is taken out, and so are regions of the same shape elsewhere.

If the fall of the log-odds is larger than nearly all of the others, the network did use what is there. The comparison with
other places matters: taking anything out of an image changes the answer a little, and the less, the emptier the place.
The idea is that of deletion tests (Samek et al. 2017, doi:10.1109/TNNLS.2016.2599820), made a rank test for a single image.

Legend: C channels, H rows, W columns; N regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlens.explain.asking import margins_of
from scanlens.explain.removal import Removal, removed
from scanlens.explain.verdict.regions import Mask, Placements, placed_elsewhere
from scanlens.seeds import derived_seed

_TIE = 1e-6  # of the margin: float32 tells no finer


@dataclass(frozen=True, slots=True, eq=False)
class RegionEffect:
    """What happened when the highlighted region, and others like it, were taken out.

    Args:
        region_HW: the highlighted region.
        removed_CHW: the image without it.
        margin: log-odds of the explained class against all others, of the whole image.
        drop: how much they fall without the region; negative if they rise.
        drops_N: the same for the regions elsewhere.
        placements: where these are.
        removal: how regions are taken out.
    """

    region_HW: Mask
    removed_CHW: NDArray[np.float32]
    margin: float
    drop: float
    drops_N: NDArray[np.float64]
    placements: Placements
    removal: Removal

    @property
    def num_as_large(self) -> int:
        """Regions elsewhere whose removal lowers the log-odds at least as much; equal up to rounding counts."""
        return int((self.drops_N >= self.drop - _TIE * max(1.0, abs(self.margin))).sum())

    @property
    def p_value(self) -> float | None:
        """How often a region drawn at random among these, itself included, does as much; None without others or numbers."""
        if not len(self.drops_N) or not np.isfinite([self.margin, self.drop, *self.drops_N]).all():
            return None
        return (1 + self.num_as_large) / (1 + len(self.drops_N))

    def as_dict(self) -> dict[str, Any]:
        """For JSON; what is not finite becomes None."""
        where = self.placements
        return {
            "p_value": self.p_value,
            "drop": _finite(self.drop),
            "margin": _finite(self.margin),
            "num_as_large": self.num_as_large,
            "drops_elsewhere": [_finite(drop) for drop in self.drops_N.tolist()],
            "num_regions": len(self.drops_N),
            "num_pixels": int(self.region_HW.sum()),
            "removal": self.removal,
            "body_share": where.body_share,
            "body_share_elsewhere": float(where.body_shares_N.mean()) if len(where.body_shares_N) else None,
            "may_be_cut": where.may_be_cut,
            "overlap": where.overlap,
        }


def region_effect(
    model: nn.Module,
    x_CHW: Tensor,
    target: int,
    region_HW: Mask,
    covered_HW: Mask,
    body_HW: Mask,
    *,
    num: int,
    removal: Removal = "blur_noise",
    seed: int,
    same_ground: bool = True,
    margin: float | None = None,
) -> RegionEffect:
    """Take the region, and `num` of the same shape elsewhere, out of one image, each in turn.

    Args:
        model: a classifier, left as it was.
        x_CHW: the image, in [0, 1].
        target: number of the explained class.
        region_HW: the highlighted region; at least one pixel.
        covered_HW: what the map covers: where regions may be.
        body_HW: see `ground.body`.
        num: how many regions elsewhere; fewer where there is no room.
        removal: see `removal.removed`.
        seed: of the places and of the noise that fills a region.
        same_ground: see `regions.placed_elsewhere`.
        margin: log-odds of the class in the whole image, where they are known; None to ask for them.

    Raises:
        ExplainError: if the region is the whole image, or there is no such class.
    """
    places = placed_elsewhere(
        region_HW, covered_HW, body_HW, num=num, seed=derived_seed(seed, 0), same_ground=same_ground
    )
    regions = torch.from_numpy(np.concatenate([region_HW[None], places.regions_NHW]))
    without = removed(x_CHW.expand(len(regions), -1, -1, -1), regions, how=removal, seed=derived_seed(seed, 1))
    if margin is None:
        margin = float(margins_of(model, x_CHW[None], [target]))
    margins = margins_of(model, without, [target] * len(regions)).tolist()
    with np.errstate(invalid="ignore"):  # infinity minus infinity: no number, and told as such
        drops = margin - np.array(margins, dtype=np.float64)
    picture_CHW = without[0].float().cpu().numpy()
    return RegionEffect(region_HW, picture_CHW, margin, float(drops[0]), drops[1:], places, removal)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
