"""Images made worse by a stated amount, for judging a trained network: the artifacts of `augment`, at fixed strengths.

What is drawn (noise, the form of a field, to which side) is a pure function of (seed, kind, image index) and the same
at all strengths of a kind, so that a curve over strengths follows one image. Strength 0 changes nothing.

Legend of axes: B images, C channels, H rows, W columns, T terms of the log field.

References:
    Hendrycks & Dietterich 2019, arXiv:1903.12261 (corruptions at five severities; here in stated units).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scanlens.data import artifacts
from scanlens.data.augment import Augment, Parameters, normal_fields
from scanlens.data.degradation_kinds import KINDS
from scanlens.data.randomness import uniforms

NO_EPOCH = -1  # no training draws with this number
_STREAM = 40  # and the place of the kind in `KINDS`
_EARLY, _LATE = 0.3, 0.7  # when a patient moves: near the middle of k-space, where it is seen

Floats = NDArray[np.float64]
Fill = Literal["zeros", "reflection"]


def degraded(
    x_BCHW: Tensor, kind: str, strength: float, *, seed: int, index_B: Sequence[int], fill: Fill = "zeros"
) -> Tensor:
    """The batch made worse, in [0, 1].

    Args:
        x_BCHW: in [0, 1].
        kind: of `KINDS`, which says what a strength means.
        strength: from 0, which gives the same bits back.
        seed: of the run.
        index_B: place of each image in the data set.
        fill: what comes in from beyond the border with a rotation, as for `Augment`.

    Raises:
        ValueError: the kind is unknown, or the strength below 0.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    if not 0 <= strength < math.inf:
        raise ValueError(f"strength: expected 0 or more, got {strength}")
    if kind == "resolution":
        return _coarser(x_BCHW, strength)
    if kind == "noise":
        return _noisy(x_BCHW, strength, seed=seed, index_B=index_B)
    unit_BN = uniforms(seed, NO_EPOCH, index_B, 1 + artifacts.NUM_FIELD_TERMS, stream=_STREAM + list(KINDS).index(kind))
    return _applied(x_BCHW, _PARAMETERS[kind](x_BCHW, strength, unit_BN), index_B=index_B, fill=fill)


def _applied(x_BCHW: Tensor, parameters: Parameters, *, index_B: Sequence[int], fill: Fill = "zeros") -> Tensor:
    plain = Augment(fill=fill)
    nothing = plain.draw(seed=0, epoch=NO_EPOCH, index_B=index_B)
    return plain.apply(x_BCHW, nothing | parameters)[0]


def _noisy(x_BCHW: Tensor, strength: float, *, seed: int, index_B: Sequence[int]) -> Tensor:
    std_B = np.full(len(x_BCHW), strength)
    fields = normal_fields(x_BCHW, std_B > 0, seed=seed, epoch=NO_EPOCH, index_B=index_B)
    if fields is None:
        return x_BCHW
    if x_BCHW.shape[1] == 1:
        std = torch.as_tensor(std_B, dtype=torch.float32, device=x_BCHW.device)
        return artifacts.rician_noise(x_BCHW, fields[0], fields[1], std).clamp(0, 1)
    return (x_BCHW + strength * fields[0]).clamp(0, 1)


def _coarser(x_BCHW: Tensor, lost: float) -> Tensor:
    """Smaller by area-weighted averages, and enlarged again linearly."""
    sides = list(x_BCHW.shape[-2:])
    smaller = [max(1, round(side * (1 - lost))) for side in sides]
    if smaller == sides:
        return x_BCHW
    small = F.interpolate(x_BCHW, size=smaller, mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, size=sides, mode="bilinear", align_corners=False).clamp(0, 1)


def _side(unit_BN: Floats) -> Floats:
    """-1 or 1 for each image."""
    return np.where(unit_BN[:, 0] < 0.5, -1.0, 1.0)


def _bias_field(x_BCHW: Tensor, strength: float, unit_BN: Floats) -> Parameters:
    """A random polynomial whose largest value inside the inscribed circle, either way, is log(1 + strength)."""
    form_BT = 2 * unit_BN[:, 1:] - 1
    ones_B1HW = torch.ones(len(x_BCHW), 1, *x_BCHW.shape[-2:])
    log_field = artifacts.bias_field(ones_B1HW, torch.as_tensor(form_BT, dtype=torch.float32)).log()
    y, x = (torch.linspace(-1, 1, side) for side in x_BCHW.shape[-2:])
    inside_HW = y[:, None] ** 2 + x[None, :] ** 2 <= 1  # corners, where polynomials are largest, show little of a body
    largest_B = (log_field.abs() * inside_HW).amax(dim=(1, 2, 3)).clamp_min(1e-6).double().numpy()
    coefficient_BT = form_BT * (math.log1p(strength) / largest_B)[:, None]
    return {f"field_{t}": coefficient_BT[:, t] for t in range(coefficient_BT.shape[1])}


def _blur(x_BCHW: Tensor, strength: float, unit_BN: Floats) -> Parameters:
    return {"blur": np.full(len(x_BCHW), strength)}


def _motion(x_BCHW: Tensor, strength: float, unit_BN: Floats) -> Parameters:
    when_B = _EARLY + (_LATE - _EARLY) * unit_BN[:, 1]
    return {"motion": strength * _side(unit_BN), "motion_when": when_B}


def _contrast(x_BCHW: Tensor, strength: float, unit_BN: Floats) -> Parameters:
    return {"gamma": math.log1p(strength) * _side(unit_BN)}


def _rotation(x_BCHW: Tensor, strength: float, unit_BN: Floats) -> Parameters:
    return {"angle": strength * _side(unit_BN)}


_PARAMETERS: dict[str, Callable[[Tensor, float, Floats], Parameters]] = {
    "bias_field": _bias_field,
    "blur": _blur,
    "motion": _motion,
    "contrast": _contrast,
    "rotation": _rotation,
}
