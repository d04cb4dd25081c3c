"""Counts by hand."""

from __future__ import annotations

from scanlens.evaluation.class_counts import Count, class_counts


def test_counts_by_hand() -> None:
    found = class_counts(
        ["a", "a", "b", "a", "b", "b"],
        ["p", "p", "p", "q", "r", None],
        ["train", "train", "train", "test", "test", None],
        class_names=["a", "b"],
        split_names=["train", "test"],
    )
    expected = [
        Count("train", "a", 2, 1),
        Count("train", "b", 1, 1),
        Count("test", "a", 1, 1),
        Count("test", "b", 1, 1),
    ]
    assert found.counts == expected
    assert found.images_per_patient == (1, 1.0, 3)
    assert found.num_mixed_patients == 1
    assert found.few == {"a": 2, "b": 3}


def test_without_patients_images_are_counted() -> None:
    found = class_counts(
        ["a"] * 5 + ["b"] * 4, [None] * 9, ["train"] * 9, class_names=["a", "b"], split_names=["train"]
    )
    assert [(one.num_images, one.num_patients) for one in found.counts] == [(5, None), (4, None)]
    assert found.images_per_patient is None
    assert found.few == {"b": 4}
