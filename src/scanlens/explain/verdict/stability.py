"""Does the map hold when the image changes so little that nobody would read it differently?

Every map of a changed image is turned back and compared with the first one; beside it stands what the change did to the
answer, for a map may well follow an answer that itself is not stable.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from scanlens.explain.asking import logits_of
from scanlens.explain.base import Explainer
from scanlens.explain.similarity import rank_correlation
from scanlens.explain.small_changes import OF_A_VERDICT
from scanlens.explain.verdict.regions import Mask, top_region
from scanlens.seeds import derived_seed


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
    """The image after each of the five changes of a verdict, never brighter than before: x_BCHW with B = 5.

    Args:
        x_CHW: an image.
        seed: of the noise.
    """
    return torch.stack([one.of(x_CHW, seed=seed) for one in OF_A_VERDICT])


def turned_back(maps_BHW: Tensor, covered_HW: Mask) -> NDArray[np.float64]:
    """Maps of the changed images, where they would lie on the image before the change; NaN where nothing is known."""
    covered = torch.from_numpy(covered_HW)
    found = [one.undone(map_HW, covered) for one, map_HW in zip(OF_A_VERDICT, maps_BHW, strict=True)]
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
    plain_1K: Tensor | None = None,
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
        plain_1K: what the network says of the image before any change (logits), where it is known; None to ask.
    """
    x_BCHW = changed(x_CHW, seed=derived_seed(seed, 0))
    again = explainer.explain(model, x_BCHW, [target] * len(x_BCHW))
    before_1K = logits_of(model, x_CHW[None]) if plain_1K is None else plain_1K
    after_BK = logits_of(model, x_BCHW) if again.logits_BK is None else again.logits_BK
    probabilities_BK = torch.cat([before_1K, after_BK]).double().softmax(dim=1)
    answers = probabilities_BK.argmax(dim=1).tolist()
    first_HW = np.asarray(map_HW, dtype=np.float64)
    changes = [
        Change(
            one.name,
            *_compared(first_HW, again_HW, covered_HW, share=share, seed=derived_seed(seed, 1)),
            probability=float(probabilities_BK[1 + b, target]),
            is_same_answer=answers[1 + b] == answers[0],
        )
        for b, (one, again_HW) in enumerate(zip(OF_A_VERDICT, turned_back(again.map_BHW, covered_HW), strict=True))
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
