"""Make the README's pictures anew from a finished run: `python docs/make_pictures.py outputs/<RUN_ID>`.

Needs a Chromium or Chrome on the PATH (Debian: the package chromium). Also draws the sheet of phantoms.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from scanlens.data.sources.phantom import PhantomSource

PICTURES = Path(__file__).resolve().parent / "pictures"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-quic",
)  # fmt: skip


def screenshot(page: Path, *, sections: Sequence[str], height: int) -> Image.Image:
    """The top of the page with these sections alone, 1200 pixels wide."""
    browser = next((found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit("no Chromium on the PATH; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        shot, shown = Path(folder, "page.png"), Path(folder, "page.html")
        shown.write_text(_with_sections(page.read_text(encoding="utf-8"), sections), encoding="utf-8")
        profile = f"--user-data-dir={folder}/profile"
        size = f"--window-size=1200,{height}"
        command = [browser, *FLAGS, profile, size, f"--screenshot={shot}", shown.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        return Image.open(shot).convert("RGB").copy()


def _with_sections(page: str, kept: Sequence[str]) -> str:
    def chosen(found: re.Match[str]) -> str:
        return found.group() if found["id"] in kept else ""

    return re.sub(r'<section id="(?P<id>[\w-]+)".*?</section>', chosen, page, flags=re.DOTALL)


def save(picture: Image.Image, name: str) -> None:
    """As an optimized PNG in true color; a palette would spoil the shades of the maps."""
    picture.save(PICTURES / name, optimize=True)
    print(PICTURES / name, picture.size)


def sheet_of_a_case(report: Path) -> Path:
    """Of the sheets with both maps the one with the best verdict, right answers before wrong ones."""
    levels = ("SUPPORTED", "WEAK", "NOT SUPPORTED")

    def rank(path: Path) -> tuple[Any, ...]:
        record = json.loads(path.read_text(encoding="utf-8"))
        level = ((record["maps"] or [{}])[0].get("verdict") or {}).get("level")
        place = levels.index(level) if level in levels else len(levels)
        return record["runner_up_map"].get("npz") is None, place, not record["answer"]["is_right"], path.name

    return min((report / "cases").glob("*.json"), key=rank).with_suffix(".html")


def phantom_sheet() -> None:
    """Four classes of both kinds, one patient a picture."""
    figure = Figure(figsize=(12, 6.4), layout="tight")
    axes = figure.subplots(4, 8)
    for block, kind in enumerate(("mri", "microscopy")):
        source = PhantomSource(kind=kind, num_patients=60, slices_per_patient=1)  # type: ignore[arg-type]
        for row, name in enumerate(source.class_names):
            chosen = [record for record in source.records() if record.target == name][:4]
            for column, record in enumerate(chosen):
                panel = axes[row][4 * block + column]
                panel.imshow(np.asarray(source.read(record).pixels), cmap="gray")
                panel.set_axis_off()
                if column == 0:
                    panel.set_title(name.replace("_", " "), fontsize=9, loc="left")
    figure.savefig(PICTURES / "phantoms.png", dpi=64)


def main() -> None:
    """Six pictures."""
    page = Path(sys.argv[1], "report", "index.html")
    sheet = sheet_of_a_case(page.parent)
    PICTURES.mkdir(exist_ok=True)
    save(screenshot(page, sections=("summary", "data"), height=1160), "report.png")
    save(screenshot(page, sections=("cases",), height=1330).crop((0, 220, 1200, 1330)), "cases.png")
    save(screenshot(page, sections=("score-card",), height=1560).crop((0, 280, 1200, 1560)), "score_card.png")
    save(screenshot(page, sections=("decisions",), height=1700).crop((0, 250, 1200, 1700)), "decisions.png")
    save(screenshot(sheet, sections=("quality", "pictures", "answer", "verdict"), height=1840), "case_sheet.png")
    phantom_sheet()


if __name__ == "__main__":
    main()
