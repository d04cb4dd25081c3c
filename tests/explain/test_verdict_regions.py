"""Which region is tested, and with which others it is compared."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scanlens.explain.verdict.regions import placed_elsewhere, top_region

SIZE = 32


def disc(radius: float, size: int = SIZE) -> NDArray[np.bool_]:
    y, x = np.indices((size, size)) - (size - 1) / 2
    return np.hypot(y, x) <= radius


def block(rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[rows, columns] = True
    return mask


def everywhere() -> NDArray[np.bool_]:
    return np.ones((SIZE, SIZE), bool)


def test_the_region_is_the_strongest_share_of_what_is_covered() -> None:
    values = np.arange(SIZE * SIZE, dtype=float).reshape(SIZE, SIZE)
    covered = block(slice(0, 10), slice(0, 10))
    region = top_region(values, covered, share=0.05, seed=1)
    assert region.sum() == 5
    assert region[9, 5:10].all()


def test_only_positive_evidence_is_highlighted() -> None:
    values = -np.ones((SIZE, SIZE))
    assert not top_region(values, everywhere(), share=0.1, seed=1).any()
    values[3, 4] = 0.5
    region = top_region(values, everywhere(), share=0.1, seed=1)
    assert np.argwhere(region).tolist() == [[3, 4]]


def test_ties_are_drawn_at_random_and_by_the_seed() -> None:
    values = np.where(block(slice(0, 20), slice(0, 20)), 1.0, 0.0)
    first, again, other = (top_region(values, everywhere(), share=0.02, seed=seed) for seed in (1, 1, 2))
    assert first.sum() == round(0.02 * SIZE * SIZE)
    assert (first == again).all()
    assert (first != other).any()
    assert np.argwhere(first)[:, 0].max() > 5, "not the first of the equal pixels in reading order"


def test_regions_elsewhere_have_the_same_shape_and_do_not_touch_the_highlighted_one() -> None:
    region = block(slice(4, 9), slice(20, 23)) | block(slice(6, 7), slice(23, 25))
    found = placed_elsewhere(region, everywhere(), everywhere(), num=24, seed=3)
    assert len(found.regions_NHW) == 24
    assert len({tuple(shift) for shift in found.shifts_N2.tolist()}) == 24
    corner, outline = np.argwhere(region).min(axis=0), np.argwhere(region) - np.argwhere(region).min(axis=0)
    for moved in found.regions_NHW:
        places = np.argwhere(moved)
        assert (places - places.min(axis=0) == outline).all()
        assert not (moved & region).any()
        assert (places.min(axis=0) != corner).any()
    assert not found.may_be_cut


def test_regions_elsewhere_stay_where_the_map_says_something() -> None:
    covered = block(slice(6, 26), slice(6, 26))
    found = placed_elsewhere(block(slice(7, 10), slice(7, 10)), covered, everywhere(), num=24, seed=3)
    assert len(found.regions_NHW) == 24
    assert not found.regions_NHW[:, ~covered].any()


def test_regions_elsewhere_lie_on_the_same_kind_of_ground() -> None:
    inside = block(slice(14, 17), slice(14, 17))
    for region, share in ((inside, 1.0), (block(slice(0, 3), slice(0, 3)), 0.0)):
        found = placed_elsewhere(region, everywhere(), disc(12), num=24, seed=3)
        assert found.body_share == share
        assert np.abs(found.body_shares_N - share).max() <= 0.05
    free = placed_elsewhere(inside, everywhere(), disc(12), num=24, seed=3, same_ground=False)
    assert free.body_shares_N.mean() < 0.7, "most of these lie on empty ground"


def test_where_there_is_little_room_the_rules_are_relaxed_and_that_is_told() -> None:
    half = block(slice(0, 16), slice(0, 32))
    assert len(placed_elsewhere(half, everywhere(), everywhere(), num=24, seed=3).regions_NHW) <= 24
    scattered = np.random.default_rng(1).random((SIZE, SIZE)) < 0.02
    found = placed_elsewhere(scattered, everywhere(), everywhere(), num=24, seed=3)
    assert len(found.regions_NHW) == 24
    assert found.may_be_cut
    assert found.overlap <= 0.1
    whole = placed_elsewhere(everywhere(), everywhere(), everywhere(), num=24, seed=3)
    assert len(whole.regions_NHW) == 0


@pytest.mark.parametrize("num", [1, 24])
def test_the_same_seed_draws_the_same_places(num: int) -> None:
    region = block(slice(4, 9), slice(20, 23))
    first, again = (placed_elsewhere(region, everywhere(), disc(14), num=num, seed=5) for _ in range(2))
    assert (first.regions_NHW == again.regions_NHW).all()
