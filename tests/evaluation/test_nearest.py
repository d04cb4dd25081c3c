"""The anchor without learning."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from scanlens.data.correlation import standardized
from scanlens.data.thumbnail_rows import ThumbnailRows
from scanlens.evaluation import nearest
from scanlens.evaluation.nearest import nearest_neighbor_baseline, nearest_neighbor_scores


def test_the_nearest_thumbnail_decides_also_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "CHUNK", 17)
    generator = np.random.default_rng(0)
    train_ND, test_MD = generator.integers(0, 256, size=(100, 12)), generator.integers(0, 256, size=(60, 12))
    target_N = generator.integers(4, size=100)
    expected = KNeighborsClassifier(n_neighbors=1, algorithm="brute").fit(train_ND, target_N).predict(test_MD)
    found = nearest_neighbor_baseline(train_ND.astype(np.uint8), target_N, test_MD.astype(np.uint8))
    np.testing.assert_array_equal(found, expected)


def test_the_first_of_equally_near_thumbnails_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "CHUNK", 2)
    train_ND = np.array([[9.0], [1.0], [3.0], [1.0]])
    assert nearest_neighbor_baseline(train_ND, np.array([3, 0, 1, 2]), np.array([[2.0], [1.0]])).tolist() == [0, 0]


def test_scores_by_hand() -> None:
    train_ND, train_target_N = np.array([[0.0], [10.0], [20.0]]), np.array([0, 1, 2])
    found = nearest_neighbor_scores(
        train_ND, train_target_N, np.array([[1.0], [2.0], [9.0], [1.0]]), np.array([0, 0, 1, 1])
    )
    assert found == pytest.approx({"accuracy": 0.75, "balanced_accuracy": 0.75, "macro_f1": (0.8 + 2 / 3) / 2})


def test_no_test_image_gives_no_prediction() -> None:
    assert len(nearest_neighbor_baseline(np.ones((3, 2)), np.array([0, 1, 1]), np.ones((0, 2)))) == 0


def test_thumbnails_must_fit_and_be_finite() -> None:
    with pytest.raises(ValueError, match="equally many pixels"):
        nearest_neighbor_baseline(np.ones((3, 2)), np.array([0, 1, 1]), np.ones((3, 4)))
    with pytest.raises(ValueError, match="test_thumbs_MD: a pixel is not finite"):
        nearest_neighbor_baseline(np.ones((3, 2)), np.array([0, 1, 1]), np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="target_N"):
        nearest_neighbor_baseline(np.ones((3, 2)), np.array([0, 1]), np.ones((3, 2)))
    with pytest.raises(ValueError, match="test_target_M"):
        nearest_neighbor_scores(np.ones((3, 2)), np.array([0, 1, 1]), np.ones((3, 2)), np.array([0]))


def test_rows_may_be_read_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "CHUNK", 7)
    generator = np.random.default_rng(1)
    thumbs_NHW = generator.random((60, 6, 5)).astype(np.float32)
    target_N = generator.integers(3, size=60)
    train, test = [*range(0, 60, 2)], [*range(1, 60, 2)]
    whole = standardized(thumbs_NHW)
    expected = nearest_neighbor_scores(whole[train], target_N[train], whole[test], target_N[test])
    rows = ThumbnailRows(thumbs_NHW, train), ThumbnailRows(thumbs_NHW, test)
    assert nearest_neighbor_scores(rows[0], target_N[train], rows[1], target_N[test]) == expected
