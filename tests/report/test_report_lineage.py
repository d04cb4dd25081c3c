"""The page says in one sentence what the starting weights had seen before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scanlens.report.folder import RunFolder
from scanlens.report.sentences import lineage

X = {"run": "x", "num_images": 332, "num_patients": 83}
W = {"run": "w", "num_images": 40, "num_patients": None}
CLEAN = {"begins_with": "random", "compares_patients": True, "num_seen_images": 0, "num_seen_patients": 0}


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({}, ""),
        ({**CLEAN, "generations": []}, "Weights had seen nothing before."),
        ({**CLEAN, "begins_with": "public", "generations": []}, "Weights started from published ones."),
        (
            {**CLEAN, "begins_with": "unknown", "generations": []},
            "What the starting weights had been trained on before is not known.",
        ),
        (
            {**CLEAN, "generations": [X]},
            "Weights started from run x, which was trained on 83 patients (332 images); none of them is in this test split.",
        ),
        (
            {**CLEAN, "generations": [X, W], "begins_with": "unknown"},
            "Weights started from run x, which was trained on 83 patients (332 images), after training in run w on 40 images "
            "(and on what is not known before); none of them is in this test split.",
        ),
        (
            {**CLEAN, "generations": [W], "compares_patients": False},
            "Weights started from run w, which was trained on 40 images; none of these images is in this test split, and "
            "patients could not be compared.",
        ),
        (
            {**CLEAN, "generations": [X], "num_seen_images": 1, "num_seen_patients": 2},
            "Weights started from run x, which was trained on 83 patients (332 images); 1 image and 2 patients of this test "
            "split had been seen.",
        ),
    ],
    ids=range(8),
)
def test_the_past_of_the_weights_is_one_sentence(facts: dict[str, Any], sentence: str) -> None:
    run = RunFolder(Path("r"), {}, {"lineage": facts}, {}, {}, [], [], None, [])
    assert lineage(run) == sentence
