"""What a network says while the pixels that a map holds to be the most telling are taken away, or are all that is left.

Deletion and insertion of Petsiuk et al. 2018, arXiv:1806.07421, with two differences: what is taken away is replaced by
what the image looks like around it, not by black, and the log-odds are followed, not the probability, which saturates.

Legend: C channels, H rows, W columns, S shares of the image, P pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scanlens.explain.asking import margins_of
from scanlens.explain.evidence_order import Places, regions
from scanlens.explain.imputation import imputed
from scanlens.explain.removal import removed

Filling = Literal["blur_noise", "inpaint", "imputed"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RemovalCurve:
    """Log-odds of the explained class of one image, changed step by step.

    Args:
        plain: of the image as it is.
        share_S: shares of the image that are really taken away or kept, ascending.
        without_S: with the first pixels of the order taken away.
        only_S: with nothing but the first pixels of the order left; None if not asked for.
    """

    plain: float
    share_S: Floats
    without_S: Floats
    only_S: Floats | None = None

    @property
    def drop(self) -> float:
        """Mean fall of the log-odds between nothing and the largest share removed: the area above the deletion curve."""
        x, y = np.r_[0.0, self.share_S], np.r_[0.0, self.plain - self.without_S]
        return float(np.trapezoid(y, x) / x[-1])

    @property
    def held(self) -> float | None:
        """Mean log-odds between the smallest and the largest share kept: the area below the insertion curve."""
        if self.only_S is None:
            return None
        x = self.share_S
        return float(np.trapezoid(self.only_S, x) / (x[-1] - x[0])) if len(x) > 1 else float(self.only_S[0])


def removal_curve(
    model: nn.Module,
    x_CHW: Tensor,
    order_P: Places,
    target: int,
    *,
    shares: Sequence[float],
    filling: Filling = "blur_noise",
    keeps_too: bool = True,
    plain: float | None = None,
    seed: int,
) -> RemovalCurve:
    """Deletion, and insertion, of the pixels of one image in a given order.

    Args:
        model: a classifier; left as it was.
        x_CHW: the image, in [0, 1].
        order_P: flat places of its pixels, the most telling first; see `evidence_order.pixel_order`.
        target: number of the explained class.
        shares: of the image, ascending, each in (0, 1).
        filling: what stands in for missing pixels: see `removal.removed`, or "imputed" for `imputation.imputed` (ROAD).
        keeps_too: also ask about the image that is missing everything but those pixels.
        plain: log-odds of the image as it is, where they are known; None to ask for them.
        seed: of the noise in missing pixels.

    Raises:
        ValueError: if the shares are not ascending within (0, 1).
    """
    if not shares or not all(0 < a < b for a, b in zip(shares, [*shares[1:], 1.0], strict=True)):
        raise ValueError(f"shares of the image must ascend within (0, 1); got {list(shares)}.")
    region_SHW = torch.from_numpy(regions(order_P, shares, (x_CHW.shape[1], x_CHW.shape[2])))
    taken_BHW = torch.cat([region_SHW, ~region_SHW]) if keeps_too else region_SHW
    x_BCHW = x_CHW[None].expand(len(taken_BHW), -1, -1, -1)
    without_BCHW = (
        imputed(x_BCHW, taken_BHW, seed=seed)
        if filling == "imputed"
        else removed(x_BCHW, taken_BHW, how=filling, seed=seed)
    )
    if plain is None:
        plain = float(margins_of(model, x_CHW[None], [target]))
    margin_B = margins_of(model, without_BCHW, [target] * len(taken_BHW)).numpy()
    num = len(shares)
    return RemovalCurve(
        plain=plain,
        share_S=region_SHW.double().mean(dim=(1, 2)).numpy(),
        without_S=margin_B[:num],
        only_S=margin_B[num:] if keeps_too else None,
    )
