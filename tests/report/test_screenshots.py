"""How pages look in Chromium, compared loosely with small pictures of how they should.

After a wanted change: SCANLENS_NEW_SCREENSHOTS=1 pytest -m slow tests/report/test_screenshots.py, and look at what it wrote.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from fakes.browsing import CHROMIUM, NO_CHROMIUM, chromium, opened
from fakes.full_report import fill_run_folder
from fakes.run_folder import write_run_folder
from scanlens.report.page import write_report

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)]
EXPECTED = Path(__file__).parent / "screenshots"
WIDTH, HEIGHT = 120, 160  # of what is kept: layout and shades, no letters, since fonts differ between machines
ALIKE = 0.9  # correlation of shades
LOOKS = {"sheet": "light", "sheet_dark": "dark", "index": "light"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = fill_run_folder(write_run_folder(tmp_path_factory.mktemp("looks") / "run"))
    return write_report(run).parent


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def look(browser: Any, path: Path, scheme: str, *, css: str = "") -> Image.Image:
    """The top of a page at a glance: 120 x 160 shades of gray."""
    with opened(browser, path, color_scheme=scheme, bypass_csp=True) as (page, _):
        page.set_viewport_size({"width": 1200, "height": 1600})
        if css:
            page.add_style_tag(content=css)
        shot = Image.open(io.BytesIO(page.screenshot())).convert("L")
    return shot.filter(ImageFilter.GaussianBlur(10)).resize((WIDTH, HEIGHT), Image.Resampling.BOX)


def likeness(one: Image.Image, other: Image.Image) -> float:
    """Correlation of shades; 0 where one is of one shade."""
    first, second = (np.asarray(each, dtype=float).ravel() for each in (one, other))
    return 0.0 if first.std() == 0 or second.std() == 0 else float(np.corrcoef(first, second)[0, 1])


def path_of(report: Path, name: str) -> Path:
    sheets = sorted((report / "cases").glob("*.html"))
    return report / "index.html" if name == "index" else next(p for p in sheets if 'id="fade"' in p.read_text("utf-8"))


@pytest.mark.parametrize(("name", "scheme"), LOOKS.items())
def test_a_page_looks_as_it_should(browser: Any, report: Path, name: str, scheme: str) -> None:
    path, file = path_of(report, name), EXPECTED / f"{name}.png"
    shown = look(browser, path, scheme)
    if os.environ.get("SCANLENS_NEW_SCREENSHOTS"):
        EXPECTED.mkdir(exist_ok=True)
        shown.save(file, optimize=True)
    expected = Image.open(file)
    assert likeness(shown, expected) > ALIKE
    assert abs(float(np.mean(np.asarray(shown, float) - np.asarray(expected, float)))) < 12, "as bright, of 255"


def test_the_comparison_sees_pages_that_fell_apart(browser: Any, report: Path) -> None:
    expected = Image.open(EXPECTED / "sheet.png")
    path = path_of(report, "sheet")
    for css in (
        "img, svg { display: none !important; }",
        ".views { display: block !important; }",
        "body { background: #000 !important; }",
    ):
        assert likeness(look(browser, path, "light", css=css), expected) < ALIKE, css
