"""Profiles along volumes and the rule of patients, on the page and as pictures."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fakes.run_folder import write_run_folder
from scanlens.report.page import build_report
from scanlens.report.profiles import profile_png, profile_svg

PROFILE: dict[str, Any] = {
    "class": "tumor <b>",
    "slice": 12,
    "slices": [10, 11, 12, 13],
    "probabilities": [0.1, 0.25, 0.875, 0.5],
    "is_class": [False, False, True, True],
}


def test_a_profile_says_where_it_is_highest_and_which_slice_is_explained() -> None:
    svg = profile_svg(PROFILE, name="profile-1")
    assert svg is not None
    ElementTree.fromstring(svg)
    assert "<b>" not in svg
    assert "highest at slice 12 (0.88); the explained one is slice 12" in svg
    assert "explained: slice 12" in svg
    assert "reference: tumor" in svg
    assert " style=" not in svg, "the page forbids inline styles"
    everywhere = profile_svg(PROFILE | {"is_class": [True] * 4}, name="profile-1")
    assert everywhere is not None
    assert "reference:" not in everywhere, "a mark of all slices says nothing"


@pytest.mark.parametrize(
    "change",
    [
        {"slices": [1, 2], "probabilities": [0.1, 0.2], "is_class": [True, True]},
        {"probabilities": [0.1, float("nan"), 0.2, 0.3]},
        {"probabilities": ["0.1", 0.1, 0.2, 0.3]},
        {"slices": [1, 2, 3]},
        {"slice": None},
        {"is_class": None},
    ],
)
def test_what_is_no_profile_is_not_drawn(change: dict[str, Any], tmp_path: Path) -> None:
    assert profile_svg(PROFILE | change, name="p") is None
    profile_png(PROFILE | change, tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()


def test_the_picture_has_no_metadata_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        profile_png(PROFILE, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert "Software" not in image.info
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    assert (pixels == (0xD5, 0x5E, 0x00)).all(axis=1).sum() > 50, "the explained slice is marked"


def page_with(tmp_path: Path, rule: dict[str, Any] | None) -> str:
    run = write_run_folder(tmp_path / "run")
    cases = json.loads((run / "explanations" / "cases.json").read_text())
    cases["cases"][0]["profile"] = PROFILE
    (run / "explanations" / "cases.json").write_text(json.dumps(cases))
    evaluation = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps(evaluation | ({"patient_rule": rule} if rule else {})))
    return build_report(run).read_text(encoding="utf-8")


RULE = {"name": "top_k", "k": 3, "words": "mean of the 3 highest slices", "reason": "lowest log loss, by more than noise",
        "num_val_patients": 18, "unit": "slice", "positive_class": None,
        "candidates": [{"name": "mean", "k": None, "val_log_loss": 0.7}, {"name": "top_k", "k": 3, "val_log_loss": 0.4},
                       {"name": "top_k", "k": 0.1, "val_log_loss": 0.45}]}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {},
            "Patient probability: mean of the 3 highest slices, chosen on 18 validation patients (lowest log loss, by more "
            "than noise). Log loss of the candidates there: mean 0.700, 3 highest 0.400 and highest 10 % 0.450.",
        ),
        (
            {"name": "mean", "k": None, "words": "mean of all slices", "num_val_patients": 4, "reason": "4 validation patients with a class, at least 12 are needed to choose", "candidates": []},
            "Patient probability: mean of all slices, not chosen (4 validation patients with a class, at least 12 are needed to choose).",
        ),
        (
            {"name": "max", "k": None, "words": "highest slice", "reason": "as set", "num_val_patients": 0, "candidates": [], "positive_class": "tumor"},
            "Patient probability: highest slice, as set. One slice of tumor makes the patient tumor.",
        ),
    ],
)  # fmt: skip
def test_the_page_says_how_images_became_patients(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    page = page_with(tmp_path, RULE | change)
    assert said in page
    assert len(re.findall("Along the volume", page)) == 1


def test_a_run_without_a_rule_says_nothing_of_it(tmp_path: Path) -> None:
    assert "Patient probability" not in page_with(tmp_path, None)
