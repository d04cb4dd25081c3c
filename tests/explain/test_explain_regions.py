"""Where shortcuts may live."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from scanlens.errors import ConfigError
from scanlens.explain.regions import Region, asked_for, favored, moved, places
from scanlens.explain.shortcut_plan import Box, shortcut_plan


def disc(size: int = 64, *, radius: float = 0.6, center: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    y, x = (np.indices((size, size)) + 0.5) * 2 / size - 1
    return np.hypot(y - center[0], x - center[1]) < radius


def test_corners_borders_and_the_frame_lie_where_they_should():
    found = {region.name: region.fixed_HW for region in places(60, 48)}
    assert len(found) == 9
    corner = found["lower right corner"]
    assert corner[50:, 40:].all()
    assert corner.sum() == 10 * 8
    assert found["upper border"].sum() == 5 * 48
    assert found["left border"][:, :4].all()
    frame = found["all borders"]
    np.testing.assert_array_equal(
        frame, np.any([found[f"{side} border"] for side in ("upper", "lower", "left", "right")], axis=0)
    )


def test_tiny_images_have_all_places():
    assert all(region.fixed_HW.any() for region in places(4, 4))


def test_maps_favor_the_areas_of_highest_mean_evidence():
    mean = gaussian_filter(1.0 * disc(radius=0.1, center=(-0.5, 0.5)), 2) + 0.9 * gaussian_filter(
        1.0 * disc(radius=0.1, center=(0.5, -0.5)), 2
    )
    first, second = favored(mean)
    assert first[16, 48]
    assert second[48, 16]
    assert favored(np.zeros((64, 64))) == []
    assert favored(np.ones((64, 64))) == [], "everything is no place"


def test_a_region_is_moved_to_other_places_of_the_same_shape():
    (corner, *_) = places(48, 48)
    found = moved(corner, num=5, seed=1)
    assert len(found) == 5
    for one in found:
        assert one.fixed_HW.sum() == corner.fixed_HW.sum()
        assert (one.fixed_HW & corner.fixed_HW).sum() <= 0.1 * corner.fixed_HW.sum()
        rows, columns = np.nonzero(one.fixed_HW)
        assert (np.ptp(rows), np.ptp(columns)) == (7, 7), "in one piece"
    frame = places(48, 48)[-1]
    assert moved(frame, num=5, seed=1) == []
    assert moved(Region("writing", "text", lambda image: image[0] > 0), num=5, seed=1) == []


def test_a_swap_takes_what_any_or_all_have():
    masks = np.zeros((3, 1, 4, 4), bool)
    masks[0, 0, 0], masks[1, 0, :, 0], masks[2, 0, 0] = True, True, True
    found = [
        Region("x", "text", lambda image: image[0] > 0, is_narrowed=narrow).shared(masks) for narrow in (False, True)
    ]
    assert [mask.sum() for mask in found] == [7, 1]


def test_boxes_are_read_in_shares_and_in_pixels():
    plan = shortcut_plan(["0:0.25,0.5:1; 2:10,0:64", "0:0.25,0.5:1"], "0.1")
    assert plan.boxes == (Box((0, 0.25), (0.5, 1)), Box((2, 10), (0, 64)))
    assert plan.least_effect == 0.1
    share, pixels = asked_for(plan.boxes, 40, 60)
    assert share.name == "box 0:0.25,0.5:1"
    assert share.fixed_HW[:10, 30:].all()
    assert share.fixed_HW.sum() == 300
    assert pixels.fixed_HW.sum() == 8 * 60, "not beyond the image"


def test_mistakes_in_boxes_come_together():
    with pytest.raises(ConfigError) as caught:
        shortcut_plan(["0:1", "5:2,0:9", "a:b,c:d"], "1.5")
    assert len(caught.value.mistakes) == 4
    assert "such as 0:0.1,0.8:1, are expected, got '5:2,0:9'" in str(caught.value)
