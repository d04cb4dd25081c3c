"""Dementia MRI in the folders of the real set: four classes, 8-bit gray, subjects in a table."""

from __future__ import annotations

from pathlib import Path

from fakes.pictures import save_gray

FOLDERS = {
    "Non_Demented": "non",
    "Very_Mild_Demented": "verymild",
    "Mild_Demented": "mild",
    "Moderate_Demented": "moderate",
}


def write(root: Path, *, num_subjects: int = 3, num_slices: int = 2, with_table: bool = True) -> Path:
    """Write the set below `root`: as many subjects for each class, one subject for Moderate_Demented."""
    lines = ["file,label,subject,slice_order"]
    for folder, prefix in FOLDERS.items():
        for subject in range(1 if folder == "Moderate_Demented" else num_subjects):
            for order in range(1, num_slices + 1):
                name = f"{folder}/{prefix}_{subject * num_slices + order}.jpg"
                save_gray(root / name)
                lines.append(f"{name},{folder},{prefix[:2].upper()}{subject:03d},{order}")
    if with_table:
        (root / "subjects.csv").write_text("\n".join(lines) + "\n")
    return root
