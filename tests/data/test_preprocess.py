from __future__ import annotations

import numpy as np
import pytest

from scanlens.data.image_io import as_color
from scanlens.data.preprocess import Preprocess
from scanlens.errors import ImageError
from scanlens.types import RawImage


def gray(pixels: np.ndarray, top: float = 255.0) -> RawImage:
    return RawImage(pixels, "gray", (0.0, top))


def test_range_maps_what_the_file_can_hold() -> None:
    pixels = np.array([[0, 51], [102, 255]], np.uint8).repeat(4, 0).repeat(4, 1)
    out = Preprocess(size=8, channels=1, intensity="range")(gray(pixels))
    np.testing.assert_allclose(out[0, ::4, ::4], [[0, 0.2], [0.4, 1.0]], atol=1e-6)


def test_sixteen_bits_are_not_squeezed() -> None:
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8) + 30_000
    out = Preprocess(size=8, channels=1, intensity="range")(gray(pixels, 65535.0))
    assert len(np.unique(out)) == 64


def test_percentiles_do_not_care_about_units() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.random((8, 8)).astype(np.float32)
    plan = Preprocess(size=8, channels=1, intensity="percentile", lower_percentile=0, upper_percentile=100)
    np.testing.assert_allclose(plan(gray(pixels)), plan(gray(pixels * 900 - 55)), atol=1e-5)


def test_auto_is_range_for_eight_bits_and_percentile_for_more() -> None:
    low = np.full((8, 8), 100, np.uint8)
    low[0, 0] = 50
    plan = Preprocess(size=8, channels=1)
    assert plan(gray(low)).max() == pytest.approx(100 / 255)
    assert plan(gray(low.astype(np.uint16), 65535.0)).max() == pytest.approx(1.0)


def test_constant_and_partly_nan_images_become_finite() -> None:
    plan = Preprocess(size=8, channels=1, intensity="minmax")
    assert plan(gray(np.full((8, 8), 7, np.uint8))).max() == 0
    pixels = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    pixels[0, :3] = np.nan
    out = plan(gray(pixels))
    assert np.isfinite(out).all()
    assert out[0, 0, 0] == 0.0


def test_mostly_nan_is_refused_with_the_share() -> None:
    pixels = np.full((8, 8), np.nan, np.float32)
    pixels[:2] = 1.0
    with pytest.raises(ImageError, match="75%"):
        Preprocess(size=8, channels=1)(gray(pixels))


def test_aspect_is_kept_with_zeros_around_and_the_mask_moves_along() -> None:
    pixels = np.full((8, 16), 255, np.uint8)
    mask = np.zeros((8, 16), np.uint8)
    mask[:, 8:] = 1
    plan = Preprocess(size=16, channels=1, intensity="range")
    image, placed = plan(gray(pixels))[0], plan.mask(mask)
    assert image[:4].max() == 0
    assert image[4:12].min() == 1
    np.testing.assert_array_equal(placed[4:12, 8:], 1)
    assert placed.sum() == 64


def test_the_smallest_lesion_survives_shrinking() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[40, 21] = 1
    placed = Preprocess(size=16, channels=1).mask(mask)
    assert placed.sum() == 1
    assert placed[10, 5] == 1


def test_gray_is_repeated_and_color_becomes_luma() -> None:
    rgb = np.zeros((8, 8, 3), np.uint8)
    rgb[..., 1] = 255
    out = Preprocess(size=8, channels=1)(RawImage(rgb, "rgb", (0.0, 255.0)))
    np.testing.assert_allclose(out, 0.587, atol=1e-6)
    three = Preprocess(size=8, channels=3)(gray(np.full((8, 8), 51, np.uint8)))
    np.testing.assert_allclose(three, 0.2, atol=1e-6)


def test_sequences_are_scaled_each_by_itself() -> None:
    channels = np.stack([np.arange(64).reshape(8, 8), 1000 * np.arange(64).reshape(8, 8)], axis=-1).astype(np.float32)
    out = Preprocess(size=8, intensity="minmax")(RawImage(channels, "channels", (0.0, 65535.0)))
    np.testing.assert_allclose(out[0], out[1], atol=1e-6)


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    out = Preprocess(size=16, channels=1, intensity="range")(gray(stripes))
    assert np.abs(out - 0.5).max() < 0.05


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="between 8 and 4096"):
        Preprocess(size=2)
    with pytest.raises(ValueError, match="lower_percentile"):
        Preprocess(lower_percentile=60, upper_percentile=40)


