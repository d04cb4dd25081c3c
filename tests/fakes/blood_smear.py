"""Crops of blood smears in the folders of the real set, with the table that names the smear of each."""

from __future__ import annotations

from pathlib import Path

from fakes.pictures import save_color

CLASSES = ("Platelets", "RBC", "WBC")


def write(root: Path, *, num_smears: int = 4) -> Path:
    """Write the set below `root`: one smear and, of each class, one crop of it; sizes differ."""
    lines = ["file,label,source_image,xmin,ymin,xmax,ymax"]
    for smear in range(num_smears):
        source = f"JPEGImages/BloodImage_{smear:05d}.jpg"
        save_color(root / source, size=(48, 64))
        for place, name in enumerate(CLASSES):
            crop = f"crops/{name}/BloodImage_{smear:05d}_{place:02d}.jpg"
            save_color(root / crop, size=(10 + place, 12))
            lines.append(f"{crop},{name},{source},1,2,{13},{12 + place}")
    (root / "crops.csv").write_text("\n".join(lines) + "\n")
    return root
