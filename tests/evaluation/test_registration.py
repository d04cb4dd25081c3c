"""Moves of maps: measured on one half of the patients, judged on the other."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.explanations.registration import first_half, judged_move, paired_change
from scanlens.evaluation.resampling import PatientGroups, group_patients


def patients(num: int, *, each: int) -> PatientGroups:
    return group_patients([str(n // each) for n in range(num)], np.zeros(num, dtype=np.int64))


def peaks(rng: np.random.Generator, num: int) -> np.ndarray:
    return rng.uniform(0, 64, (num, 2))


def test_a_patient_lies_in_one_half() -> None:
    groups = patients(40, each=4)
    is_first_N = first_half(groups, seed=1)
    assert is_first_N.sum() == 20
    assert all(len(set(is_first_N[4 * p : 4 * p + 4])) == 1 for p in range(10))
    assert (first_half(groups, seed=1) == is_first_N).all()


def test_a_common_offset_is_found_among_maps_that_point_elsewhere() -> None:
    rng = np.random.default_rng(0)
    reference_N2 = peaks(rng, 80)
    map_N2 = reference_N2 - np.array([3.0, -2.0]) + rng.normal(0, 0.7, (80, 2))
    map_N2[::4] = peaks(rng, 20)
    move = judged_move(map_N2, reference_N2, patients(80, each=2), largest_px=6, seed=1)
    assert move.is_accepted
    assert move.shift_yx is not None
    np.testing.assert_allclose(move.shift_yx, (3, -2), atol=0.6)
    assert 1.5 < move.gain_px["value"] <= np.hypot(3, 2)
    assert (move.num_estimated, move.num_judged, move.num_blank) == (40, 40, 0)


def test_a_longer_way_than_filters_can_be_off_is_refused() -> None:
    rng = np.random.default_rng(0)
    reference_N2 = peaks(rng, 60)
    move = judged_move(reference_N2 - np.array([0, 9.0]), reference_N2, patients(60, each=2), largest_px=6, seed=1)
    assert not move.is_accepted
    assert "more than filters can be off" in str(move.reason)


def test_maps_that_have_nothing_to_do_with_the_reference_are_seldom_moved() -> None:
    rng, num_moved = np.random.default_rng(5), 0
    for repeat in range(200):
        move = judged_move(peaks(rng, 48), peaks(rng, 48), patients(48, each=3), largest_px=100, seed=repeat)
        num_moved += move.is_accepted
    assert num_moved <= 13  # 2.5 % expected, five errors above it


def test_too_few_patients_measure_nothing() -> None:
    rng = np.random.default_rng(0)
    move = judged_move(peaks(rng, 40), peaks(rng, 40), patients(40, each=10), largest_px=6, seed=1)
    assert (move.shift_yx, move.is_accepted) == (None, False)
    assert "20 images of 2 patients to measure on" in str(move.reason)
    blank = np.full((40, 2), np.nan)
    move = judged_move(blank, peaks(rng, 40), patients(40, each=2), largest_px=6, seed=1)
    assert move.num_blank == 40
    assert "0 images" in str(move.reason)


def test_a_paired_change_leaves_out_what_is_not_known_twice() -> None:
    before, after = np.array([0, 0, 1, np.nan, 0, 1.0]), np.array([1, 0, 1, 1, 1, np.nan])
    found = paired_change(before, after, patients(6, each=1))
    assert found["num_images"] == 4
    assert (found["before"]["value"], found["after"]["value"], found["gain"]["value"]) == (0.25, 0.75, 0.5)
    assert found["gain"]["low"] == pytest.approx(0.5 - 3.182446 * np.std([1, 0, 0, 1], ddof=1) / 2, abs=1e-5)
    nothing = paired_change(np.array([np.nan]), np.array([1.0]), patients(1, each=1))
    assert nothing["gain"]["reason"] == "no image"
