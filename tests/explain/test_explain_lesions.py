"""Lesions drawn into images, and what is tried."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scanlens.explain.lesions import Lesion, contrast_of, inserted, lesions_at, mask_of, places_in
from scanlens.explain.limits_plan import LimitsPlan


@pytest.mark.parametrize("diameter", [4.0, 9.0, 21.0])
@pytest.mark.parametrize("aspect", [1.0, 1.6])
def test_a_lesion_has_the_area_and_the_center_that_were_asked_for(diameter: float, aspect: float) -> None:
    cover_HW = Lesion((31.3, 28.8), diameter, aspect, angle_rad=0.7).cover_HW((64, 64))
    area = math.pi * diameter**2 / 4
    assert cover_HW.sum() == pytest.approx(area, rel=0.05)
    assert mask_of(cover_HW).sum() == pytest.approx(area, rel=0.1)
    center = (np.indices((64, 64)) * cover_HW).sum(axis=(1, 2)) / cover_HW.sum()
    np.testing.assert_allclose(center, (31.3, 28.8), atol=0.05)
    assert cover_HW.min() == 0
    assert cover_HW.max() == 1


def test_the_long_side_lies_along_its_angle() -> None:
    rows, columns = np.nonzero(mask_of(Lesion((32, 32), 16, 1.6, angle_rad=0.0).cover_HW((64, 64))))
    assert np.ptp(rows) / np.ptp(columns) == pytest.approx(1.6, rel=0.15)


def test_a_lesion_smaller_than_a_pixel_keeps_the_pixel_that_it_covers_most() -> None:
    assert mask_of(Lesion((5.2, 6.9), 0.5).cover_HW((12, 12))).tolist()[5][7] is True


def test_a_lesion_changes_nothing_elsewhere_and_is_clipped_to_white() -> None:
    x_CHW = np.full((2, 24, 24), 0.6, dtype=np.float32)
    cover_HW = Lesion((12, 12), 8).cover_HW((24, 24))
    changed = inserted(x_CHW, cover_HW, np.array([0.3, 0.7]))
    np.testing.assert_allclose(changed[0], 0.6 + 0.3 * cover_HW, atol=1e-6)
    assert changed[1].max() == 1.0
    assert (changed == x_CHW)[:, cover_HW == 0].all()


def head(size: int = 64) -> np.ndarray:
    """A bright ring around gray tissue on black, with a black hole inside."""
    y, x = np.indices((size, size)) - (size - 1) / 2
    radius = np.hypot(y, x)
    picture = np.where(radius < 26, 0.45, 0.0)
    picture[(radius >= 24) & (radius < 26)] = 0.95
    picture[np.hypot(y - 4, x) < 4] = 0.0
    return picture[None] + np.random.default_rng(0).normal(0, 0.01, (1, size, size))


def test_places_are_uniform_and_so_deep_that_the_lesion_fits() -> None:
    inside_HW = np.zeros((60, 60), dtype=bool)
    inside_HW[10:50, 10:50] = True
    places = np.array(places_in(inside_HW, num=4000, depth_px=10, seed=3))
    assert places.min() >= 18.5
    assert places.max() <= 40.5
    np.testing.assert_allclose(places.mean(axis=0), 29.5, atol=0.5)
    np.testing.assert_allclose(places.std(axis=0), 22 / math.sqrt(12), rtol=0.05)
    assert places_in(inside_HW, num=3, depth_px=10, seed=3) == places_in(inside_HW, num=3, depth_px=10, seed=3)
    assert len(places_in(inside_HW, num=3, depth_px=500, seed=3)) == 3


def test_lesions_of_one_place_differ_in_nothing_but_size() -> None:
    (first, second) = lesions_at([(3.0, 4.0), (5.0, 6.0)], [2.0, 4.0], seed=1)
    assert first[0].diameter_px == 2.0
    assert first[1] == Lesion((3.0, 4.0), 4.0, first[0].aspect, first[0].angle_rad)
    assert second[0].aspect != first[0].aspect


def test_the_contrast_of_a_drawn_lesion_is_found_again() -> None:
    x_CHW = np.concatenate([head(), 0.5 * head()])
    cover_HW = Lesion((20, 38), 9).cover_HW((64, 64))
    changed = inserted(x_CHW.clip(0, 1), cover_HW, np.array([0.3, -0.1]))
    found = contrast_of(changed, mask_of(cover_HW))
    assert found is not None
    np.testing.assert_allclose(found, [0.3, -0.1], atol=0.05)
    assert contrast_of(changed, np.zeros((64, 64))) is None


def test_the_plan_follows_the_image_and_says_what_it_cannot_use() -> None:
    plan = LimitsPlan()
    sizes = plan.sizes_for((64, 64))
    assert (len(sizes), sizes[0], sizes[-1]) == (9, 2.0, pytest.approx(64 / 3, abs=0.1))
    assert plan.tolerance_for((64, 64)) == 4
    assert plan.tolerance_for((224, 224)) == 14
    asked = LimitsPlan.from_words({"limits.sizes": "[3,6,12]", "limits.contrast": "-0.2", "limits.tolerance": "0"})
    assert asked == LimitsPlan((3.0, 6.0, 12.0), -0.2, 0.0)
    assert LimitsPlan.from_words({"limits.contrasts": "[0.1,-0.3]"}).contrasts == (0.1, -0.3)
    assert LimitsPlan.from_words({"limits.contrasts": "[]"}) == plan
    for words, told in (
        ({"limits.sizes": "[3,6]"}, "at least three rising"),
        ({"limits.sizes": "3,x,9"}, "a number is expected, got 'x'"),
        ({"limits.contrast": "2"}, "between -1 and 1"),
        ({"limits.contrasts": "0.1,0"}, r"and not 0, are expected, got \[0\.1, 0\.0\]"),
        ({"limits.contrasts": "[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9]"}, "at most 8 different"),
        ({"limits.contrasts": "0.1,"}, "a number is expected"),
        ({"limits.tolerance": "nan"}, "a number is expected"),
    ):
        with pytest.raises(ValueError, match=told):
            LimitsPlan.from_words(words)
