"""Verdicts on the page: stamps in words, withheld maps hidden, and what verdicts are worth."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fakes.run_folder import brain, write_json, write_run_folder
from scanlens.report.cases import explained_cases
from scanlens.report.folder import read_run
from scanlens.report.page import render
from scanlens.report.pictures import region_png

MEANINGS = {
    "SUPPORTED": "the answer depends on the region.",
    "WEAK": "there are signs.",
    "NOT SUPPORTED": "no more than elsewhere.",
    "WITHHELD": "could mislead.",
}
REGION = {"p_value": 0.04, "drop": 2.5, "margin": 4.0, "num_as_large": 0, "num_regions": 24}
LEVELS = ("SUPPORTED", "WEAK", "NOT SUPPORTED", "WITHHELD", None)


def verdict(level: str | None, case: str) -> dict[str, Any]:
    return {
        "level": level,
        "reasons": [f"Decided for <{case}>."],
        "against": ["The methods disagree."] if level == "WEAK" else [],
        "also": [] if level in ("WITHHELD", None) else ["It held."],
        "measured": {"region": REGION} if level else None,
        "region": f"{case}_region.png",
        "removed": f"{case}_removed.png",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first map of each case has a verdict, each verdict at least once; not to be changed."""
    run = write_run_folder(tmp_path_factory.mktemp("verdicts") / "run", num_patients=8)
    path = run / "explanations" / "cases.json"
    content = json.loads(path.read_text())
    scan, lesion = brain(np.random.default_rng(1), has_lesion=True)
    for number, case in enumerate(content["cases"]):
        case["maps"][0]["verdict"] = verdict(LEVELS[number % len(LEVELS)], case["case"])
        region_png(scan, lesion, run / "explanations" / f"{case['case']}_region.png")
        region_png(scan, None, run / "explanations" / f"{case['case']}_removed.png")
    content["verdict"] = {
        "share": 0.02,
        "num_regions": 24,
        "removal": "blur_noise",
        "alpha": 0.05,
        "weak_alpha": 0.2,
        "meanings": MEANINGS,
        "sanity": {"status": "PASS", "reason": "Checked."},
        "num_not_tested": 1,
    }
    write_json(path, content)
    worth = {"value": 0.52, "low": 0.4, "high": 0.64, "reason": None, "num": 50, "num_true": 40}
    share = {"value": 0.1, "low": 0.05, "high": 0.2, "reason": None, "num": 5}
    says = "The verdict carries no information about correctness, as far as 50 images can tell."
    method = {
        "shares": dict.fromkeys(MEANINGS, share),
        "correctness": worth | {"says": says},
        "lesion": {**worth, "value": None, "says": "Not assessed.", "reason": "only one kind of image here"},
    }
    write_json(
        run / "explanations" / "verdicts.json",
        {
            "schema_version": 1,
            "methods": [
                {"name": "hires_cam", "title": "HiResCAM", "is_control": False, **method},
                {"name": "random", "title": "Random map", "is_control": True, **method},
            ],
            "num_images": 50,
            "num_patients": 20,
            "resampled": "patients",
            "num_regions": 24,
            "sanity": {"status": "not assessed", "reason": ""},
        },
    )
    return run


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return render(read_run(folder))


def test_every_stamp_is_a_word_beside_its_numbers_and_reasons(folder: Path) -> None:
    cases = explained_cases(read_run(folder), max_cases=12)
    stamps = {case["stamp"]["word"]: case["stamp"] for case in cases}
    assert set(stamps) == {"SUPPORTED", "WEAK", "NOT SUPPORTED", "WITHHELD", "not assessed"}
    assert stamps["SUPPORTED"]["numbers"] == "p\u00a0=\u00a00.04, log-odds −2.50"
    assert stamps["SUPPORTED"]["meaning"] == MEANINGS["SUPPORTED"]
    assert stamps["WEAK"]["against"] == ["The methods disagree."]
    assert stamps["WITHHELD"]["numbers"] == stamps["not assessed"]["numbers"] == ""


def test_a_withheld_map_is_not_on_the_page_and_neither_are_pictures_of_its_test(folder: Path) -> None:
    for case in explained_cases(read_run(folder), max_cases=12):
        is_withheld = case["stamp"]["word"] == "WITHHELD"
        assert (case["maps"][0]["picture"] is None) == is_withheld
        assert (case["tested"] is None) == is_withheld
        assert case["maps"][1]["picture"] is not None, "the other map was not judged"


def test_the_page_says_the_verdict_in_words_and_what_it_means(page: str) -> None:
    for word in MEANINGS:
        assert len(re.findall(rf'<span class="stamp[^"]*">{word}</span>', page)) >= 2
    assert "Map withheld" in page
    assert "Decided for &lt;test-" in page
    assert "<strong>Against:</strong> The methods disagree." in page
    assert "Scan of case" in page
    assert "without the tested region" in page
    assert "the strongest 2\u00a0% of what it covers" in page
    assert "Maps of this network against those of random weights: PASS. Checked." in page
    assert re.search(r"Of 6 cases: 2 SUPPORTED, 1 WEAK, 1 NOT SUPPORTED, 1 WITHHELD and 1 not assessed\.", page)


def test_the_section_prints_an_auroc_near_one_half_with_what_it_means(page: str) -> None:
    section = page[page.index('<section id="verdicts"') :]
    section = section[: section.index("</section>")]
    assert "HiResCAM: The verdict carries no information about correctness, as far as 50 images can tell." in section
    assert "0.52" in section
    assert "0.40 to 0.64" in section
    assert "only one kind of image here" in section
    assert "Random map: The verdict" not in section, "of a control only the shares are told"
    assert "50 test images of 20 patients" in section


def test_a_run_without_verdicts_shows_its_maps_as_before(tmp_path: Path) -> None:
    run = read_run(write_run_folder(tmp_path / "run", num_patients=8))
    cases = explained_cases(run, max_cases=12)
    assert all(case["stamp"] is None and case["tested"] is None for case in cases)
    assert "What the verdicts on the maps mean" not in render(run)


def test_the_outline_lies_around_the_region_and_needs_its_size(tmp_path: Path) -> None:
    region = np.zeros((16, 16), dtype=bool)
    region[4:8, 6:10] = True
    region_png(np.full((16, 16), 0.5, np.float32), region, tmp_path / "a.png")
    pixels = np.asarray(Image.open(tmp_path / "a.png")).astype(int)
    factor = pixels.shape[1] // 16  # below lies the strip with the notice
    is_yellow = (pixels[..., 0] > 240) & (pixels[..., 2] < 80)
    assert not is_yellow[4 * factor : 8 * factor, 6 * factor : 10 * factor].any(), "what is tested stays visible"
    rows, columns = np.nonzero(is_yellow)
    assert (rows.min() // factor, rows.max() // factor) == (3, 8)
    assert (columns.min() // factor, columns.max() // factor) == (5, 10)
    with pytest.raises(ValueError, match="size of the scan"):
        region_png(np.zeros((16, 16), np.float32), region[:8], tmp_path / "b.png")
