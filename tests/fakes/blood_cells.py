"""Blood cells in the folders of the real set: eight classes of color JPEG, no patients."""

from __future__ import annotations

from pathlib import Path

from fakes.pictures import save_color

PREFIXES = {
    "basophil": "BA",
    "eosinophil": "EO",
    "erythroblast": "ERB",
    "ig": "MMY",
    "lymphocyte": "LY",
    "monocyte": "MO",
    "neutrophil": "BNE",
    "platelet": "PLATELET",
}


def write(root: Path, *, num_images: int = 3) -> Path:
    """Write the set below `root`, as many images for each class, with the table that lies beside them."""
    for name, prefix in PREFIXES.items():
        for index in range(num_images):
            save_color(root / name / f"{prefix}_{1000 + index}.jpg", size=(18, 16))
    (root / "images.csv").write_text("file,label\n")
    return root
