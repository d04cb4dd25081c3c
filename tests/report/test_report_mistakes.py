"""Missed cases and false alarms on the page."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.run_folder import write_json, write_run_folder
from scanlens.errors import RunError
from scanlens.report.folder import RunFolder, read_run
from scanlens.report.mistakes import mistakes
from scanlens.report.page import render
from scanlens.report.sheets import row_png

CASE = {
    "case": "test-00003",
    "score": 0.214,
    "target": {"glioma": 4},
    "predicted": {"no_tumor": 3, "glioma": 1},
    "num_images": 4,
    "shown": [{"case": "test-00003", "score": 0.3, "predicted": "glioma"}] * 2,
    "picture": "missed_test-00003.png",
}
FOUND: dict[str, Any] = {
    "schema_version": 1,
    "positive": "tumor",
    "unit": "patient",
    "threshold": 0.39,
    "num_missed": 30,
    "num_false_alarms": 0,
    "missed": [CASE],
    "false_alarms": [],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with one picture of a missed patient; not to be changed."""
    folder = write_run_folder(tmp_path_factory.mktemp("mistakes") / "run", num_patients=8)
    row_png([np.full((1, 8, 8), 0.5, np.float32)] * 2, folder / "missed" / CASE["picture"])
    write_json(folder / "missed" / "cases.json", FOUND)
    return read_run(folder)


def test_a_missed_patient_is_told_with_its_numbers(run: RunFolder) -> None:
    missed, alarms = mistakes(run)
    assert missed["title"] == "Missed patients with “tumor” (30)"
    assert missed["note"].startswith("1 of 30 shown, the surest mistake first; of each patient")
    assert [row["title"] for row in missed["rows"]] == ["test-00003"]
    row = missed["rows"][0]
    assert row["words"] == (
        "Probability of tumor 0.21 (threshold 0.39); reference glioma; most probable no_tumor 3 and glioma 1. 2 of 4 images."
    )
    assert row["picture"].startswith("data:image/")
    assert row["alt"].startswith("Case test-00003, 2 pictures side by side.")
    assert (alarms["rows"], alarms["note"]) == ([], "There was no false alarm.")


def test_near_duplicates_are_counted_and_not_shown_again(run: RunFolder) -> None:
    image = {**CASE, "num_images": 1, "shown": CASE["shown"][:1]}
    alike = {**FOUND, "unit": "image", "missed": [{**image, "num_alike": 3}, {**image, "num_alike": 1}, image]}
    missed, _ = mistakes(dataclasses.replace(run, mistakes=alike))
    assert missed["note"] == (
        "3 of 30 shown, the surest mistake first; of images that are near-duplicates of each other one, the others counted."
    )
    ends = [row["words"].rpartition("no_tumor 3 and glioma 1.")[2] for row in missed["rows"]]
    assert ends == [" 3 near-duplicates of it were missed as well.", " 1 near-duplicate of it was missed as well.", ""]
    alarm = {**alike, "missed": [], "num_missed": 0, "num_false_alarms": 30, "false_alarms": alike["missed"]}
    _, alarms = mistakes(dataclasses.replace(run, mistakes=alarm))
    assert "3 near-duplicates of it were called so as well." in alarms["rows"][0]["words"]
    lone, _ = mistakes(dataclasses.replace(run, mistakes={**alike, "missed": [image]}))
    assert "near-duplicates" not in lone["note"]


def test_the_threshold_section_shows_them(run: RunFolder) -> None:
    decisions = {
        "positive": "tumor",
        "unit": "patient",
        "chosen": {"rule": {"name": "sensitivity", "target": 0.95}, "threshold": 0.39, "test": {"true_positives": 1}},
    }
    page = render(dataclasses.replace(run, evaluation={**run.evaluation, "decisions": decisions}), max_cases=0)
    section = page[page.index('<section id="decisions"') : page.index('<section id="calibration"')]
    assert "<details open><summary>Missed patients with “tumor” (30)</summary>" in section
    assert section.count("<img ") == 1
    assert "There was no false alarm." in section


def test_without_the_list_nothing_is_shown(run: RunFolder) -> None:
    assert mistakes(dataclasses.replace(run, mistakes=None)) == []


def test_pictures_elsewhere_are_not_opened_and_damaged_ones_are_named(run: RunFolder, tmp_path: Path) -> None:
    outside = {**FOUND, "missed": [{**CASE, "picture": "../explanations/filters.png"}]}
    assert mistakes(dataclasses.replace(run, mistakes=outside))[0]["rows"][0]["picture"] is None
    (tmp_path / "missed").mkdir()
    (tmp_path / "missed" / CASE["picture"]).write_bytes(b"no picture")
    with pytest.raises(RunError, match=r"missed_test-00003\.png cannot be read as a PNG"):
        mistakes(dataclasses.replace(run, path=tmp_path))


def test_names_are_text_and_never_markup(run: RunFolder) -> None:
    evil = "<img src=x onerror=alert(1)>"
    decisions = {
        "positive": evil,
        "unit": "image",
        "chosen": {"rule": {"name": "argmax"}, "test": {"true_positives": 1}},
    }
    known = {**FOUND, "positive": evil, "missed": [{**CASE, "case": evil, "target": {evil: 1}, "picture": None}]}
    page = render(
        dataclasses.replace(run, mistakes=known, evaluation={**run.evaluation, "decisions": decisions}), max_cases=0
    )
    assert "<img src=x" not in page
