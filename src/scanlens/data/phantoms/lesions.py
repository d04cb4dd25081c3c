"""Tumors of the MRI phantom: where they grow, how they look, how they push the tissue around them.

The head (level, anatomy, scanner) is drawn before the class is known, so nothing but the lesion tells the class.
Pituitary tumors are therefore met somewhat higher up than in life.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scanlens.data.phantoms.head import BRAIN_DEPTH, Frame, Head, make_head
from scanlens.data.phantoms.shapes import Plane, blend, coverage, norm, outline, random_waves, smooth_noise

_RADII = {"glioma": (0.17, 0.33), "meningioma": (0.15, 0.28), "pituitary": (0.10, 0.19)}
_WAVES = {"glioma": 0.11, "meningioma": 0.05, "pituitary": 0.06}
_MENINGIOMA_DEPTH = 0.42  # of its center below the surface of the brain, in radii


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """The tumor of one patient.

    Args:
        kind: "glioma", "meningioma" or "pituitary".
        center: (x, y), head units; radius: of the largest cross-section, head units.
        contrast: how much brighter than white matter the enhancing part is, 0..1 (1: nearly as bright as fat).
        core: radius of the dark middle, as a share of the radius; 0: none.
        swelling: how far the oedema reaches, as a share of the radius; 1: none.
        waves: irregular outline, see `outline`; gap: direction in which the bright ring is thinner, radians.
        knots: (G, G) knots of the ragged inner and outer border.
    """

    kind: str
    center: tuple[float, float]
    radius: float
    contrast: float
    core: float
    swelling: float
    waves: NDArray[np.float64]
    gap: float
    knots: NDArray[np.float64]


@lru_cache(maxsize=256)
def make_lesion(kind: str, *, patient_seed: tuple[int, ...], min_contrast: float) -> Lesion:
    """The tumor that a patient of this class has."""
    rng = np.random.default_rng((*patient_seed, 2))
    radius = float(rng.uniform(*_RADII[kind]))
    core = (0.30 + 1.6 * radius) * rng.uniform(0.75, 1.15) if kind == "glioma" else 0.0
    return Lesion(
        kind=kind,
        center=_place(kind, radius, make_head(patient_seed), rng),
        radius=radius,
        contrast=float(rng.uniform(min_contrast, 1.0)),
        core=float(core),
        swelling=float(rng.uniform(1.5, 2.6)) if kind == "glioma" else 1.0,
        waves=random_waves(rng, count=5, strength=_WAVES[kind]),
        gap=float(rng.uniform(-np.pi, np.pi)),
        knots=rng.normal(size=(30, 30)),
    )


def cross_section(lesion: Lesion, *, offset: float) -> Lesion:
    """The part of the tumor that one slice cuts.

    Args:
        offset: height of the slice above the middle of the tumor, -1 .. 1 of its radius.
    """
    waves = lesion.waves + np.stack([np.zeros(len(lesion.waves)), 0.5 * offset * np.arange(len(lesion.waves))], axis=1)
    share = float(np.sqrt(1 - min(abs(offset), 0.95) ** 2))
    x, y = lesion.center
    if lesion.kind == "meningioma":  # sits on the bone in every slice
        outward = 1 + _MENINGIOMA_DEPTH * lesion.radius * (1 - share) / float(np.hypot(x, y))
        x, y = x * outward, y * outward
    return replace(lesion, center=(x, y), radius=lesion.radius * share, waves=waves)


def pushed_frame(frame: Frame, lesion: Lesion) -> Frame:
    """The head coordinates with the tissue beside the tumor moved away from it; skull and surface stay in place."""
    if lesion.kind == "pituitary":
        return frame
    from_x, from_y = frame.x_HW - np.float32(lesion.center[0]), frame.y_HW - np.float32(lesion.center[1])
    reach = np.float32(2.2 * lesion.radius)
    pull = np.float32(0.38) * np.exp(-(from_x * from_x + from_y * from_y) / (reach * reach))
    return replace(frame, x_HW=frame.x_HW - pull * from_x, y_HW=frame.y_HW - pull * from_y)


def lesion_cover(lesion: Lesion, head: Head, frame: Frame) -> Plane:
    """How much of each pixel the tumor itself (ring and core, no oedema) fills, 0..1."""
    return coverage(_distance(lesion, head, frame), frame.edge)


def draw_lesion(signal: Plane, lesion: Lesion, head: Head, frame: Frame, *, white: Plane) -> None:
    """Draw the tumor over the healthy slice, in place.

    Args:
        signal: (H, W) brightness.
        frame: as the scanner sees it, not the pushed one.
        white: (H, W) how much of each pixel is white matter, along which a glioma spreads.
    """
    ragged = smooth_noise(signal.shape[0], lesion.knots)
    distance = _distance(lesion, head, frame)
    enhanced = head.tissue["white"] + 0.45 * lesion.contrast
    if lesion.kind == "glioma":
        _draw_oedema(signal, lesion, frame, distance=distance, ragged=ragged, white=white)
        ring = 1 - np.float32(0.15) * (1 + np.cos(_angle(lesion, frame) - np.float32(lesion.gap)))
        blend(signal, np.float32(enhanced) * ring * (1 + np.float32(0.09) * ragged), coverage(distance, frame.edge))
    else:
        cleft = np.abs(distance - np.float32(0.014)) - np.float32(0.007)
        inside = coverage(np.float32(BRAIN_DEPTH - 0.02) - frame.depth_HW, frame.edge)
        blend(signal, head.tissue["fluid"], coverage(cleft, frame.edge) * inside * np.float32(0.55))
        if lesion.kind == "meningioma":
            _draw_tail(signal, lesion, frame, value=0.92 * enhanced)
        blend(signal, np.float32(enhanced) * (1 + np.float32(0.05) * ragged), coverage(distance, frame.edge))
    if lesion.core > 0:
        _draw_core(signal, lesion, head, frame, distance=distance, ragged=ragged)


def _place(kind: str, radius: float, head: Head, rng: np.random.Generator) -> tuple[float, float]:
    """Center of the tumor: in the white matter, on the inside of the skull, or in the midline before the midbrain."""
    if kind == "pituitary":
        return head.midline + float(rng.normal(0, 0.012)), float(rng.uniform(-0.13, -0.05))
    side = rng.choice([-1.0, 1.0])
    angle = side * rng.uniform(0.55, 2.60)
    below_skin = (
        BRAIN_DEPTH + _MENINGIOMA_DEPTH * radius
        if kind == "meningioma"
        else BRAIN_DEPTH + radius + rng.uniform(0.03, 0.16)
    )
    y = -np.cos(angle)
    aspect = head.aspect * (1 + head.egg * y)
    share = 1 - below_skin * float(np.hypot(np.sin(angle) / aspect, y))
    x, y = aspect * np.sin(angle) * share, y * share
    if kind == "glioma":
        x = side * max(abs(x), 0.12 + 0.6 * radius)
    return float(x), float(y)


def _angle(lesion: Lesion, frame: Frame) -> Plane:
    return np.arctan2(frame.y_HW - np.float32(lesion.center[1]), frame.x_HW - np.float32(lesion.center[0]))


def _distance(lesion: Lesion, head: Head, frame: Frame) -> Plane:
    """Signed distance to the border of the tumor, which never grows through the bone."""
    from_x, from_y = frame.x_HW - np.float32(lesion.center[0]), frame.y_HW - np.float32(lesion.center[1])
    bulge = outline(np.arctan2(from_y, from_x), waves=lesion.waves)
    distance = norm(from_x, from_y) - np.float32(lesion.radius) * bulge
    if lesion.kind == "glioma":
        distance += np.float32(0.10 * lesion.radius) * smooth_noise(frame.x_HW.shape[0], lesion.knots)
    bone = np.float32(BRAIN_DEPTH - (0.02 if lesion.kind == "meningioma" else 0.0)) - frame.depth_HW
    return np.maximum(distance, bone)


def _draw_oedema(signal: Plane, lesion: Lesion, frame: Frame, *, distance: Plane, ragged: Plane, white: Plane) -> None:
    """Water around the tumor: darker, without a sharp border, in fingers along the white matter."""
    reach = (lesion.swelling - 1) * lesion.radius
    beyond = distance - np.float32(0.6 * reach) * (1 + np.float32(0.5) * ragged)
    cover = coverage(beyond, max(0.8 * reach, frame.edge)) * (np.float32(0.15) + np.float32(0.85) * white)
    signal *= 1 - np.float32(0.40) * cover


def _draw_core(signal: Plane, lesion: Lesion, head: Head, frame: Frame, *, distance: Plane, ragged: Plane) -> None:
    """Dead tissue in the middle: dark, ragged, never out to the rim."""
    rim = lesion.radius * (1 - lesion.core)
    core = distance + np.float32(rim) * (1 + np.float32(0.40) * np.clip(ragged, -2, 2))
    dark = 1.35 * head.tissue["fluid"]
    blend(signal, np.float32(dark) * (1 + np.float32(0.15) * ragged), coverage(core, 1.5 * frame.edge))


def _draw_tail(signal: Plane, lesion: Lesion, frame: Frame, *, value: float) -> None:
    """The dural tail: the membrane beside a meningioma takes up contrast medium too."""
    sheet = np.abs(frame.depth_HW - np.float32(BRAIN_DEPTH - 0.012)) - np.float32(0.009)
    away = norm(frame.x_HW - np.float32(lesion.center[0]), frame.y_HW - np.float32(lesion.center[1]))
    blend(signal, value, coverage(np.maximum(sheet, away - np.float32(1.75 * lesion.radius)), frame.edge))
