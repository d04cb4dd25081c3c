"""Random changes of training images, drawn per image from (seed, epoch, index), applied to the batch on its device.

First all parameters are drawn (`draw`), then they are applied (`apply`), so a change can be told, repeated and tested.

Legend of axes: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scanlens.data import artifacts
from scanlens.data.randomness import uniforms
from scanlens.seeds import derived_seed

log = logging.getLogger(__name__)
Parameters = dict[str, NDArray[np.float64]]
Change = Callable[[Tensor, dict[str, Tensor]], Tensor]
_STREAM, _NOISE_STREAM = 11, 12
_ALWAYS = (
    "angle", "zoom", "shift_x", "shift_y", "left_right", "up_down", "quarters", "brightness", "contrast", "gamma",
)  # fmt: skip
_SOMETIMES = ("noise", "gibbs", "ghosting", "num_ghosts", "motion", "motion_when", "blur", "field_on", "stain_on")
_DECIDERS = ("noise", "gibbs", "ghosting", "motion", "blur", "field_on", "stain_on")
_FIELD = tuple(f"field_{t}" for t in range(artifacts.NUM_FIELD_TERMS))
_STAIN = tuple(f"{kind}_{c}" for kind in ("gain", "offset") for c in range(3))
_NAMES = (*_ALWAYS, *_SOMETIMES, *(f"has_{name}" for name in _DECIDERS), *_FIELD, *_STAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Which changes are drawn, and how large they may be. Zero switches a change off.

    Args:
        sides_matter: left and right must not be exchanged (a heart, a brain with a lateralized disease).
        rotation_degrees: largest rotation either way.
        zoom: largest relative change of size, 0.1 for 0.9 to 1.1.
        shift: largest displacement either way, as a share of the side.
        flip_left_right: probability; refused where sides matter.
        flip_up_down: probability.
        quarter_turns: rotate by 0, 90, 180 or 270 degrees; for pictures without an up, such as blood smears.
        fill: what comes in from beyond the border: "zeros" (a scan's background) or "reflection" (a field of cells goes on).
        brightness: largest offset, in units of the range [0, 1].
        contrast: largest relative change of contrast about the image's mean.
        gamma: largest change of the logarithm of the exponent; 0.3 for exponents of 0.74 to 1.35.
        artifact_probability: with which each of the following strikes an image.
        rician_noise: largest standard deviation, in units of the range.
        bias_field: largest coefficient of the polynomial log field.
        gibbs: largest share of k-space cut off, in [0, 1).
        ghosting: largest loss of every n-th k-space line, in [0, 1].
        motion: largest displacement during the scan, as a share of the width.
        blur: largest sigma, in pixels.
        stain: largest relative change of each channel's optical density, for color only.

    Raises:
        ValueError: for settings out of range, or a left-right flip where sides matter.
    """

    sides_matter: bool = True
    rotation_degrees: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    flip_left_right: float = 0.0
    flip_up_down: float = 0.0
    quarter_turns: bool = False
    fill: Literal["zeros", "reflection"] = "zeros"
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    artifact_probability: float = 0.2
    rician_noise: float = 0.0
    bias_field: float = 0.0
    gibbs: float = 0.0
    ghosting: float = 0.0
    motion: float = 0.0
    blur: float = 0.0
    stain: float = 0.0

    def __post_init__(self) -> None:
        limits = {
            "rotation_degrees": 180.0, "zoom": 0.9, "shift": 1.0, "flip_left_right": 1.0, "flip_up_down": 1.0, "brightness": 1.0,
            "contrast": 1.0, "gamma": 2.0, "artifact_probability": 1.0, "rician_noise": 1.0, "bias_field": 2.0, "gibbs": 0.99,
            "ghosting": 1.0, "motion": 0.5, "blur": 20.0, "stain": 1.0,
        }  # fmt: skip
        wrong = [
            f"{k}={getattr(self, k)} (0 to {top:g})" for k, top in limits.items() if not 0 <= getattr(self, k) <= top
        ]
        if wrong:
            raise ValueError(f"augment: out of range: {', '.join(wrong)}.")
        if self.sides_matter and self.flip_left_right > 0:
            raise ValueError(
                f"augment.flip_left_right={self.flip_left_right} would exchange left and right, which matter here. Set it to 0, "
                "or augment.sides_matter=false if they do not."
            )
        if self.sides_matter and self.flip_up_down > 0 and (self.quarter_turns or self.rotation_degrees > 90):
            raise ValueError(
                "augment: flip_up_down together with turns of more than 90 degrees exchanges left and right, which matter here. "
                "Set flip_up_down to 0, or augment.sides_matter=false if they do not."
            )
        if self.fill not in ("zeros", "reflection"):
            raise ValueError(f"augment.fill must be 'zeros' or 'reflection', got {self.fill!r}.")

    def __call__(
        self,
        x_BCHW: Tensor,
        *,
        seed: int,
        epoch: int,
        index_B: Sequence[int] | NDArray[np.integer],
        mask_BHW: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None, list[dict[str, float]]]:
        """(changed images in [0, 1], masks moved along, what was drawn for each image)."""
        if self.stain > 0 and x_BCHW.shape[1] != 3:
            _tell_that_stain_has_no_effect(x_BCHW.shape[1])
        parameters = self.draw(seed=seed, epoch=epoch, index_B=index_B)
        noise = normal_fields(x_BCHW, parameters["noise"] != 0, seed=seed, epoch=epoch, index_B=index_B)
        image, mask = self.apply(x_BCHW, parameters, noise=noise, mask_BHW=mask_BHW)
        names = [name for name, values in parameters.items() if np.any(values)]
        applied = [
            {name: float(parameters[name][b]) for name in names if parameters[name][b]} for b in range(len(x_BCHW))
        ]
        return image, mask, applied

    def draw(self, *, seed: int, epoch: int, index_B: Sequence[int] | NDArray[np.integer]) -> Parameters:
        """Every parameter of every image, (B,) each; 0 where nothing happens. Angles in degrees, shifts as shares."""
        drawn = dict(zip(_NAMES, uniforms(seed, epoch, index_B, len(_NAMES), stream=_STREAM).T, strict=True))
        either = {name: 2 * u - 1 for name, u in drawn.items()}
        on = {name: drawn[f"has_{name}"] < self.artifact_probability for name in _DECIDERS}
        return {
            "angle": self.rotation_degrees * either["angle"],
            "zoom": self.zoom * either["zoom"],
            "shift_x": self.shift * either["shift_x"],
            "shift_y": self.shift * either["shift_y"],
            "left_right": (drawn["left_right"] < self.flip_left_right) * 1.0,
            "up_down": (drawn["up_down"] < self.flip_up_down) * 1.0,
            "quarters": np.floor(4 * drawn["quarters"]) * self.quarter_turns,
            "brightness": self.brightness * either["brightness"],
            "contrast": self.contrast * either["contrast"],
            "gamma": self.gamma * either["gamma"],
            "noise": self.rician_noise * drawn["noise"] * on["noise"],
            "gibbs": self.gibbs * drawn["gibbs"] * on["gibbs"],
            "ghosting": self.ghosting * drawn["ghosting"] * on["ghosting"],
            "num_ghosts": (2 + np.floor(3 * drawn["num_ghosts"])) * (on["ghosting"] & (self.ghosting > 0)),
            "motion": self.motion * either["motion"] * on["motion"],
            "motion_when": drawn["motion_when"] * (on["motion"] & (self.motion > 0)),
            "blur": self.blur * drawn["blur"] * on["blur"],
            **{name: self.bias_field * either[name] * on["field_on"] for name in _FIELD},
            **{name: self.stain * either[name] * on["stain_on"] for name in _STAIN},
        }

    def apply(
        self, x_BCHW: Tensor, parameters: Parameters, *, noise: Tensor | None = None, mask_BHW: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The batch changed by given parameters; noise is (2, B, C, H, W) standard normal."""
        at = {name: torch.as_tensor(v, dtype=torch.float32, device=x_BCHW.device) for name, v in parameters.items()}
        image, mask = _moved(x_BCHW.float(), at, mask_BHW, fill=self.fill)
        image = _intensity(image, at)
        for change, names in _ARTIFACTS.items():
            places = np.flatnonzero(np.any([parameters[name] for name in names], axis=0))
            if len(places) and (change is not _stain or image.shape[1] == 3):
                image = _changed_at(places, image, at, change)
        if noise is not None:
            image = artifacts.rician_noise(image, noise[0], noise[1], at["noise"])
        return image.clamp(0, 1).to(x_BCHW.dtype), mask


def normal_fields(
    x_BCHW: Tensor,
    is_meant_B: NDArray[np.bool_],
    *,
    seed: int,
    epoch: int,
    index_B: Sequence[int] | NDArray[np.integer],
) -> Tensor | None:
    """Two standard normal fields (2, B, C, H, W) for the images that are meant, each image from a generator of its own.

    The other images have zeros; None if none is meant.
    """
    if not is_meant_B.any():
        return None
    noise = torch.zeros(2, *x_BCHW.shape, dtype=torch.float32)
    for b in np.flatnonzero(is_meant_B).tolist():
        generator = torch.Generator().manual_seed(derived_seed(seed, epoch, int(index_B[b]), _NOISE_STREAM))
        noise[:, b] = torch.randn(2, *x_BCHW.shape[1:], generator=generator)
    return noise.to(x_BCHW.device)


@cache
def _tell_that_stain_has_no_effect(channels: int) -> None:
    log.warning(
        "augment.stain has no effect on images of %d channel(s), only on color; set augment.stain=0 or preprocess.channels=3",
        channels,
    )


def _changed_at(places: NDArray[np.intp], x_BCHW: Tensor, at: dict[str, Tensor], change: Change) -> Tensor:
    """The batch with only these images changed; the others cost nothing and stay as they are to the last bit."""
    if len(places) == len(x_BCHW):
        return change(x_BCHW, at)
    where = torch.as_tensor(places, device=x_BCHW.device)
    some = change(x_BCHW[where], {name: values[where] for name, values in at.items()})
    return x_BCHW.index_copy(0, where, some)


def _stain(x_BCHW: Tensor, at: dict[str, Tensor]) -> Tensor:
    gain_B3 = 1 + torch.stack([at[f"gain_{c}"] for c in range(3)], dim=1)
    offset_B3 = 0.2 * torch.stack([at[f"offset_{c}"] for c in range(3)], dim=1)
    return artifacts.stain(x_BCHW, gain_B3, offset_B3)


def _bias_field(x_BCHW: Tensor, at: dict[str, Tensor]) -> Tensor:
    return artifacts.bias_field(x_BCHW, torch.stack([at[name] for name in _FIELD], dim=1))


def _motion(x_BCHW: Tensor, at: dict[str, Tensor]) -> Tensor:
    return artifacts.motion(x_BCHW, at["motion"] * x_BCHW.shape[-1], at["motion_when"])


def _ghosting(x_BCHW: Tensor, at: dict[str, Tensor]) -> Tensor:
    return artifacts.ghosting(x_BCHW, at["ghosting"], at["num_ghosts"])


def _gibbs(x_BCHW: Tensor, at: dict[str, Tensor]) -> Tensor:
    return artifacts.gibbs_ringing(x_BCHW, at["gibbs"])


def _blur(x_BCHW: Tensor, at: dict[str, Tensor]) -> Tensor:
    return artifacts.blur(x_BCHW, at["blur"])


_ARTIFACTS: dict[Change, tuple[str, ...]] = {  # in the order of the light path and the scanner
    _stain: _STAIN,
    _bias_field: _FIELD,
    _motion: ("motion",),
    _ghosting: ("ghosting",),
    _gibbs: ("gibbs",),
    _blur: ("blur",),
}


def _moved(
    x_BCHW: Tensor, at: dict[str, Tensor], mask_BHW: Tensor | None, *, fill: str
) -> tuple[Tensor, Tensor | None]:
    """One affine resampling for all geometry: bilinear for images, nearest for masks."""
    if not any(bool(at[n].any()) for n in ("angle", "zoom", "shift_x", "shift_y", "left_right", "up_down", "quarters")):
        return x_BCHW, mask_BHW
    grid = F.affine_grid(_affine(at), list(x_BCHW.shape), align_corners=False)
    image = F.grid_sample(x_BCHW, grid, mode="bilinear", padding_mode=fill, align_corners=False)
    if mask_BHW is None:
        return image, None
    moved = F.grid_sample(mask_BHW[:, None].float(), grid, mode="nearest", padding_mode=fill, align_corners=False)
    return image, moved[:, 0].to(mask_BHW.dtype)


def _affine(at: dict[str, Tensor]) -> Tensor:
    """Where each output pixel comes from, in coordinates of -1 to 1 (PyTorch's affine_grid)."""
    angle = at["angle"] * (math.pi / 180) + at["quarters"] * (math.pi / 2)
    shrink = 1 / (1 + at["zoom"])
    cos, sin = angle.cos() * shrink, angle.sin() * shrink
    flip_x, flip_y = 1 - 2 * at["left_right"], 1 - 2 * at["up_down"]
    rows = [
        torch.stack([cos * flip_x, -sin * flip_y, -2 * at["shift_x"]], dim=1),
        torch.stack([sin * flip_x, cos * flip_y, -2 * at["shift_y"]], dim=1),
    ]
    return torch.stack(rows, dim=1)


def _intensity(x_BCHW: Tensor, at: dict[str, Tensor]) -> Tensor:
    """Gamma, then contrast about the mean of each image, then brightness."""
    if bool(at["gamma"].any()):
        x_BCHW = x_BCHW.clamp_min(0).pow(at["gamma"].exp().view(-1, 1, 1, 1))
    if bool(at["contrast"].any()):
        mean = x_BCHW.mean(dim=(1, 2, 3), keepdim=True)
        x_BCHW = mean + (x_BCHW - mean) * (1 + at["contrast"]).view(-1, 1, 1, 1)
    return (x_BCHW + at["brightness"].view(-1, 1, 1, 1)).clamp_min(0)  # magnitudes: noise would turn them over
