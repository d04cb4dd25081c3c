"""The healthy head, drawn slice by slice: scalp, skull, folded cortex, ventricles, deep nuclei.

Lengths are in head units (see `head`); the axial level goes from 0 (base: midbrain, suprasellar cistern) to 1 (above
the deep nuclei).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scanlens.data.phantoms.head import BRAIN_DEPTH, SKULL, Frame, Head, midline_x
from scanlens.data.phantoms.shapes import Plane, blend, capsule, coverage, ellipse, norm, smooth_min, smooth_noise


def draw_head(head: Head, frame: Frame, *, level: float) -> tuple[Plane, Plane]:
    """The healthy slice.

    Returns:
        (signal_HW, white_HW): brightness 0..1, and how much of each pixel is white matter.
    """
    tissue, edge = head.tissue, frame.edge
    texture = smooth_noise(frame.x_HW.shape[0], head.texture_knots)
    signal = np.zeros_like(frame.x_HW)
    _draw_scalp_and_skull(signal, head, frame, level=level, texture=texture)

    fluid, brain = _cortex(head, frame, level=level)
    cavity = coverage(np.float32(BRAIN_DEPTH - 0.02) - frame.depth_HW, edge)
    blend(signal, tissue["fluid"], cavity)
    inside = coverage(-fluid, edge)
    ribbon = np.float32(0.038) + np.float32(0.004) * texture
    white = coverage(ribbon - fluid, edge)
    mottled = 1 + np.float32(0.022) * texture
    blend(signal, tissue["gray"] * mottled, inside)
    white = _draw_deep_nuclei(signal, head, frame, level=level, white=white, mottled=mottled)
    _draw_midbrain(signal, head, frame, level=level)
    spaces = _ventricles(head, frame, level=level)
    blend(signal, tissue["fluid"], coverage(spaces, edge))
    _draw_falx(signal, head, frame, brain=brain)
    white *= 1 - coverage(spaces, edge)
    _draw_spots(signal, head, frame, level=level, inside=inside, spaces=spaces)
    return signal, white


def _draw_scalp_and_skull(signal: Plane, head: Head, frame: Frame, *, level: float, texture: Plane) -> None:
    tissue, depth, edge = head.tissue, frame.depth_HW, frame.edge
    temple = np.exp(-(((np.abs(frame.angle_HW) - 1.25) / 0.38) ** 2)) * np.float32(max(0.0, 1.05 - level))
    bone_at = np.float32(BRAIN_DEPTH - 0.02 - SKULL)
    fat_to = np.minimum(np.float32(head.scalp), bone_at - np.float32(0.004)) * (1 - np.float32(0.55) * temple)
    blend(signal, tissue["skin"], coverage(-depth, edge))
    blend(signal, tissue["fat"] * (1 + np.float32(0.05) * texture), coverage(np.float32(0.012) - depth, edge))
    blend(signal, tissue["muscle"], coverage(fat_to - depth, edge))
    blend(signal, tissue["bone"], coverage(bone_at - depth, edge))
    thick = np.float32(0.011) * (1 + np.float32(0.35) * texture) * (1 - np.float32(0.8) * temple)
    marrow = np.abs(depth - bone_at - np.float32(0.45 * SKULL)) - thick
    blend(signal, tissue["marrow"], coverage(marrow, edge))


def _cortex(head: Head, frame: Frame, *, level: float) -> tuple[Plane, Plane]:
    """The folded surface of the brain.

    Returns:
        (fluid_HW, brain_HW): distance to the fluid around and between the folds (positive in tissue), and depth below
            the smooth hull of the brain.
    """
    size = frame.x_HW.shape[0]
    coarse_x, coarse_y, fine_x, fine_y = (smooth_noise(size, knots) for knots in head.warp_knots)
    x = frame.x_HW + np.float32(0.030) * coarse_x + np.float32(0.013) * fine_x
    y = frame.y_HW + np.float32(0.030) * coarse_y + np.float32(0.013) * fine_y
    brain = frame.depth_HW - np.float32(BRAIN_DEPTH)
    furrow = _furrow_distance(head.sulci, x, y, depth=brain, bend=coarse_x + coarse_y, level=level)
    fluid = smooth_min(brain, furrow, 0.03)
    fluid = smooth_min(fluid, _fissures(head, frame, x, y, level=level), 0.02)
    if level < 0.3:
        fluid = np.minimum(fluid, _base_cistern(frame.x_HW - midline_x(head, frame), y, level=level))
    return fluid, brain


def _furrow_distance(
    sulci: NDArray[np.float64], x: Plane, y: Plane, *, depth: Plane, bend: Plane, level: float
) -> Plane:
    """Distance to the nearest furrow: a bent line inwards from the surface, narrowing, with a side branch."""
    angle, reach, width, branch_at, branch, phase = sulci.T.astype(np.float32)
    length = reach * (1 + np.float32(0.35) * np.sin(np.float32(4.0 * level) + 2 * phase))
    angle = angle + np.float32(0.06) * np.sin(np.float32(3.0 * level) + phase)
    gaps = np.diff(angle, append=angle[:1] + np.float32(2 * np.pi))
    borders = np.concatenate([angle[:1] - gaps[-1:] / 2, angle + gaps / 2])
    direction = np.arctan2(x, -y) + np.float32(0.4) * depth * bend
    nearest = np.searchsorted(borders, direction) - 1
    nearest = nearest % len(angle)

    turn = direction - angle[nearest]
    turn -= np.float32(2 * np.pi) * np.rint(turn * np.float32(0.5 / np.pi))
    sideways = turn * norm(x, y)
    end = length[nearest]
    line = norm(sideways, np.maximum(depth - end, 0))
    side = branch[nearest]
    along = np.clip(sideways / side, 0, 1)
    twig = norm(sideways - along * side, depth - (branch_at[nearest] + np.float32(0.4) * along * np.abs(side)) * end)
    taper = 1 - np.float32(0.7) * np.clip(depth / end, 0, 1)
    return np.minimum(line, twig + np.float32(0.003)) - width[nearest] * taper


def _fissures(head: Head, frame: Frame, x: Plane, y: Plane, *, level: float) -> Plane:
    """Distance to the cleft between the hemispheres and to the Sylvian fissures."""
    middle = np.abs(frame.x_HW - midline_x(head, frame) + np.float32(0.25) * (x - frame.x_HW)) - np.float32(0.006)
    reach_front, reach_back = 0.44 - 0.10 * level, 0.36 + 0.08 * (1 - level)
    closed = np.maximum(np.minimum(frame.y_HW + np.float32(reach_front), np.float32(reach_back) - frame.y_HW), 0)
    cleft = norm(np.maximum(middle, 0), closed) + np.minimum(middle, 0)
    return np.minimum(cleft, _sylvian_fissures(x, y, level=level))


def _sylvian_fissures(x: Plane, y: Plane, *, level: float) -> Plane:
    """Distance to the clefts above the temples and to the insulae they open into; they close on the way up."""
    wide = float(np.clip(1.3 - 1.4 * level, 0.0, 1.0))
    cleft = np.full_like(x, 9.0)
    for side in (-1.0, 1.0):
        bottom = (side * (0.74 - 0.27 * wide), -0.10)
        stem = capsule(x, y, start=(side * 0.74, -0.20), end=bottom, radii=(0.004, 0.010 * wide))
        cleft = np.minimum(cleft, stem)
        if wide > 0.25:
            radii = (0.012 * wide, 0.006 * wide)
            cleft = np.minimum(cleft, capsule(x, y, start=(side * 0.47, -0.17), end=(side * 0.50, 0.07), radii=radii))
    return cleft


def _draw_deep_nuclei(signal: Plane, head: Head, frame: Frame, *, level: float, white: Plane, mottled: Plane) -> Plane:
    """White matter, with the basal ganglia and thalami in it; returns what is left of the white matter."""
    blend(signal, head.tissue["white"] * mottled, white)
    present = float(np.clip(4 * (level - 0.12), 0, 1) * np.clip(4 * (0.92 - level), 0, 1))
    if present <= 0:
        return white
    x, y = frame.x_HW - midline_x(head, frame), frame.y_HW
    swell = 0.75 + 0.25 * present
    for side in (-1.0, 1.0):
        thalamus = ellipse(x, y, center=(side * 0.095, 0.07), radii=(0.070 * swell, 0.115 * swell), turn=side * 0.35)
        putamen = ellipse(x, y, center=(side * 0.275, -0.06), radii=(0.050 * swell, 0.150 * swell), turn=side * -0.20)
        caudate = ellipse(x, y, center=(side * 0.150, -0.25), radii=(0.042 * swell, 0.080 * swell), turn=side * -0.25)
        nuclei = np.minimum(np.minimum(thalamus, putamen), caudate)
        cover = coverage(nuclei, 2.2 * frame.edge) * np.float32(present)
        blend(signal, head.tissue["nucleus"] * mottled, cover)
        white = white * (1 - np.float32(0.7) * cover)
    return white


def _base_cistern(x: Plane, y: Plane, *, level: float) -> Plane:
    """Distance to the star-shaped fluid space at the base and the clefts around the midbrain; shrinks on the way up."""
    star = capsule(x, y, start=(0.0, -0.25), end=(0.0, -0.05), radii=(0.012, 0.070))
    for side in (-1.0, 1.0):
        arm = capsule(x, y, start=(0.0, -0.09), end=(side * 0.26, -0.15), radii=(0.055, 0.010))
        valley = capsule(x, y, start=(side * 0.24, -0.145), end=(side * 0.50, -0.10), radii=(0.010, 0.010))
        ambient = capsule(x, y, start=(side * 0.11, -0.02), end=(side * 0.16, 0.12), radii=(0.020, 0.016))
        behind = capsule(x, y, start=(side * 0.16, 0.12), end=(side * 0.06, 0.25), radii=(0.016, 0.016))
        star = smooth_min(smooth_min(star, np.minimum(arm, valley), 0.03), np.minimum(ambient, behind), 0.02)
    star = np.minimum(star, capsule(x, y, start=(-0.06, 0.25), end=(0.06, 0.25), radii=(0.016, 0.016)))
    return star + np.float32(max(0.0, 0.5 * (level - 0.16)))


def _draw_midbrain(signal: Plane, head: Head, frame: Frame, *, level: float) -> None:
    """The brain stem in the middle of the base, with its two peduncles towards the face and the aqueduct."""
    lift = np.float32(max(0.0, 0.5 * (level - 0.16)))
    if lift > 0.06:
        return
    x, y, edge = frame.x_HW - midline_x(head, frame), frame.y_HW, frame.edge
    stem = ellipse(x, y, center=(0.0, 0.13), radii=(0.120, 0.088))
    for side in (-1.0, 1.0):
        peduncle = ellipse(x, y, center=(side * 0.070, 0.035), radii=(0.042, 0.080), turn=side * 0.5)
        stem = smooth_min(stem, peduncle, 0.04)
    blend(signal, 0.5 * (head.tissue["white"] + head.tissue["nucleus"]), coverage(stem + lift, 1.5 * edge))
    for side in (-1.0, 1.0):
        dark = ellipse(x, y, center=(side * 0.055, 0.075), radii=(0.034, 0.014), turn=side * 0.6)
        blend(signal, head.tissue["gray"], coverage(dark + lift, 2 * edge) * np.float32(0.7))
    blend(signal, head.tissue["fluid"], coverage(norm(x, y - np.float32(0.175)) - np.float32(0.013) + lift, edge))


_LEVELS = (0.1, 0.3, 0.55, 0.85)
_VENTRICLE_KEYS = np.array(  # per level: front horn x0 y0 x1 y1 r0 r1; back horn x0 y0 x1 y1 r0 r1; radius of the body
    [
        [0.030, -0.24, 0.070, -0.30, -0.020, -0.020, 0.280, 0.12, 0.300, 0.24, 0.004, 0.012, -0.05],
        [0.030, -0.22, 0.110, -0.36, 0.012, 0.024, 0.220, 0.20, 0.270, 0.38, 0.024, 0.018, -0.05],
        [0.035, -0.17, 0.120, -0.37, 0.024, 0.036, 0.170, 0.16, 0.250, 0.40, 0.036, 0.022, -0.02],
        [0.070, -0.14, 0.120, -0.34, 0.034, 0.022, 0.110, 0.12, 0.190, 0.34, 0.038, 0.022, 0.034],
    ]
)


def _ventricles(head: Head, frame: Frame, *, level: float) -> Plane:
    """Signed distance to the inner fluid spaces; their shape glides from level to level."""
    keys = [float(np.interp(level, _LEVELS, column)) for column in _VENTRICLE_KEYS.T]
    x, y = frame.x_HW - midline_x(head, frame), frame.y_HW
    wave = np.float32(0.022) * np.sin(np.float32(7.0) * y + np.float32(0.6))
    x = x + wave * np.clip(12 * x, -1, 1)
    slit = 0.012 * min(1.0, 6 * (level - 0.15)) if level < 0.6 else 0.012 - 0.12 * (level - 0.6)
    spaces = capsule(x, y, start=(0.0, -0.09), end=(0.0, 0.12), radii=(slit, slit * 1.2))
    for side, size in zip((-1.0, 1.0), head.ventricles, strict=True):
        spaces = smooth_min(spaces, _lateral_ventricle(x, y, keys, side=side, size=size), 0.012)
    return spaces


def _lateral_ventricle(x: Plane, y: Plane, keys: list[float], *, side: float, size: float) -> Plane:
    """Signed distance to the ventricle of one hemisphere; negative radii in the keys mean that a part is absent."""
    x0, y0, x1, y1, r0, r1, back_x0, back_y0, back_x1, back_y1, back_r0, back_r1, body = (
        key * size if k in (4, 5, 10, 11, 12) and key > 0 else key for k, key in enumerate(keys)
    )
    front, joint, back = (side * x0, y0), (side * back_x0, back_y0), (side * back_x1, back_y1)
    horn = capsule(x, y, start=front, end=(side * x1, y1), radii=(r0, r1))
    atrium = capsule(x, y, start=joint, end=back, radii=(back_r0, back_r1))
    middle = capsule(x, y, start=front, end=joint, radii=(body, body))
    return smooth_min(smooth_min(horn, middle, 0.03), atrium, 0.03)


def _draw_falx(signal: Plane, head: Head, frame: Frame, *, brain: Plane) -> None:
    """The membrane in the midline (takes up contrast medium) and the large vein at the back."""
    away = np.abs(frame.x_HW - midline_x(head, frame))
    cover = coverage(away - np.float32(0.004), frame.edge) * ((frame.y_HW < -0.5) | (frame.y_HW > 0.46))
    cover *= coverage(-brain - np.float32(0.02), frame.edge)
    blend(signal, 0.75 * head.tissue["white"], cover * np.float32(0.6))
    vein = capsule(away, frame.y_HW, start=(0.0, 0.795), end=(0.0, 0.865), radii=(0.006, 0.026))
    vein = np.maximum(vein, np.float32(-0.016) - brain)
    blend(signal, head.tissue["vessel"], coverage(vein, frame.edge))


def _draw_spots(signal: Plane, head: Head, frame: Frame, *, level: float, inside: Plane, spaces: Plane) -> None:
    """Harmless bright and dark dots, a little elsewhere on each level; choroid plexus in the back of the ventricles."""
    x, y, edge = frame.x_HW, frame.y_HW, frame.edge
    drift = 0.05 * (level - 0.5)
    room = np.maximum(inside, coverage(np.float32(BRAIN_DEPTH - 0.015) - frame.depth_HW, edge))
    for spots, value in ((head.cysts, head.tissue["fluid"]), (head.vessels, head.tissue["vessel"])):
        for spot_x, spot_y, radius, strength in spots:
            dot = norm(x - np.float32(spot_x * (1 + drift)), y - np.float32(spot_y + drift)) - np.float32(radius)
            blend(signal, value, coverage(dot, edge) * room * np.float32(strength))
    for side in (-1.0, 1.0):
        plexus = ellipse(x, y, center=(side * 0.20, 0.27), radii=(0.030, 0.055), turn=side * -0.4)
        cover = coverage(np.maximum(plexus, spaces + np.float32(0.008)), edge)
        blend(signal, 0.9 * head.tissue["vessel"], cover * np.float32(0.8))
