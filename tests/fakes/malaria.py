"""Malaria cells in the folders of the real set: two classes, gray PNG, patients in a table and in the file names."""

from __future__ import annotations

from pathlib import Path

from fakes.pictures import save_gray


def write(root: Path, *, num_patients: int = 3, num_cells: int = 2, with_table: bool = True) -> Path:
    """Write the set below `root`: infected patients have cells of both classes, healthy ones uninfected only."""
    lines = ["file,label,patient,slide,split_in_source"]
    for patient in range(1, num_patients + 1):
        letter = "B" if patient == 2 else ""  # as in a few real names
        infected, healthy = f"C{39 + patient}{letter}P{patient}ThinF", f"C{200 + patient}ThinF"
        for slide, folder, who in (
            (infected, "Parasitized", f"P{patient:03d}"),
            (infected, "Uninfected", f"P{patient:03d}"),
            (healthy, "Uninfected", f"C{200 + patient}"),
        ):
            for cell in range(num_cells):
                again = folder if patient == 3 and cell == 1 else ""  # real names repeat the class here and there
                name = f"{folder}/{again}{slide}_IMG_20150918_151006_cell_{cell}.png"
                save_gray(root / name)
                lines.append(f"{name},{folder},{who},{slide},train")
    if with_table:
        (root / "patients.csv").write_text("\n".join(lines) + "\n")
    return root
