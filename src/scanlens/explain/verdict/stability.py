"""Does the map hold when the image changes so little that nobody would read it differently?

Every map of a changed image is turned back and compared with the first one; beside it stands what the change did to the
answer, for a map may well follow an answer that itself is not stable.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from scanlens.explain.asking import probabilities_of
from scanlens.explain.base import Explainer
from scanlens.explain.similarity import rank_correlation
from scanlens.explain.verdict.regions import Mask, top_region
from scanlens.seeds import derived_seed

SHIFT_PX = 1
NOISE = 0.01  # standard deviation, of the range of the image
GAIN = 0.95
OFFSET = 0.02  # of the range of the image
TURN_DEG = 2.0
CHANGES = ("shifted by 1 pixel", "noise of 1 %", "5 % darker", "2 % brighter everywhere", "turned by 2 degrees")


@dataclass(frozen=True, slots=True)
class Change:
    """What one small change did.

    Args:
        name: of the change.
        kept: share of the highlighted region that is highlighted again, 0 to 1.
        rank_correlation: Spearman's, of the map turned back with the first one; None if it is flat.
        probability: of the explained class, after the change.
        is_same_answer: whether the network still names the same class.
    """

    name: str
    kept: float
    rank_correlation: float | None
    probability: float
    is_same_answer: bool


@dataclass(frozen=True, slots=True)
class Stability:
    """What all small changes did.

    Args:
        changes: one by one.
        probability: of the explained class, before.
    """

    changes: tuple[Change, ...]
    probability: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "probability": self.probability,
            "changes": [{name: getattr(one, name) for name in Change.__slots__} for one in self.changes],
        }


def changed(x_CHW: Tensor, *, seed: int) -> Tensor:
    """The image after each of `CHANGES`, never brighter than before: x_BCHW with B = 5.

    Args:
        x_CHW: an image.
        seed: of the noise.
    """
    low, high = x_CHW.min(), x_CHW.max()
    generator = torch.Generator().manual_seed(seed)
    noise_CHW = torch.randn(x_CHW.shape, generator=generator, dtype=torch.float64).to(x_CHW)
    found = [
        _moved(x_CHW, SHIFT_PX, 0.0),
        x_CHW + NOISE * (high - low) * noise_CHW,
        x_CHW * GAIN,
        x_CHW + OFFSET * (high - low),
        _moved(x_CHW, 0, TURN_DEG),
    ]
    return torch.stack(found).clamp(max=float(high))


def turned_back(maps_BHW: Tensor, covered_HW: Mask) -> NDArray[np.float64]:
    """Maps of the changed images, where they would lie on the image before the change; NaN where nothing is known."""
    inside = torch.from_numpy(covered_HW).to(maps_BHW.dtype)[None]
    found = []
    for name, map_1HW in zip(CHANGES, maps_BHW[:, None], strict=True):
        pixels, degrees = (-SHIFT_PX, 0.0) if "shifted" in name else (0, -TURN_DEG) if "turned" in name else (0, 0.0)
        known = _moved(inside, pixels, degrees, padding="zeros") > 0.999
        found.append(torch.where(known, _moved(map_1HW, pixels, degrees), float("nan"))[0])
    return torch.stack(found).double().numpy()


def stability(
    model: nn.Module,
    explainer: Explainer,
    x_CHW: Tensor,
    target: int,
    map_HW: ArrayLike,
    covered_HW: Mask,
    *,
    share: float,
    seed: int,
) -> Stability:
    """Explain the image again after each small change, for the same class.

    Args:
        model: a classifier, left as it was.
        explainer: the method that made the map.
        x_CHW: the image, in [0, 1].
        target: number of the explained class.
        map_HW: its signed map.
        covered_HW: what the map covers.
        share: of the covered pixels that count as highlighted.
        seed: of noise and ties.
    """
    x_BCHW = changed(x_CHW, seed=derived_seed(seed, 0))
    probabilities_BK = probabilities_of(model, torch.cat([x_CHW[None], x_BCHW]))
    answers = probabilities_BK.argmax(dim=1).tolist()
    maps_BHW = explainer.explain(model, x_BCHW, [target] * len(x_BCHW)).map_BHW
    first_HW = np.asarray(map_HW, dtype=np.float64)
    changes = [
        Change(
            name,
            *_compared(first_HW, again_HW, covered_HW, share=share, seed=derived_seed(seed, 1)),
            probability=float(probabilities_BK[1 + b, target]),
            is_same_answer=answers[1 + b] == answers[0],
        )
        for b, (name, again_HW) in enumerate(zip(CHANGES, turned_back(maps_BHW, covered_HW), strict=True))
    ]
    return Stability(tuple(changes), float(probabilities_BK[0, target]))


def _compared(
    first_HW: NDArray[np.float64], again_HW: NDArray[np.float64], covered_HW: Mask, *, share: float, seed: int
) -> tuple[float, float | None]:
    """Share of the highlighted region that is kept, and rank correlation, where both maps are known."""
    known_HW = covered_HW & np.isfinite(again_HW)
    before_HW = top_region(first_HW, known_HW, share=share, seed=seed)
    after_HW = top_region(again_HW, known_HW, share=share, seed=seed)
    kept = float(after_HW[before_HW].mean()) if before_HW.any() else 0.0
    return kept, rank_correlation(first_HW[known_HW][None], again_HW[known_HW][None])


def _moved(planes_CHW: Tensor, pixels: int, degrees: float, padding: str = "border") -> Tensor:
    """Moved down and to the right by `pixels` and turned about the middle; bilinear, the border goes on outside."""
    height, width = planes_CHW.shape[1:]
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    theta = torch.tensor(
        [
            [cos, -sin * height / width, -2 * pixels / width],
            [sin * width / height, cos, -2 * pixels / height],
        ],
        dtype=planes_CHW.dtype,
        device=planes_CHW.device,
    )
    grid = F.affine_grid(theta[None], [1, *planes_CHW.shape], align_corners=False)
    return F.grid_sample(planes_CHW[None], grid, mode="bilinear", padding_mode=padding, align_corners=False)[0]
