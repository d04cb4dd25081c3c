"""Small seeded pictures for the fake data sets."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def save_gray(path: Path, *, size: tuple[int, int] = (16, 16), as_rgb: bool = False) -> None:
    """Noise (H, W) that depends on the file's name only."""
    _save(path, np.random.default_rng(_seed(path)).integers(0, 256, size).astype(np.uint8), as_rgb=as_rgb)


def save_color(path: Path, *, size: tuple[int, int] = (16, 16)) -> None:
    """Noise (H, W, 3) that depends on the file's name only."""
    _save(path, np.random.default_rng(_seed(path)).integers(0, 256, (*size, 3)).astype(np.uint8), as_rgb=False)


def save_square_mask(path: Path, *, size: tuple[int, int] = (16, 16), side: int) -> None:
    """A white square in the upper left corner; `side` 0 leaves the mask empty."""
    mask = np.zeros(size, np.uint8)
    mask[:side, :side] = 255
    _save(path, mask, as_rgb=False)


def _seed(path: Path) -> int:
    return zlib.crc32("/".join(path.parts[-2:]).encode())


def _save(path: Path, pixels: np.ndarray, *, as_rgb: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert("RGB") if as_rgb else image).save(path)
