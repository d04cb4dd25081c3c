"""Leaks between splits, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.data.leaks import Leak, copies, find_leaks


def test_leaks_are_counted_in_the_later_split() -> None:
    group_N = np.array([0, 0, 0, 1, 1, 2, 3, -1, -1])
    split_N = ["train", "test", "test", "val", "test", "test", "train", "train", "test"]
    assert find_leaks(group_N, split_N) == [
        Leak("train", "test", 2, 5, [0]),
        Leak("val", "test", 1, 5, [1]),
    ]


def test_images_in_no_split_leak_nowhere() -> None:
    assert find_leaks(np.array([0, 0]), ["train", None]) == []
    with pytest.raises(ValueError, match="2 images"):
        find_leaks(np.array([0, 0]), ["train"])


def test_copies_are_groups_of_equal_hashes_without_blank_images() -> None:
    hashes_NB = np.array([[9, 9], [1, 2], [5, 5], [1, 2], [9, 9], [7, 7], [7, 7]], np.uint8)
    is_blank_N = np.array([False, False, False, False, False, True, True])
    assert copies(hashes_NB, is_blank_N=is_blank_N).tolist() == [0, 1, -1, 1, 0, -1, -1]
