"""Soft shapes and smooth noise on a picture grid: what both phantoms are drawn with.

Lengths are in half-pictures (the picture reaches from -1 to 1 in both directions), so a phantom looks alike at every
size. A *depth* or *distance* is signed: negative inside a shape. Axes: H rows (down), W columns (right).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]  # (H, W), float32
Point = tuple[float, float]


@lru_cache(maxsize=8)
def pixel_grid(size: int) -> tuple[Plane, Plane]:
    """(x_HW, y_HW): where the pixel centers are, from -1 (left, top) to 1 (right, bottom). Read-only, shared."""
    centers = ((np.arange(size) + 0.5) * 2 / size - 1).astype(np.float32)
    x_HW, y_HW = (np.array(plane, np.float32) for plane in np.meshgrid(centers, centers))
    x_HW.flags.writeable = y_HW.flags.writeable = False
    return x_HW, y_HW


def norm(a: Plane, b: Plane) -> Plane:
    """Length of the vectors (a, b); some times faster than np.hypot, which guards against overflow."""
    return np.sqrt(a * a + b * b)


def coverage(distance: Plane, edge: float) -> Plane:
    """How much of each pixel is inside a shape, 0..1, from the signed distance to its border (an edge `edge` wide)."""
    return np.clip(np.float32(0.5) - distance / np.float32(edge), np.float32(0), np.float32(1))


def blend(picture: Plane, value: float | Plane, cover: Plane) -> None:
    """Lay `value` over the picture where `cover` is 1, in place; in between is partial volume."""
    picture += cover * (value - picture)


def smooth_min(a: Plane, b: Plane, roundness: float) -> Plane:
    """The union of two signed distances, with the corner filled by a curve `roundness` wide.

    References:
        Inigo Quilez: smooth minimum (quadratic), https://iquilezles.org/articles/smin/
    """
    overlap = np.maximum(np.float32(roundness) - np.abs(a - b), 0)
    return np.minimum(a, b) - overlap * overlap * np.float32(0.25 / roundness)


def capsule(x: Plane, y: Plane, *, start: Point, end: Point, radii: tuple[float, float]) -> Plane:
    """Signed distance to a stroke from start to end whose radius goes from radii[0] to radii[1]."""
    along_x, along_y = float(end[0] - start[0]), float(end[1] - start[1])
    from_x, from_y = x - np.float32(start[0]), y - np.float32(start[1])
    share = (from_x * along_x + from_y * along_y) * np.float32(1 / max(along_x**2 + along_y**2, 1e-9))
    share = np.clip(share, 0, 1)
    radius = np.float32(radii[0]) + share * np.float32(radii[1] - radii[0])
    return norm(from_x - share * np.float32(along_x), from_y - share * np.float32(along_y)) - radius


def ellipse(x: Plane, y: Plane, *, center: Point, radii: tuple[float, float], turn: float = 0.0) -> Plane:
    """Signed distance (first order) to an ellipse turned by `turn` radians."""
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    from_x, from_y = x - np.float32(center[0]), y - np.float32(center[1])
    u, v = (c * from_x + s * from_y) / np.float32(radii[0]), (c * from_y - s * from_x) / np.float32(radii[1])
    return (norm(u, v) - 1) * np.float32(min(radii))


def outline(angle: Plane, *, waves: NDArray[np.float64]) -> Plane:
    """A factor around 1 by which a round shape bulges in each direction.

    Args:
        angle: direction, radians.
        waves: (N, 2): strength and phase of the wave with 2, 3, ... N+1 bulges.
    """
    factor = np.ones_like(angle)
    for bulges, (strength, phase) in enumerate(waves, start=2):
        factor += np.float32(strength) * np.cos(np.float32(bulges) * angle + np.float32(phase))
    return factor


def random_waves(rng: np.random.Generator, *, count: int, strength: float) -> NDArray[np.float64]:
    """Waves for `outline`: the k-th is about strength / k strong, in a random phase."""
    order = np.arange(1, count + 1)
    return np.stack([rng.normal(0, strength, count) / order, rng.uniform(0, 2 * np.pi, count)], axis=1)


def smooth_noise(size: int, knots: NDArray[np.float64]) -> Plane:
    """A smooth field through random knots (about the spread of the knots), the same picture at every size.

    Args:
        size: rows and columns of the result.
        knots: (G, G) independent values; the detail is about 2 / G of the picture.
    """
    place_H4, weight_H4 = _spline_weights(size, knots.shape[0])
    rows_HG = np.zeros((size, knots.shape[1]), np.float32)
    field_HW = np.zeros((size, size), np.float32)
    for k in range(4):
        rows_HG += weight_H4[:, k, None] * knots.astype(np.float32)[place_H4[:, k]]
    for k in range(4):
        field_HW += weight_H4[:, k] * rows_HG[:, place_H4[:, k]]
    return field_HW


@lru_cache(maxsize=64)
def _spline_weights(size: int, count: int) -> tuple[NDArray[np.intp], Plane]:
    """(place_H4, weight_H4): the four knots that matter for each row, and their cubic B-spline weights.

    The weights are scaled so that knots of unit variance give about unit variance. No matrix product is used: its last
    digits depend on the number of threads.
    """
    position = (np.arange(size) + 0.5) / size * (count - 3) + 1
    place_H4 = np.floor(position).astype(np.intp)[:, None] + np.arange(-1, 3)
    away = np.abs(position[:, None] - place_H4)
    weight_H4 = np.where(away < 1, 2 / 3 - away**2 + away**3 / 2, np.maximum(2 - away, 0) ** 3 / 6)
    weight_H4 /= np.sqrt((weight_H4**2).sum(1).mean())
    return np.minimum(place_H4, count - 1), weight_H4.astype(np.float32)
