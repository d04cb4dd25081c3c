"""What is measured on the map of a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fakes.explainers import method
from fakes.tiny_networks import make_network
from scanlens.callbacks.case_maps import CaseMap, MapGrid, explain_cases, write_case_map


def case_map(map_HW: NDArray, mask_HW: NDArray | None, **changed: Any) -> CaseMap:
    size = map_HW.shape
    facts: dict[str, Any] = {
        "case": "test-00001",
        "method": "x",
        "grid": MapGrid("input", (1.0, 1.0), (1.0, 1.0), ""),
        "scan_CHW": np.zeros((1, *size), np.float32),
        "map_HW": map_HW.astype(np.float32),
        "cells_hw": map_HW.astype(np.float32),
        "covered_HW": np.ones(size, bool),
        "mask_HW": mask_HW,
        "is_blank": False,
    }
    return CaseMap(**(facts | changed))


def lesion(rows: slice, columns: slice) -> NDArray[np.uint8]:
    mask = np.zeros((8, 8), np.uint8)
    mask[rows, columns] = 1
    return mask


def test_a_blank_map_is_a_miss_though_its_covered_part_stands_out() -> None:
    covered = np.zeros((8, 8), bool)
    covered[2:6, 2:6] = True
    flat = np.where(covered, 3.0, 0.0)
    found = case_map(flat, lesion(slice(2, 6), slice(2, 6)), covered_HW=covered, is_blank=True)
    assert (found.hit(), found.mass()) == (0.0, 0.0)


def test_chance_is_the_share_of_what_the_map_covers() -> None:
    covered = np.zeros((8, 8), bool)
    covered[2:6, 2:6] = True
    found = case_map(np.eye(8), lesion(slice(0, 4), slice(2, 6)), covered_HW=covered)
    assert found.lesion_share == pytest.approx(8 / 16)
    outside = case_map(np.eye(8), lesion(slice(0, 2), slice(0, 8)), covered_HW=covered)
    assert not outside.has_lesion
    assert outside.hit() is None


def test_a_dark_difference_counts_as_much_as_a_bright_one_where_both_signs_mean_the_same() -> None:
    values = np.zeros((8, 8))
    values[1, 1], values[6, 6] = -5.0, 1.0
    mask = lesion(slice(0, 3), slice(0, 3))
    assert case_map(values, mask, is_two_sided=True).hit() == 1.0
    assert case_map(values, mask).hit() == 0.0


def test_images_without_a_lesion_have_no_hit() -> None:
    assert case_map(np.eye(8), None).hit() is None
    assert case_map(np.eye(8), np.zeros((8, 8), np.uint8)).mass() is None


def test_a_map_against_one_class_says_against_which(tmp_path: Path) -> None:
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    network = make_network("flatten").eval()
    with torch.no_grad():
        rivals = network(images)[:, :2].argmax(1).tolist()
    for name, expected in (("contrast", rivals), ("hires_cam", [None, None])):
        maps = explain_cases(method(name), network, [0, 1], ["test-0", "test-1"], [2, 2], lambda i: (images[i], None))
        written = [write_case_map(tmp_path, one, scale=1.0) for one in maps]
        assert [one.get("against") for one in written] == expected
