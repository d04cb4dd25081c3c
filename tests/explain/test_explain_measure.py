"""Measures of pointing: hand-made maps, and the cases that other tools count as hits."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.explain.measure import chance, mass_in_mask, peak_distance_px, peak_yx, pointing_hit

MASK = np.zeros((6, 8), dtype=bool)
MASK[1:3, 2:5] = True


def one_peak(r: int, c: int, value: float = 2.0) -> np.ndarray:
    signed = np.full((6, 8), -0.5)
    signed[r, c] = value
    return signed


def test_a_peak_inside_is_a_hit_and_outside_a_miss():
    assert peak_yx(one_peak(2, 4)) == (2.0, 4.0)
    assert pointing_hit(one_peak(2, 4), MASK) == 1.0
    assert pointing_hit(one_peak(2, 5), MASK) == 0.0
    assert peak_distance_px(one_peak(2, 4), MASK) == 0.0
    assert peak_distance_px(one_peak(5, 8 - 1), MASK) == pytest.approx(np.hypot(3, 3))


def test_a_tolerance_widens_the_mask_for_the_hit_and_for_chance():
    assert pointing_hit(one_peak(3, 5), MASK, tolerance_px=1.0) == 0.0
    assert pointing_hit(one_peak(3, 5), MASK, tolerance_px=1.5) == 1.0
    assert chance(MASK) == 6 / 48
    assert chance(MASK, tolerance_px=1.0) == (6 + 3 + 3 + 2 + 2) / 48
    with pytest.raises(ValueError, match="must not be negative"):
        chance(MASK, tolerance_px=-1)


def test_equal_maxima_give_the_expected_hit_and_their_mean_position():
    signed = one_peak(1, 2)
    signed[1, 6] = signed[5, 4] = 2.0
    assert pointing_hit(signed, MASK) == pytest.approx(1 / 3)
    assert peak_yx(signed) == (pytest.approx(7 / 3), 4.0)


@pytest.mark.parametrize(
    "signed",
    [
        np.zeros((6, 8)),
        np.full((6, 8), 3.0),
        -np.arange(48.0).reshape(6, 8),
        np.full((6, 8), np.nan),
        one_peak(1, 2, np.inf),
    ],
    ids=["zero", "constant", "only against", "nan", "infinite"],
)
def test_a_map_without_a_place_is_a_miss(signed):
    assert peak_yx(signed) is None
    assert pointing_hit(signed, MASK) == 0.0
    assert mass_in_mask(signed, MASK) == 0.0
    assert peak_distance_px(signed, MASK) is None


def test_strong_evidence_against_is_no_hit():
    signed = one_peak(2, 3, -9.0)
    signed[5, 7] = 0.1
    assert pointing_hit(signed, MASK) == 0.0
    assert mass_in_mask(signed, MASK) == 0.0


def test_mass_counts_positive_evidence_only():
    signed = np.zeros((6, 8))
    signed[1, 2], signed[5, 5], signed[2, 2] = 3.0, 1.0, -7.0
    assert mass_in_mask(signed, MASK) == 0.75
    assert mass_in_mask(np.random.default_rng(0).random((6, 8)), MASK) == pytest.approx(chance(MASK), abs=0.05)


def test_an_empty_mask_leaves_the_case_out():
    empty = np.zeros((6, 8))
    for measure in (pointing_hit, mass_in_mask, peak_distance_px):
        assert measure(one_peak(1, 1), empty) is None
    assert chance(empty) is None


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"map \(6, 8\) and mask \(8, 6\)"):
        pointing_hit(one_peak(0, 0), MASK.T)
    with pytest.raises(ValueError, match="one map"):
        peak_yx(np.zeros((2, 6, 8)))
