"""The anatomy of one phantom patient, and where each pixel of a picture lies in it.

Lengths are in *head units*: the half-length of the head (nose to back, skin to skin) is 1. The top of the picture is
the face. Everything of a patient is drawn from the patient's seed, so all slices show the same head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scanlens.data.phantoms.shapes import Plane, norm, outline, pixel_grid, random_waves

SCALP = 0.060  # thickness of skin and fat
SKULL = 0.055  # thickness of the bone, marrow included
BRAIN_DEPTH = 0.132  # where the brain begins below the skin: scalp, bone and the fluid around the brain
_NUM_SULCI = 34


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What all slices of a patient share.

    Args:
        half_length: of the head, in half-pictures; aspect: width over length; egg: how much wider the back is.
        center: of the head in the picture; tilt: radians.
        skin_waves: irregular outline of the skin; scalp: thickness of the fat, head units.
        sulci: (N, 6) the furrows of the cortex, see `_sulci`.
        ventricles: size factor (left, right); midline: sideways bow of the falx.
        tissue: brightness of each tissue, 0..1 before the scanner's gain.
        warp_knots: (G, G) knots of the random bending of the folds: coarse x, coarse y, fine x, fine y.
        texture_knots: (G, G) knots of the faint mottling of the tissue.
        vessels: (N, 4) x, y, radius, brightness of normal bright dots; cysts: the same for normal dark ones.
    """

    half_length: float
    aspect: float
    egg: float
    center: tuple[float, float]
    tilt: float
    skin_waves: NDArray[np.float64]
    scalp: float
    sulci: NDArray[np.float64]
    ventricles: tuple[float, float]
    midline: float
    tissue: dict[str, float]
    warp_knots: list[NDArray[np.float64]]
    texture_knots: NDArray[np.float64]
    vessels: NDArray[np.float64]
    cysts: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Head coordinates of every pixel.

    Args:
        x_HW, y_HW: right of and behind the center of the head, head units.
        angle_HW: direction from the center, 0 at the face, positive to the right of the picture, radians.
        depth_HW: distance below the skin, head units; negative in the air.
        edge: width of a soft border, head units: about a pixel, never sharper than the partial volume of a scanner.
    """

    x_HW: Plane
    y_HW: Plane
    angle_HW: Plane
    depth_HW: Plane
    edge: float


@lru_cache(maxsize=16)
def make_head(patient_seed: tuple[int, ...]) -> Head:
    """The head that belongs to these seeds."""
    rng = np.random.default_rng((*patient_seed, 1))
    size_of_ventricles = 1.2 * float(np.exp(rng.normal(0, 0.23)))
    lean = float(rng.normal(0, 0.12))
    return Head(
        half_length=rng.uniform(0.82, 0.93),
        aspect=rng.uniform(0.76, 0.86),
        egg=rng.uniform(0.06, 0.14),
        center=(rng.normal(0, 0.02), rng.normal(0, 0.02)),
        tilt=float(np.clip(rng.normal(0, 0.06), -0.15, 0.15)),
        skin_waves=random_waves(rng, count=4, strength=0.008),
        scalp=SCALP * rng.uniform(0.75, 1.35),
        sulci=_sulci(rng),
        ventricles=(size_of_ventricles * (1 + lean), size_of_ventricles * (1 - lean)),
        midline=float(rng.normal(0, 0.012)),
        tissue=_tissue(rng),
        warp_knots=[rng.normal(size=(detail, detail)) for detail in (9, 9, 22, 22)],
        texture_knots=rng.normal(size=(26, 26)),
        vessels=_vessels(rng),
        cysts=_cysts(rng),
    )


def make_frame(head: Head, *, size: int) -> Frame:
    """Where each pixel of a `size` x `size` picture lies in the head."""
    x_HW, y_HW = pixel_grid(size)
    c, s = np.float32(np.cos(head.tilt) / head.half_length), np.float32(np.sin(head.tilt) / head.half_length)
    from_x, from_y = x_HW - np.float32(head.center[0]), y_HW - np.float32(head.center[1])
    x, y = c * from_x + s * from_y, c * from_y - s * from_x
    aspect = np.float32(head.aspect) * (1 + np.float32(head.egg) * np.clip(y, -1, 1))
    angle = np.arctan2(x, -y)
    wide = x / aspect
    radius = norm(wide, y)
    slope = norm(wide / aspect, y) / np.maximum(radius, np.float32(1e-3))
    depth = (outline(angle, waves=head.skin_waves) - radius) / np.maximum(slope, np.float32(0.5))
    return Frame(x_HW=x, y_HW=y, angle_HW=angle, depth_HW=depth, edge=max(2.3 / size / head.half_length, 0.016))


def midline_x(head: Head, frame: Frame) -> Plane:
    """How far the middle of the head lies from x = 0 at each height: heads are a little crooked."""
    return np.float32(head.midline) * (1 - frame.y_HW * frame.y_HW)


def _sulci(rng: np.random.Generator) -> NDArray[np.float64]:
    """The furrows around the brain, deep and shallow ones in turn.

    Returns: (N, 6): angle, depth, half-width at the surface, where the side branch leaves (share of the depth) and how
        far it goes (sign: to which side), and phase of the slow change over the levels.
    """
    gaps = rng.uniform(0.75, 1.25, _NUM_SULCI)
    angle = np.cumsum(gaps) / gaps.sum() * 2 * np.pi - np.pi - rng.uniform(0, 0.1)
    deep = np.arange(_NUM_SULCI) % 2 == 0
    depth = np.where(deep, rng.uniform(0.17, 0.33, _NUM_SULCI), rng.uniform(0.05, 0.18, _NUM_SULCI))
    width = rng.uniform(0.006, 0.013, _NUM_SULCI) * np.exp(rng.normal(0, 0.25))
    branch = rng.choice([-1, 1], _NUM_SULCI) * np.where(deep, rng.uniform(0.02, 0.045, _NUM_SULCI), 0.004)
    phase = rng.uniform(0, 2 * np.pi, _NUM_SULCI)
    return np.stack([angle, depth, width, rng.uniform(0.45, 0.95, _NUM_SULCI), branch, phase], axis=1)


def _tissue(rng: np.random.Generator) -> dict[str, float]:
    """Brightness of the tissues in a T1-weighted picture after contrast medium; the contrast differs by patient."""
    white = rng.uniform(0.50, 0.58)
    return {
        "fat": rng.uniform(0.80, 1.0),
        "skin": rng.uniform(0.42, 0.55),
        "bone": rng.uniform(0.03, 0.07),
        "marrow": rng.uniform(0.16, 0.42),
        "muscle": rng.uniform(0.30, 0.38),
        "fluid": rng.uniform(0.12, 0.19),
        "white": white,
        "gray": white * rng.uniform(0.68, 0.78),
        "nucleus": white * rng.uniform(0.78, 0.87),
        "vessel": rng.uniform(0.70, 0.95),
    }


def _vessels(rng: np.random.Generator) -> NDArray[np.float64]:
    """Bright dots that everybody has: arteries in the fissures, veins on the surface, now and then a larger one."""
    rows = [(0.0, -0.44 + rng.normal(0, 0.02), 0.014, 1.0)]
    for side in (-1, 1):
        rows += [
            (side * rng.uniform(0.36, 0.50), rng.uniform(-0.16, 0.06), rng.uniform(0.007, 0.014), 0.9) for _ in range(3)
        ]
    for _ in range(rng.poisson(1.5)):
        rows.append((*_anywhere(rng, 0.3, 0.8), rng.uniform(0.007, 0.016), rng.uniform(0.4, 1)))
    if rng.random() < 0.35:
        rows.append((*_anywhere(rng, 0.25, 0.9), rng.uniform(0.025, 0.045), rng.uniform(0.6, 1)))
    return np.array(rows)


def _cysts(rng: np.random.Generator) -> NDArray[np.float64]:
    """Dark harmless spots: lacunes, wide vessel sheaths, seldom a cyst at the surface."""
    rows = []
    for _ in range(rng.poisson(1.5)):
        rows.append((rng.uniform(-0.35, 0.35), rng.uniform(-0.4, 0.4), rng.uniform(0.010, 0.022), rng.uniform(0.5, 1)))
    if rng.random() < 0.25:
        angle = rng.choice([-1, 1]) * rng.uniform(0.5, 2.6)
        rows.append((0.68 * np.sin(angle), -0.82 * np.cos(angle), rng.uniform(0.06, 0.13), 1.0))
    return np.array(rows).reshape(-1, 4)


def _anywhere(rng: np.random.Generator, nearest: float, farthest: float) -> tuple[float, float]:
    """A point in the brain, between two shares of the way from its center to its surface."""
    angle, reach = rng.uniform(-np.pi, np.pi), rng.uniform(nearest, farthest)
    return 0.68 * reach * float(np.sin(angle)), -0.84 * reach * float(np.cos(angle))