def test_numbers_beyond_single_precision_count_as_infinite_and_do_not_spoil_the_others() -> None:
    pixels = np.linspace(0, 1, 64).reshape(8, 8)
    pixels[0, 0], pixels[0, 1] = 1e300, -1e300
    out = Preprocess(size=8, channels=1, intensity="minmax")(gray(pixels))
    assert out[0, 0, :2].tolist() == [0, 0]
    np.testing.assert_allclose(out[0, 1], (pixels[1] - pixels[0, 2]) / (1 - pixels[0, 2]), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "size"), [((1, 500), 16), ((500, 1), 16), ((1, 1), 16), ((7, 13), 40), ((33, 20), 9)]
)
def test_image_and_mask_of_any_shape_cover_the_same_pixels(shape: tuple[int, int], size: int) -> None:
    plan = Preprocess(size=size, channels=1, intensity="range")
    image = plan(gray(np.full(shape, 255, np.uint8)))[0]
    np.testing.assert_array_equal(image > 0.5, plan.mask(np.ones(shape, np.uint8)) == 1)


def test_left_to_choose_is_what_was_left_open_alone() -> None:
    open_plan = Preprocess(intensity="minmax", size=48)
    assert open_plan.resolved(size=32, channels=3) == Preprocess(intensity="minmax", size=48, channels=3)
    assert Preprocess(**open_plan.settings()) == open_plan
    with pytest.raises(ValueError, match="resolved"):
        Preprocess()(gray(np.zeros((8, 8), np.uint8)))


def test_colors_keep_their_ratio_under_percentiles() -> None:
    rgb = np.zeros((8, 8, 3), np.uint16)
    rgb[4:] = (1000, 500, 250)
    plan = Preprocess(size=8, intensity="percentile", lower_percentile=0, upper_percentile=100)
    out = plan(RawImage(rgb, "rgb", (0.0, 65535.0)))
    np.testing.assert_allclose(out[:, 6, 6], [1.0, 0.5, 0.25], atol=1e-6)


def test_a_slice_that_brings_the_window_of_its_volume_is_mapped_by_it() -> None:
    pixels = np.arange(64, dtype=np.int16).reshape(8, 8)
    window = RawImage(pixels, "gray", (0.0, 126.0), is_windowed=True)
    np.testing.assert_allclose(Preprocess(size=8, channels=1)(window)[0], pixels / 126, atol=1e-6)
    alone = RawImage(pixels, "gray", (0.0, 126.0))
    assert Preprocess(size=8, channels=1)(alone).max() == 1.0
    assert as_color(window, "rgb").is_windowed


def test_shapes_are_kept_in_millimeters_and_masks_follow() -> None:
    """A square of 40 mm, seen in 10 thick rows of 4 mm and 40 columns of 1 mm, stays a square."""
    pixels = np.zeros((20, 80), np.uint8)
    pixels[5:15, 20:60] = 255
    plan = Preprocess(size=80, channels=1, intensity="range")
    out = plan(RawImage(pixels, "gray", (0.0, 255.0), (4.0, 1.0)))[0]
    mask = plan.mask((pixels > 0).astype(np.uint8), spacing_mm=(4.0, 1.0))
    rows, columns = np.nonzero(out > 0.5)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (40, 40)
    assert (mask == (out > 0.5)).mean() > 0.99
    squashed = plan(RawImage(pixels, "gray", (0.0, 255.0), None))[0]
    assert np.ptp(np.nonzero(squashed > 0.5)[0]) + 1 == 10


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.004), (0.0, 1.0), (float("nan"), 1.0), (1.0, 1e-9)])
def test_a_spacing_that_is_square_or_absurd_changes_nothing(spacing_mm: tuple[float, float]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30), dtype=np.uint8)
    plan = Preprocess(size=16, channels=1, intensity="range")
    plain, spaced = (plan(RawImage(image, "gray", (0.0, 255.0), spacing)) for spacing in (None, spacing_mm))
    np.testing.assert_array_equal(plain, spaced)


@pytest.mark.parametrize(
    ("shape_hw", "spacing_mm", "keeps_aspect", "place", "pixel_mm"),
    [
        ((200, 100), (0.5, 0.5), True, (50, 25, 0, 12), (2.0, 2.0)),
        ((100, 200), (1.0, 0.5), True, (50, 50, 0, 0), (2.0, 2.0)),
        ((100, 100), (2.0, 1.0), True, (50, 25, 0, 12), (4.0, 4.0)),
        ((200, 100), (0.5, 0.5), False, (50, 50, 0, 0), (2.0, 1.0)),
    ],
)
def test_a_pixel_of_the_result_has_its_size_in_millimeters(
    shape_hw: tuple[int, int],
    spacing_mm: tuple[float, float],
    keeps_aspect: bool,
    place: tuple[int, int, int, int],
    pixel_mm: tuple[float, float],
) -> None:
    """Padding takes no part: 200 rows of half a millimeter are 100 mm, drawn on 50 rows."""
    preprocess = Preprocess(size=50, channels=1, keeps_aspect=keeps_aspect)
    assert preprocess.place_of(shape_hw, spacing_mm=spacing_mm) == place
    assert preprocess.pixel_mm(shape_hw, spacing_mm) == pytest.approx(pixel_mm)
