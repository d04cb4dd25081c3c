"""What a network and its map make of lesions that were drawn into one image.

Legend: S sizes, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.explanations.limits import Trials
from scanlens.explain.base import Explainer
from scanlens.explain.lesions import Lesion, inserted, mask_of
from scanlens.explain.measure import pointing_hit
from scanlens.pipeline.explanations.calls import Caller


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of one lesion in every size; see `Trials` for the first five.

    Args:
        kept_S: share of the contrast that is left after clipping to [0, 1]: 1 where the tissue was not too bright or dark.
    """

    called_S: list[float]
    hit_S: list[float]
    near_S: list[float]
    chance_S: list[float]
    chance_near_S: list[float]
    kept_S: list[float]


@dataclass(frozen=True, slots=True)
class Insertion:
    """How lesions are drawn and asked about.

    Args:
        caller: says whether an image is called positive.
        explainer: whose map is looked at; it explains the most probable class that must not be missed.
        contrast_C: of the lesions, of each channel.
        tolerance_px: how far beside a lesion a peak may lie to count as near.
    """

    caller: Caller
    explainer: Explainer
    contrast_C: Floats
    tolerance_px: float

    def asked(self, x_CHW: NDArray[np.floating], lesions: Sequence[Lesion], *, device: torch.device) -> Answers:
        """What the network says of one image with each of these lesions by itself."""
        image_hw = (x_CHW.shape[1], x_CHW.shape[2])
        covers = [lesion.cover_HW(image_hw) for lesion in lesions]
        changed_SCHW = np.stack([inserted(x_CHW, cover_HW, self.contrast_C) for cover_HW in covers])
        x_SCHW = torch.from_numpy(changed_SCHW).to(device)
        calibrated_SK = self.caller.probabilities(x_SCHW)
        target_S = torch.from_numpy(self.caller.explained(calibrated_SK))
        explained = self.explainer.explain(self.caller.network, x_SCHW, target_S)
        covered_HW = explained.covered_HW.numpy()
        masks = [mask_of(cover_HW) for cover_HW in covers]
        maps = list(zip(explained.map_BHW.numpy(), explained.is_blank_B.tolist(), masks, strict=True))
        return Answers(
            called_S=self.caller.is_called(calibrated_SK).astype(float).tolist(),
            hit_S=[_hit(*one, tolerance_px=0.0) for one in maps],
            near_S=[_hit(*one, tolerance_px=self.tolerance_px) for one in maps],
            chance_S=[_chance(mask_HW, covered_HW, 0.0) for mask_HW in masks],
            chance_near_S=[_chance(mask_HW, covered_HW, self.tolerance_px) for mask_HW in masks],
            kept_S=[self._kept(x_CHW, *pair) for pair in zip(changed_SCHW, covers, strict=True)],
        )

    def _kept(self, x_CHW: NDArray[np.floating], changed_CHW: NDArray[np.floating], cover_HW: Floats) -> float:
        wanted = float(np.abs(self.contrast_C).sum() * cover_HW.sum())
        return float(np.abs(changed_CHW - x_CHW).sum()) / wanted if wanted else 0.0


def as_trials(sizes_px: Sequence[float], answers: Sequence[Answers]) -> Trials:
    """Answers, one after the other, as tables."""
    names = ("called_S", "hit_S", "near_S", "chance_S", "chance_near_S")
    return Trials(np.array(sizes_px), *(np.array([getattr(one, name) for one in answers]) for name in names))


def _hit(map_HW: NDArray[np.floating], is_blank: bool, mask_HW: NDArray[np.bool_], *, tolerance_px: float) -> float:
    """A blank map points nowhere: a miss."""
    return 0.0 if is_blank else pointing_hit(map_HW, mask_HW, tolerance_px=tolerance_px) or 0.0


def _chance(mask_HW: NDArray[np.bool_], covered_HW: NDArray[np.bool_], tolerance_px: float) -> float:
    """Share of what the map covers in which a peak would count."""
    reach_HW = distance_transform_edt(~mask_HW) <= tolerance_px
    return float(reach_HW[covered_HW].mean()) if covered_HW.any() else 0.0
