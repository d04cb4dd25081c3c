"""Synthetic stained blood smears (May-Grünwald-Giemsa look): one white cell among red cells and platelets.

Light is absorbed as in a real smear: every cell adds optical density per color (Beer-Lambert), so overlapping red
cells darken. Every picture is a pure function of (seed, patient, slice); a *slice* is one field of view of the
patient's smear. Lengths are in half-pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from scanlens.data.phantoms.facts import Facts, PhantomImage, check_request, mask_facts, mask_of
from scanlens.data.phantoms.shapes import Plane, norm, outline, pixel_grid, random_waves, smooth_noise
from scanlens.data.phantoms.white_cells import (
    WhiteCell,
    cell_cover,
    draw_white_cell,
    make_white_cell,
    white_cell_center,
)

MICROSCOPY_CLASSES = ("neutrophil", "lymphocyte", "monocyte", "eosinophil")
MICROSCOPY_SHARES = (0.42, 0.28, 0.16, 0.14)
MICROSCOPY_RANGE = (0.0, 255.0)
_RED_CELL = np.array([0.185, 0.40, 0.345], np.float32)  # optical density of eosin on hemoglobin, per color
_PLATELET = np.array([0.50, 0.80, 0.22], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Smear:
    """What all fields of a patient share: how this smear was stained, lit and photographed.

    Args:
        microscope: as written in the records.
        light: color of the empty background, 0..1 per color.
        stain: factor on the optical density, per color (thick or thin stain, bluish or reddish).
        red_radius: of the red cells, half-pictures; crowding: red cells tried per field.
        pallor: how pale the middle of the red cells is, 0..1.
        blur: standard deviation in pixels of a 128-pixel picture; noise: of the camera, 0..1.
        shading: (G, G) knots of the uneven light.
    """

    microscope: str
    light: NDArray[np.float32]
    stain: NDArray[np.float32]
    red_radius: float
    crowding: int
    pallor: float
    blur: float
    noise: float
    shading: NDArray[np.float64]


def microscopy_field(
    *, size: int, class_name: str, patient_seed: int, slice_index: int, num_slices: int, seed: int = 0
) -> PhantomImage:
    """One field of view with the mask of its white cell.

    Red cells, stain and light do not depend on the class of the white cell.

    Args:
        size: rows and columns, pixels.
        class_name: one of `MICROSCOPY_CLASSES`.
        patient_seed: number of the patient; all fields of one number share stain and light.
        slice_index: 0 .. num_slices - 1: which field.
        num_slices: fields of this patient (accepted so that both phantoms are called alike; changes nothing).
        seed: of the whole data set.

    Returns:
        Pixels (H, W, 3) uint8; masks of the white cell and of its nucleus; facts: microscope (as "scanner"), lobes of
        the nucleus, size and place of the cell (as "lesion", so that both phantoms speak alike).

    Raises:
        ValueError: if the class or the slice does not exist.
    """
    check_request(class_name=class_name, classes=MICROSCOPY_CLASSES, slice_index=slice_index, num_slices=num_slices)
    smear = _make_smear((seed, patient_seed))
    field_seeds = (seed, patient_seed, slice_index)
    cell = make_white_cell(class_name, field_seeds=field_seeds)
    density = _red_cells(smear, field_seeds, size=size)
    cover, nucleus = draw_white_cell(density, cell, size=size)
    mask_HW = mask_of(cover)
    pixels = _photograph(density, smear, field_seeds)
    return PhantomImage(pixels=pixels, mask_HW=mask_HW, facts=_facts(mask_HW, smear, cell), nucleus_HW=mask_of(nucleus))


def microscopy_facts(
    *, size: int, class_name: str, patient_seed: int, slice_index: int, num_slices: int, seed: int = 0
) -> tuple[NDArray[np.uint8], Facts]:
    """(mask_HW, facts) of the same call of `microscopy_field`, without drawing the picture."""
    check_request(class_name=class_name, classes=MICROSCOPY_CLASSES, slice_index=slice_index, num_slices=num_slices)
    smear = _make_smear((seed, patient_seed))
    cell = make_white_cell(class_name, field_seeds=(seed, patient_seed, slice_index))
    mask_HW = mask_of(cell_cover(cell, size=size))
    return mask_HW, _facts(mask_HW, smear, cell)


def _facts(mask_HW: NDArray[np.uint8], smear: Smear, cell: WhiteCell) -> Facts:
    facts: Facts = {"scanner": smear.microscope, "lobes": cell.num_lobes}
    return facts | mask_facts(mask_HW, noun="lesion")


@lru_cache(maxsize=64)
def _make_smear(seeds: tuple[int, ...]) -> Smear:
    rng = np.random.default_rng((*seeds, 11))
    warm = rng.uniform(0, 1)  # halogen light is yellowish, LED light bluish
    light = np.array([0.985, 0.925, 0.80]) * warm + np.array([0.915, 0.905, 0.945]) * (1 - warm)
    return Smear(
        microscope=str(rng.choice(["microscope-a", "microscope-b", "microscope-c"], p=[0.5, 0.3, 0.2])),
        light=(light * rng.uniform(0.92, 1.0)).astype(np.float32),
        stain=(np.exp(rng.normal(0, 0.10)) * np.exp(rng.normal(0, 0.06, 3))).astype(np.float32),
        red_radius=float(rng.uniform(0.185, 0.235)),
        crowding=int(rng.integers(14, 34)),
        pallor=float(rng.uniform(0.35, 0.75)),
        blur=float(rng.uniform(0.30, 0.75)),
        noise=float(rng.uniform(0.006, 0.016)),
        shading=rng.normal(size=(4, 4)),
    )


def _red_cells(smear: Smear, field_seeds: tuple[int, ...], *, size: int) -> NDArray[np.float32]:
    """(H, W, 3) optical density of red cells and platelets, which may overlap."""
    rng = np.random.default_rng((*field_seeds, 12))
    red, purple = np.zeros((size, size), np.float32), np.zeros((size, size), np.float32)
    for x, y in _red_places(smear, rng, white=white_cell_center(field_seeds)):
        _add_red_cell(red, smear, x, y, rng)
    for _ in range(rng.poisson(2.2)):
        _add_platelet(purple, rng)
    return red[..., None] * _RED_CELL + purple[..., None] * _PLATELET


def _red_places(smear: Smear, rng: np.random.Generator, *, white: tuple[float, float]) -> list[tuple[float, float]]:
    """Centers: anywhere, some overlapping, but seldom on top of each other; the white cell pushes them aside."""
    places: list[tuple[float, float]] = []
    for x, y, tolerance in zip(
        rng.uniform(-1.15, 1.15, smear.crowding),
        rng.uniform(-1.15, 1.15, smear.crowding),
        rng.uniform(1.15, 2.2, smear.crowding),
        strict=True,
    ):
        beside = np.hypot(x - white[0], y - white[1]) > 0.24 + 0.6 * tolerance * smear.red_radius
        if beside and all(np.hypot(x - a, y - b) > tolerance * smear.red_radius for a, b in places):
            places.append((float(x), float(y)))
    return places


def _patch(picture: Plane, x: float, y: float, reach: float) -> tuple[Plane, Plane, Plane] | None:
    """(part of the picture, x, y of its pixels from the center) around a point; None if it lies outside."""
    size = picture.shape[0]
    rows, columns = (
        slice(max(int((c - reach + 1) * size / 2), 0), min(int((c + reach + 1) * size / 2) + 2, size)) for c in (y, x)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    x_HW, y_HW = pixel_grid(size)
    return picture[rows, columns], x_HW[rows, columns] - np.float32(x), y_HW[rows, columns] - np.float32(y)


def _add_red_cell(red: Plane, smear: Smear, x: float, y: float, rng: np.random.Generator) -> None:
    radius = smear.red_radius * rng.uniform(0.86, 1.12)
    waves = random_waves(rng, count=4, strength=0.035)
    pallor, reach = smear.pallor * rng.uniform(0.4, 1.15), rng.uniform(0.40, 0.62)
    thickness, shift = rng.uniform(0.85, 1.15), rng.normal(0, 0.08, 2) * radius
    patch = _patch(red, x, y, 1.3 * radius)
    if patch is None:
        return
    part, dx, dy = patch
    away = norm(dx, dy) / (np.float32(radius) * outline(np.arctan2(dy, dx), waves=waves))
    edge = np.float32(max(2.4 / red.shape[0], 0.02) / radius)
    cover = np.clip((1 - away) / edge + np.float32(0.5), 0, 1)
    hollow = norm(dx - np.float32(shift[0]), dy - np.float32(shift[1])) / np.float32(radius * reach)
    profile = 1 - np.float32(pallor) * np.exp(-(hollow**4)) - np.float32(0.10) * away**6
    part += np.float32(thickness) * cover * profile


def _add_platelet(purple: Plane, rng: np.random.Generator) -> None:
    x, y = rng.uniform(-1, 1, 2)
    radius, strength = rng.uniform(0.035, 0.07), rng.uniform(0.5, 0.95)
    waves, grains = random_waves(rng, count=5, strength=0.12), rng.normal(0, 0.5, (5, 2)) * radius
    patch = _patch(purple, x, y, 1.6 * radius)
    if patch is None:
        return
    part, dx, dy = patch
    edge = np.float32(max(2.4 / purple.shape[0], 0.02))
    away = norm(dx, dy) - np.float32(radius) * outline(np.arctan2(dy, dx), waves=waves)
    lump = np.full_like(dx, 0.45)
    for gx, gy in grains.astype(np.float32):
        lump += np.float32(0.5) * np.exp(-((dx - gx) ** 2 + (dy - gy) ** 2) / np.float32(0.06 * radius * radius))
    part += np.float32(strength) * np.clip(0.5 - away / edge, 0, 1) * np.minimum(lump, 1.2)


def _photograph(density: NDArray[np.float32], smear: Smear, field_seeds: tuple[int, ...]) -> NDArray[np.uint8]:
    """What the camera stores: uneven light through the smear, slightly out of focus, with noise, 8 bit."""
    size = density.shape[0]
    rng = np.random.default_rng((*field_seeds, 13))
    x_HW, y_HW = pixel_grid(size)
    lit = 1 + np.float32(0.018) * smooth_noise(size, smear.shading) - np.float32(0.03) * (x_HW * x_HW + y_HW * y_HW)
    dust = np.float32(0.008) * smooth_noise(size, rng.normal(size=(12, 12)))
    picture = np.exp(-density * smear.stain) * smear.light * (lit + dust)[..., None]
    blur = smear.blur * rng.uniform(0.8, 1.25) * size / 128
    picture = gaussian_filter(picture, (blur, blur, 0), mode="nearest", truncate=3.0)
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(smear.noise)
    return np.clip(np.rint(picture * 255), *MICROSCOPY_RANGE).astype(np.uint8)
