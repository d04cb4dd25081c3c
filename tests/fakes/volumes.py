"""Made-up NIfTI volumes of two classes, whose sign is in a few slices only."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from scanlens.files import write_csv

CLASSES = ["healthy", "ill"]
SHAPE = (24, 24, 8)


def write_volume(path: Path, *, is_ill: bool, seed: int) -> Path:
    """A noisy disk with a bright rim, so that both kinds have one window; of the ill, slices 3 and 4 hold a bright block."""
    rng = np.random.default_rng(seed)
    x, y, _ = np.indices(SHAPE)
    radius = np.hypot(x - 11.5, y - 11.5)
    voxels = np.where(radius < 10, 300 + rng.normal(0, 30, SHAPE), 0.0)
    voxels[(radius >= 10) & (radius < 11.5)] = 900
    if is_ill:
        left, back = rng.integers(6, 12, 2)
        voxels[left : left + 6, back : back + 6, 3:5] = 800
    image = nibabel.Nifti1Image(np.clip(voxels, 0, 4000).astype(np.int16), np.diag([2.0, 2.0, 4.0, 1.0]))
    image.header.set_xyzt_units("mm")
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


def write_volumes(root: Path, *, num: int) -> Path:
    """`num` volumes with a table of labels; every second is ill."""
    rows = []
    for i in range(num):
        write_volume(root / f"v{i:02d}.nii.gz", is_ill=i % 2 == 1, seed=i)
        rows.append({"file": f"v{i:02d}.nii.gz", "diagnosis": CLASSES[i % 2]})
    write_csv(root / "labels.csv", ["file", "diagnosis"], rows)
    return root
