"""Labels that were swapped, and copies with two labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from scanlens.data.correlation import standardized
from scanlens.data.duplicates import thumbnails
from scanlens.data.sources.mnist import MnistSource
from scanlens.evaluation.doubtful_labels import doubtful_labels, label_conflicts


def test_swapped_labels_are_found_and_put_right() -> None:
    generator = np.random.default_rng(0)
    target_N = np.repeat([0, 1, 2], 40)
    patterns = generator.normal(size=(3, 6, 6))
    rows = standardized((patterns[target_N] + 0.3 * generator.normal(size=(120, 6, 6))).astype(np.float32))
    labels_N = target_N.copy()
    labels_N[[5, 50, 100]] = [2, 0, 1]
    found = doubtful_labels(rows, labels_N, np.arange(120))
    assert {(one.index, one.target, one.suggested) for one in found.found} == {(5, 2, 0), (50, 0, 1), (100, 1, 2)}
    assert doubtful_labels(rows, labels_N, np.arange(120), most=1).num_found == 3


def test_images_of_the_same_group_have_no_vote() -> None:
    rows = standardized(np.random.default_rng(1).normal(size=(60, 5, 5)).astype(np.float32).repeat(12, axis=0))
    group_N = np.repeat(np.arange(60), 12)
    target_N = np.random.default_rng(2).integers(2, size=60)[group_N]
    assert doubtful_labels(rows, target_N, np.arange(720)).balanced_accuracy > 0.95
    blind = doubtful_labels(rows, target_N, group_N)
    assert blind.balanced_accuracy < 0.75
    assert blind.found == []
    assert "cannot judge labels" in (blind.reason or "")


def test_conflicts_begin_where_one_stands_against_most() -> None:
    group_N = np.array([0, 0, 1, 1, 1, 1, -1, -1, 2, 2, 3, 3])
    target_N = np.array([0, 1, 1, 1, 1, 2, 0, 1, 3, 3, 1, -1])
    first, second = label_conflicts(group_N, target_N)
    assert (first.group, first.indices, first.counts) == (1, [2, 3, 4, 5], {1: 3, 2: 1})
    assert (second.group, second.counts) == (0, {0: 1, 1: 1})


@pytest.mark.slow
def test_flipped_digits_are_found() -> None:
    if not os.environ.get("SCANLENS_TEST_DATA"):
        pytest.skip("SCANLENS_TEST_DATA is not set")
    source = MnistSource(root=str(Path(os.environ["SCANLENS_TEST_DATA"]) / "mnist"))
    records = source.records()
    names = sorted({record.target or "" for record in records})
    target_N = np.array([names.index(record.target or "") for record in records])
    generator = np.random.default_rng(0)
    is_flipped_N = generator.random(len(target_N)) < 0.05
    labels_N = np.where(is_flipped_N, (target_N + generator.integers(1, 10, len(target_N))) % 10, target_N)
    rows = standardized(thumbnails(map(source.read, records)))
    found = doubtful_labels(rows, labels_N, np.arange(len(target_N)), most=10_000).found
    num_right = sum(bool(is_flipped_N[one.index]) for one in found)
    assert num_right / len(found) > 0.7
    assert num_right / is_flipped_N.sum() > 0.7
