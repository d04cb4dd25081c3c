"""Lower-grade glioma in the folders of the real set: a folder for each patient, TIFF of three sequences, masks."""

from __future__ import annotations

from pathlib import Path

from fakes.pictures import save_color, save_square_mask


def write(root: Path, *, num_patients: int = 4, num_slices: int = 3) -> Path:
    """Write the set below `root`; the first slice of each patient has an empty mask."""
    for patient in range(num_patients):
        name = f"TCGA_CS_{4941 + patient}_19960909"
        for number in range(1, num_slices + 1):
            save_color(root / name / f"{name}_{number}.tif")
            save_square_mask(root / name / f"{name}_{number}_mask.tif", side=0 if number == 1 else 2 + number)
    return root
