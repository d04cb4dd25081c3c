"""Heads that are found again from their slices alone."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from scanlens.data.duplicates import thumbnails
from scanlens.data.hidden_patients import hidden_patients
from scanlens.data.sources.folder import FolderSource


def series(num_heads: int, num_slices: int, *, template: float, step: float = 0.05) -> NDArray[np.float32]:
    """Heads that share a template; each slice is the one before and a little more."""
    rng = np.random.default_rng(0)
    shared = template * rng.normal(size=(48, 48))
    heads = []
    for _ in range(num_heads):
        walk = step * rng.normal(size=(num_slices, 48, 48)).cumsum(axis=0)
        heads.append(shared + 0.5 * rng.normal(size=(48, 48)) + walk)
    return np.concatenate(heads).astype(np.float32)


@pytest.mark.parametrize("exact_up_to", [4096, 10], ids=["all pairs", "index"])
@pytest.mark.parametrize("template", [0.5, 1.5], ids=["unlike heads", "heads that correlate by 0.9"])
def test_series_are_found_without_being_told_a_threshold(template: float, exact_up_to: int) -> None:
    truth = np.repeat(np.arange(12), 15)
    order = np.random.default_rng(1).permutation(len(truth))
    found = hidden_patients(series(12, 15, template=template)[order], exact_up_to=exact_up_to)
    assert adjusted_rand_score(truth[order], found.group_N) == 1.0
    assert found.group_N[0] == 0
    assert found.note.startswith("180 of 180 images lie in 12 chains of neighboring slices")
    assert "15 to 15 images" in found.note


def test_single_images_are_no_chains() -> None:
    rng = np.random.default_rng(0)
    found = hidden_patients((rng.normal(size=(1, 48, 48)) + 0.7 * rng.normal(size=(120, 48, 48))).astype(np.float32))
    assert found.threshold is None
    assert found.group_N.tolist() == list(range(120))
    assert "No chains" in found.note


def test_pairs_of_copies_are_no_chains() -> None:
    rng = np.random.default_rng(0)
    thumbs = np.repeat(rng.normal(size=(40, 48, 48)), 2, axis=0) + 0.05 * rng.normal(size=(80, 48, 48))
    assert hidden_patients(thumbs.astype(np.float32)).threshold is None


def test_images_of_two_labels_are_never_one_patient() -> None:
    thumbs = series(6, 20, template=0.5)
    labels = [f"grade {index // 10 % 2}" for index in range(120)]
    found = hidden_patients(thumbs, labels=labels)
    np.testing.assert_array_equal(found.group_N, np.repeat(np.arange(12), 10))
    unknown = hidden_patients(thumbs, labels=[None] * 120)
    np.testing.assert_array_equal(unknown.group_N, np.repeat(np.arange(6), 20))


@pytest.mark.parametrize("num", [0, 1, 2])
def test_next_to_no_images_have_no_chains(num: int) -> None:
    assert hidden_patients(np.ones((num, 48, 48), np.float32)).group_N.tolist() == list(range(num))


def test_a_label_for_each_image_is_needed() -> None:
    with pytest.raises(ValueError, match="each of 2 images is expected, 1 came"):
        hidden_patients(np.zeros((2, 48, 48), np.float32), labels=["a"])


def _real(name: str, table: str) -> tuple[NDArray[np.float32], dict[str, dict[str, str]], list[str]]:
    if not os.environ.get("SCANLENS_TEST_DATA"):
        pytest.skip("SCANLENS_TEST_DATA is not set")
    root = Path(os.environ["SCANLENS_TEST_DATA"]) / name
    source = FolderSource(root=str(root), color="gray")
    records = source.records()
    with (root / table).open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    return thumbnails(map(source.read, records)), rows, [record.id for record in records]


@pytest.mark.slow
@pytest.mark.parametrize("exact_up_to", [4096, 10], ids=["all pairs", "index"])
def test_the_heads_of_a_public_set_are_found_without_labels(exact_up_to: int) -> None:
    thumbs, rows, ids = _real("dementia-mri", "subjects.csv")
    found = hidden_patients(thumbs, exact_up_to=exact_up_to)
    assert adjusted_rand_score([rows[name]["subject"] for name in ids], found.group_N) > 0.99
    assert "chains of neighboring slices" in found.note


@pytest.mark.slow
@pytest.mark.parametrize("name, table", [("malaria-cells", "patients.csv"), ("brain-tumour-mri", "images.csv")])
def test_cells_and_single_slices_are_not_called_patients(name: str, table: str) -> None:
    thumbs, _, _ = _real(name, table)
    assert hidden_patients(thumbs).threshold is None
