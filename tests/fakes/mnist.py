"""Digits in idx files of the official names, of any length."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write(root: Path, *, num_train: int = 20, num_test: int = 10, gzipped: bool = True, dash: str = "-") -> Path:
    """Write four idx files below `root`; label n of the set is n modulo 10, and its picture holds n everywhere."""
    root.mkdir(parents=True, exist_ok=True)
    for stem, count in (("train", num_train), ("t10k", num_test)):
        images = np.repeat(np.arange(count, dtype=np.uint8), 28 * 28).reshape(count, 28, 28)
        labels = (np.arange(count) % 10).astype(np.uint8)
        ending = ".gz" if gzipped else ""
        for name, body in ((f"{stem}-images{dash}idx3-ubyte", images), (f"{stem}-labels{dash}idx1-ubyte", labels)):
            data = idx_bytes(body)
            (root / f"{name}{ending}").write_bytes(gzip.compress(data) if gzipped else data)
    return root


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """One array of bytes in idx format."""
    return struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()
