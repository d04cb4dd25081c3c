"""Brain tumor MRI in the folders of the real set: Training and Testing, four classes, gray JPEG saved as RGB, boxes."""

from __future__ import annotations

from pathlib import Path

from fakes.pictures import save_gray

CLASSES = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")


def write(root: Path, *, num_training: int = 3, num_testing: int = 1, size: tuple[int, int] = (20, 16)) -> Path:
    """Write the set below `root`; the first training image of each tumor class has a box."""
    lines = ["file,figshare_label,x_center,y_center,box_width,box_height,figshare_index"]
    for name in CLASSES:
        for index in range(1, num_training + 1):
            save_gray(root / "Training" / name / f"image({index}).jpg", size=size, as_rgb=True)
        for index in range(1, num_testing + 1):
            save_gray(root / "Testing" / name / f"image({index}).jpg", size=size, as_rgb=True)
        if name != "no_tumor":
            lines.append(f"Training/{name}/image(1).jpg,{name},0.50,0.50,0.25,0.50,7")
    (root / "boxes.csv").write_text("\n".join(lines) + "\n")
    return root
