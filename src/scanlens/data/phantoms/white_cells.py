"""White blood cells of the microscopy phantom: the class is told by the shape of the nucleus.

neutrophil: 2-5 lobes joined by threads, pale pink cytoplasm; lymphocyte: one large round nucleus, a thin blue rim;
monocyte: a kidney-shaped nucleus in a large gray-blue cell; eosinophil: two lobes among coarse orange granules.
Lengths are in half-pictures, distances signed (negative inside).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scanlens.data.phantoms.shapes import (
    Plane,
    Point,
    capsule,
    coverage,
    norm,
    outline,
    pixel_grid,
    random_waves,
    smooth_min,
    smooth_noise,
)

_NUCLEUS = np.array([1.28, 1.75, 0.70], np.float32)  # optical density of methylene azure on chromatin, per color
_CYTOPLASM = {
    "neutrophil": np.array([0.12, 0.24, 0.10], np.float32),
    "lymphocyte": np.array([0.42, 0.40, 0.14], np.float32),
    "monocyte": np.array([0.40, 0.42, 0.20], np.float32),
    "eosinophil": np.array([0.13, 0.42, 0.40], np.float32),
}
_GRANULE = {
    "neutrophil": np.array([0.09, 0.15, 0.05], np.float32),
    "lymphocyte": np.array([0.05, 0.05, 0.02], np.float32),
    "monocyte": np.array([0.09, 0.11, 0.03], np.float32),
    "eosinophil": np.array([0.10, 0.46, 0.58], np.float32),
}
_RADII = {
    "neutrophil": (0.30, 0.39),
    "lymphocyte": (0.23, 0.35),
    "monocyte": (0.36, 0.46),
    "eosinophil": (0.30, 0.40),
}


@dataclass(frozen=True, slots=True, eq=False)
class WhiteCell:
    """One white cell.

    Args:
        kind: its class; center: (x, y); radius: of the cell.
        waves: irregular outline of the cell.
        strokes: the nucleus: (start, end, radii) of thick strokes in cell coordinates (cell radius 1), already turned.
        joint: how far the strokes melt into each other, in cell radii; num_lobes: of the nucleus.
        chromatin, grains: (G, G) knots of the texture of nucleus and cytoplasm; depth: factor on the stain.
        bubbles: (N, 3) x, y, radius of vacuoles in cell coordinates.
    """

    kind: str
    center: Point
    radius: float
    waves: NDArray[np.float64]
    strokes: list[tuple[Point, Point, tuple[float, float]]]
    joint: float
    num_lobes: int
    chromatin: NDArray[np.float64]
    grains: NDArray[np.float64]
    depth: float
    bubbles: NDArray[np.float64]


def make_white_cell(kind: str, *, field_seeds: tuple[int, ...]) -> WhiteCell:
    """The white cell of one field of view."""
    rng = np.random.default_rng((*field_seeds, 14))
    radius = float(rng.uniform(*_RADII[kind]))
    turn = float(rng.uniform(0, 2 * np.pi))
    strokes, num_lobes = {
        "neutrophil": _segmented_nucleus,
        "lymphocyte": _round_nucleus,
        "monocyte": _kidney_nucleus,
        "eosinophil": _spectacle_nucleus,
    }[kind](rng)
    grains = 84 if kind == "eosinophil" else 130
    return WhiteCell(
        kind=kind,
        center=white_cell_center(field_seeds),
        radius=radius,
        waves=random_waves(rng, count=6, strength=0.055 if kind == "monocyte" else 0.03),
        strokes=[(_turned(start, turn), _turned(end, turn), radii) for start, end, radii in strokes],
        joint=0.07 if kind in ("neutrophil", "eosinophil") else 0.25,
        num_lobes=num_lobes,
        chromatin=rng.normal(size=(44, 44)),
        grains=rng.normal(size=(grains, grains)),
        depth=float(rng.uniform(0.85, 1.12)),
        bubbles=_bubbles(kind, rng),
    )


def white_cell_center(field_seeds: tuple[int, ...]) -> Point:
    """Where the white cell lies: somewhere in the middle of the field, whatever its class."""
    x, y = np.random.default_rng((*field_seeds, 15)).uniform(-0.25, 0.25, 2)
    return float(x), float(y)


def cell_cover(cell: WhiteCell, *, size: int) -> Plane:
    """(H, W): how much of each pixel the cell covers, 0..1."""
    return coverage(_border_distance(cell, size=size), max(2.4 / size, 0.018))


def draw_white_cell(density: NDArray[np.float32], cell: WhiteCell, *, size: int) -> tuple[Plane, Plane]:
    """Draw the cell over the field, in place; where it lies, red cells give way.

    Args:
        density: (H, W, 3) optical density.
        cell: what to draw.
        size: rows and columns.

    Returns:
        (cell_HW, nucleus_HW): how much of each pixel the cell and its nucleus cover, 0..1.
    """
    x_HW, y_HW = pixel_grid(size)
    edge = max(2.4 / size, 0.018)
    x, y = (x_HW - np.float32(cell.center[0])), (y_HW - np.float32(cell.center[1]))
    border = _border_distance(cell, size=size)
    cover = coverage(border, edge)
    chromatin = smooth_noise(size, cell.chromatin)
    ragged = x / np.float32(cell.radius) + np.float32(0.025) * chromatin, y / np.float32(cell.radius)
    distance = np.maximum(_nucleus_distance(cell, *ragged) * np.float32(cell.radius), border + np.float32(0.012))
    nucleus = coverage(distance, edge)

    density *= (1 - cover)[..., None]
    density += (cover * (1 - nucleus))[..., None] * _cytoplasm(cell, border, size=size)
    rim = 1 + np.float32(0.12) * np.exp(distance * np.float32(1 / 0.02)) * (distance < 0)
    clumps = np.float32(cell.depth) * (1 + np.float32(0.13) * np.clip(chromatin, -2, 2)) * rim
    density += (nucleus * clumps)[..., None] * _NUCLEUS
    return cover, nucleus


def _border_distance(cell: WhiteCell, *, size: int) -> Plane:
    x_HW, y_HW = pixel_grid(size)
    x, y = (x_HW - np.float32(cell.center[0])), (y_HW - np.float32(cell.center[1]))
    return norm(x, y) - np.float32(cell.radius) * outline(np.arctan2(y, x), waves=cell.waves)


def _cytoplasm(cell: WhiteCell, border: Plane, *, size: int) -> NDArray[np.float32]:
    """(H, W, 3) optical density of the cytoplasm: its tint, granules, a darker border, pale vacuoles."""
    x_HW, y_HW = pixel_grid(size)
    grain = np.clip(smooth_noise(size, cell.grains), -2, 2)
    spots = np.clip(grain * np.float32(0.8) + np.float32(0.5 if cell.kind == "eosinophil" else 0.0), 0, 1.3)
    base = 1 + np.float32(0.55) * np.exp(np.minimum(border, 0) * np.float32(1 / 0.025))
    for bubble_x, bubble_y, radius in cell.bubbles * cell.radius:
        dx, dy = x_HW - np.float32(cell.center[0] + bubble_x), y_HW - np.float32(cell.center[1] + bubble_y)
        base *= 1 - np.float32(0.75) * coverage(norm(dx, dy) - np.float32(radius), 0.02)
    return base[..., None] * _CYTOPLASM[cell.kind] + spots[..., None] * _GRANULE[cell.kind]


def _nucleus_distance(cell: WhiteCell, x: Plane, y: Plane) -> Plane:
    start, end, radii = cell.strokes[0]
    distance = capsule(x, y, start=start, end=end, radii=radii)
    for start, end, radii in cell.strokes[1:]:
        distance = smooth_min(distance, capsule(x, y, start=start, end=end, radii=radii), cell.joint)
    return distance


_Strokes = tuple[list[tuple[Point, Point, tuple[float, float]]], int]


def _segmented_nucleus(rng: np.random.Generator) -> _Strokes:
    """Lobes along an arc (a C, an S or a ring), joined by threads."""
    num_lobes = int(rng.choice([2, 3, 4, 5], p=[0.15, 0.40, 0.32, 0.13]))
    step = rng.uniform(1.15, 1.6) * 3 / max(num_lobes, 3)
    angles = np.arange(num_lobes) * step + rng.normal(0, 0.12, num_lobes)
    reach = rng.uniform(0.36, 0.52, num_lobes)
    centers = [(float(r * np.cos(a)), float(r * np.sin(a))) for r, a in zip(reach, angles, strict=True)]
    size = 0.30 - 0.022 * num_lobes
    strokes = []
    for (x, y), angle in zip(centers, angles, strict=True):
        stretch, radius, lean = rng.uniform(0.03, 0.13), size * rng.uniform(0.85, 1.15), angle + rng.uniform(0.9, 2.2)
        dx, dy = stretch * np.cos(lean), stretch * np.sin(lean)
        strokes.append(((x - dx, y - dy), (x + dx, y + dy), (radius, radius * rng.uniform(0.8, 1.1))))
    threads = [(a, b, (0.045, 0.045)) for a, b in pairwise(centers)]
    return strokes + threads, num_lobes


def _round_nucleus(rng: np.random.Generator) -> _Strokes:
    """One round or slightly oval nucleus that nearly fills the cell."""
    radius, stretch = rng.uniform(0.70, 0.88), rng.uniform(0.02, 0.10)
    shift = rng.uniform(0.0, 0.94 - radius)
    return [((-stretch, shift), (stretch, shift), (radius, radius * rng.uniform(0.93, 1.0)))], 1


def _kidney_nucleus(rng: np.random.Generator) -> _Strokes:
    """A thick bent band: a kidney or a horseshoe."""
    bend, reach = rng.uniform(0.75, 1.35), rng.uniform(0.33, 0.42)
    thick = rng.uniform(0.30, 0.38)
    angles = np.linspace(-bend, bend, 5)
    path = [(float(reach * np.cos(a)) - 0.12, float(1.15 * reach * np.sin(a))) for a in angles]
    radii = thick * np.array([1.0, 0.96, 0.90, 0.96, 1.0]) * rng.uniform(0.93, 1.07, 5)
    return [(path[i], path[i + 1], (float(radii[i]), float(radii[i + 1]))) for i in range(4)], 1


def _spectacle_nucleus(rng: np.random.Generator) -> _Strokes:
    """Two round lobes with a bridge."""
    apart, aside = rng.uniform(0.34, 0.44), rng.uniform(-0.30, -0.05)
    strokes = []
    for side in (-1, 1):
        radius, lean = rng.uniform(0.27, 0.34), rng.uniform(0.0, 0.10)
        strokes.append(((side * apart, aside), (side * (apart + 0.03), aside + lean), (radius, radius)))
    return [*strokes, ((-apart, aside), (apart, aside), (0.09, 0.09))], 2


def _bubbles(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Vacuoles: monocytes often have some."""
    count = int(rng.poisson(3.0)) if kind == "monocyte" else 0
    angle, reach = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.5, 0.88, count)
    return np.stack([reach * np.cos(angle), reach * np.sin(angle), rng.uniform(0.04, 0.085, count)], axis=1)


def _turned(point: Point, turn: float) -> Point:
    c, s = float(np.cos(turn)), float(np.sin(turn))
    return c * point[0] - s * point[1], s * point[0] + c * point[1]
