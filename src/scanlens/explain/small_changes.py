"""Images changed so little that nobody would read them differently, and maps of them moved back to where they belong.

Two sets are asked for: the five of a verdict, which move, light and disturb one image, and the three of the score card, which
leave everything in its place, so that whole maps can be compared pixel by pixel.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_SURELY_KNOWN = 0.999  # of a pixel that comes from inside only


@dataclass(frozen=True, slots=True)
class SmallChange:
    """One small change; what is not named stays as it is.

    Args:
        name: for a reader.
        shift_px: down and to the right.
        turn_deg: about the middle.
        noise: standard deviation of white noise, of the range of the image.
        gain: factor on every pixel.
        offset: added to every pixel, of the range of the image.
        contrast: factor on the distance of every pixel from the mean of the image.
        keeps_floor: whether no pixel gets darker than the darkest one; none ever gets brighter than the brightest.
        drawn_in: type in which the noise is drawn, for the same seed gives other noise in another one.
    """

    name: str
    shift_px: int = 0
    turn_deg: float = 0.0
    noise: float = 0.0
    gain: float = 1.0
    offset: float = 0.0
    contrast: float = 1.0
    keeps_floor: bool = False
    drawn_in: torch.dtype = torch.float64

    @property
    def moves(self) -> bool:
        """Whether it takes pixels to other places."""
        return self.shift_px != 0 or self.turn_deg != 0

    def of(self, x_CHW: Tensor, *, seed: int) -> Tensor:
        """The image after the change.

        Args:
            x_CHW: an image, floating point.
            seed: of the noise.
        """
        low, high = x_CHW.min(), x_CHW.max()
        changed_CHW = _moved(x_CHW, self.shift_px, self.turn_deg) if self.moves else x_CHW
        if self.contrast != 1:
            mean = x_CHW.mean()
            changed_CHW = mean + self.contrast * (changed_CHW - mean)
        if self.noise:
            generator = torch.Generator().manual_seed(seed)
            noise_CHW = torch.randn(x_CHW.shape, generator=generator, dtype=self.drawn_in).to(x_CHW)
            changed_CHW = changed_CHW + self.noise * (high - low) * noise_CHW
        if self.gain != 1:
            changed_CHW = changed_CHW * self.gain
        if self.offset:
            changed_CHW = changed_CHW + self.offset * (high - low)
        return changed_CHW.clamp(low if self.keeps_floor else None, high)

    def undone(self, map_HW: Tensor, covered_HW: Tensor) -> Tensor:
        """A map of the changed image, where it would lie on the image before; NaN where nothing is known.

        Args:
            map_HW: floating point.
            covered_HW: bool, what the map covers.
        """
        back = (-self.shift_px, -self.turn_deg)
        known_1HW = _moved(covered_HW.to(map_HW.dtype)[None], *back, padding="zeros") > _SURELY_KNOWN
        return torch.where(known_1HW, _moved(map_HW[None], *back), float("nan"))[0]


OF_A_VERDICT: tuple[SmallChange, ...] = (
    SmallChange("shifted by 1 pixel", shift_px=1),
    SmallChange("noise of 1 %", noise=0.01),
    SmallChange("5 % darker", gain=0.95),
    SmallChange("2 % brighter everywhere", offset=0.02),
    SmallChange("turned by 2 degrees", turn_deg=2.0),
)
OF_THE_SCORE_CARD: tuple[SmallChange, ...] = (
    SmallChange("noise of 2 %", noise=0.02, keeps_floor=True, drawn_in=torch.float32),
    SmallChange("noise of 2 % again", noise=0.02, keeps_floor=True, drawn_in=torch.float32),
    SmallChange("5 % more contrast", contrast=1.05, keeps_floor=True),
)


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
