"""Shortcuts that were planted, and none where labels were dealt at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from scanlens.evaluation.shortcuts import Kind, Origin, Shortcut, _AreaWithinFolds, measure_shortcuts, verdict


@dataclass(frozen=True)
class Column:
    values_ND: NDArray[Any]
    kind: Kind = "numbers"
    origin: Origin = "file"
    name: str = "it"


def measured(column: Column, target_N: NDArray[np.int64], group_N: NDArray[np.int64], **settings: Any) -> Shortcut:
    return measure_shortcuts([column], target_N, group_N, seed=0, **settings)[0]


def test_a_size_that_only_one_class_has_is_a_warning() -> None:
    target_N = np.arange(200) % 2
    found = measured(
        Column(np.where(target_N == 1, 512.0, 256.0)[:, None]), target_N, np.arange(200) // 2 * 2 + target_N
    )
    assert found.auroc == 1.0
    assert found.reason == "no interval: all resamples give the same value"
    assert verdict(found, file_margin=0.1, picture_margin=0.25) == "warning"
    noisy = np.where(np.arange(200) % 7 == 0, 300, np.where(target_N == 1, 512.0, 256.0))[:, None]
    found = measured(Column(noisy), target_N, np.arange(200))
    assert found.low is not None
    assert found.low > 0.8
    assert verdict(found, file_margin=0.1, picture_margin=0.25) == "warning"
    softer = measured(Column(noisy, origin="picture"), target_N, np.arange(200))
    assert verdict(softer, file_margin=0.1, picture_margin=0.25) == "notice"


def test_a_missing_value_can_be_the_shortcut() -> None:
    target_N = np.arange(100) % 2
    values = np.where((target_N == 1) ^ (np.arange(100) % 20 == 0), np.nan, 0.5)[:, None]
    assert measured(Column(values), target_N, np.arange(100)).auroc > 0.85
    codes = np.where((target_N == 1) ^ (np.arange(100) % 20 == 0), -1, 3)[:, None]
    assert measured(Column(codes, kind="category"), target_N, np.arange(100)).auroc > 0.85


def test_what_names_the_patient_does_not_predict_the_label_of_another() -> None:
    """Ten images each of 40 patients: a value of the patient's own gives the label away only to who has seen him."""
    group_N = np.repeat(np.arange(40), 10)
    target_N = np.random.default_rng(1).permutation(np.arange(40) % 2)[group_N]
    own_N = np.random.default_rng(2).random(40)[group_N]
    by_patient = measured(Column(own_N[:, None]), target_N, group_N)
    by_image = measured(Column(own_N[:, None]), target_N, np.arange(400))
    assert by_patient.low < 0.5 < by_patient.high
    assert by_image.low > 0.8


@pytest.mark.parametrize("kind", [pytest.param("numbers", marks=pytest.mark.slow), "category", "pixels"])
def test_labels_dealt_at_random_give_chance(kind: Kind) -> None:
    generator = np.random.default_rng(3)
    group_N = np.repeat(np.arange(60), 2)
    found = []
    for _ in range(40):
        own = generator.integers(4, size=(60, 1)) if kind == "category" else generator.normal(size=(60, 12))
        target_N = generator.permutation(np.arange(60) % 3)[group_N]
        found.append(measured(Column(own[group_N], kind=kind), target_N, group_N, num_resamples=100))
    assert np.mean([one.auroc for one in found]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([one.low > 0.5 for one in found]) <= 0.15


def test_the_area_compares_pairs_of_one_fold_only() -> None:
    generator = np.random.default_rng(4)
    target_N, scores_NK = generator.integers(2, size=60), generator.random((60, 2))
    folds = [(np.arange(0), np.arange(0, 30)), (np.arange(0), np.arange(30, 60))]
    right, pairs = np.zeros(2), np.zeros(2)
    for k in range(2):
        for _, judged in folds:
            num = (target_N[judged] == k).sum() * (target_N[judged] != k).sum()
            right[k] += num * roc_auc_score(target_N[judged] == k, scores_NK[judged, k])
            pairs[k] += num
    found = _AreaWithinFolds(scores_NK, target_N, folds)(np.ones((60, 1)))["auroc"]
    np.testing.assert_allclose(found, (right / pairs).mean())


def test_what_cannot_be_measured_says_why() -> None:
    target_N = np.arange(40) % 2
    one_value = measured(Column(np.full((40, 1), 3.0)), target_N, np.arange(40))
    assert (one_value.auroc, one_value.reason) == (None, "the same for every image")
    assert measured(Column(np.full((40, 1), np.nan)), target_N, np.arange(40)).reason == "known of no image"
    assert measured(Column(np.ones((40, 1))), np.zeros(40, int), np.arange(40)).reason == "all images are of one class"
    few = measured(Column(np.arange(40.0)[:, None]), target_N, np.arange(40) % 4)
    assert few.reason == "fewer than two classes are carried by 5 patients or groups"
    assert few.left_out == [0, 1]
    assert verdict(few, file_margin=0.1, picture_margin=0.25) is None


def test_of_many_images_whole_groups_are_drawn_and_the_same_seed_gives_the_same() -> None:
    group_N = np.repeat(np.arange(200), 5)
    target_N = (np.arange(200) % 4 == 0).astype(np.int64)[group_N]
    values = np.random.default_rng(5).normal(target_N)[:, None]
    first, second = (measured(Column(values), target_N, group_N, most_images=300) for _ in range(2))
    assert first == second
    assert first.num_images == 5 * first.num_groups
    assert 280 <= first.num_images <= 300
