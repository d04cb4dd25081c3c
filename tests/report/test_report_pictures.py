"""Pictures of evidence: what the colors mean, and that nothing is stretched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scanlens.report.palette import MAX_ALPHA, evidence_alpha, evidence_rgb
from scanlens.report.pictures import (
    MIN_NOTICE_WIDTH,
    display_scale,
    enlargement,
    feature_maps_png,
    filters_png,
    finished_png,
    noticed,
    overlay_png,
    region_png,
    save_map,
    scan_pixels,
    scan_png,
)

SIZE = 80  # enlarged 4 times to 320


def draw(path: Path, evidence: np.ndarray, *, scan: np.ndarray | None = None, **changes: object) -> np.ndarray:
    """The overlay as an array (H, W, 3)."""
    arguments = {"scale": 1.0, "covered_HW": np.ones(evidence.shape, dtype=bool), "mask_HW": None, **changes}
    overlay_png(np.full(evidence.shape, 0.4) if scan is None else scan, evidence, path=path, **arguments)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return pixels[: evidence.shape[0] * enlargement(evidence.shape[1])]


def patches() -> np.ndarray:
    """Evidence for the class on the left, against it on the right, nothing between; the peak far from both centers."""
    evidence = np.zeros((SIZE, SIZE))
    evidence[20:60, 5:25], evidence[20:60, 55:75] = 0.99, -1.0
    evidence[58, 6] = 1.0
    return evidence


def test_positive_evidence_is_warm_negative_cool_and_none_leaves_the_scan(tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", patches())
    red, _, blue = picture[160, 60]
    assert red - blue > 60, "evidence for the class is warm"
    red, _, blue = picture[160, 260]
    assert blue - red > 60, "evidence against it is cool"
    assert picture[160, 160].tolist() == [102, 102, 102], "0.4 of 255 where there is no evidence"


def test_full_evidence_is_the_ramp_color_over_the_scan_at_the_greatest_opacity(tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", -np.ones((SIZE, SIZE)))
    expected = 0.4 * (1 - MAX_ALPHA) + evidence_rgb(np.array(-1.0)) * MAX_ALPHA
    np.testing.assert_allclose(picture[100, 100] / 255, expected, atol=1.5 / 255)


def test_a_weak_map_stays_pale_because_the_scale_is_not_its_own(tmp_path: Path) -> None:
    weak = draw(tmp_path / "weak.png", patches() * 0.05)
    strong = draw(tmp_path / "strong.png", patches())
    own = draw(tmp_path / "own.png", patches() * 0.05, scale=0.05)
    gray = 102
    assert np.abs(weak[160, 60] - gray).max() < 0.08 * np.abs(strong[160, 60] - gray).max() + 1
    assert own[160, 60].tolist() == strong[160, 60].tolist(), "the same relation to the scale is the same picture"


def test_display_scale_is_one_number_over_the_cohort() -> None:
    maps = [np.full((10, 10), 0.1), -np.linspace(0, 1, 1900).reshape(19, 100)]
    pooled = np.concatenate([np.full(100, 0.1), np.linspace(0, 1, 1900)])
    assert display_scale(maps) == pytest.approx(np.percentile(pooled, 99.5))


def test_display_scale_is_never_zero() -> None:
    assert display_scale([]) == 1.0
    assert display_scale([np.zeros((4, 4))]) == 1.0
    assert display_scale([np.full((2, 2), np.nan)]) == 1.0
    lone = np.zeros((100, 100))
    lone[3, 3] = -0.2
    assert display_scale([lone]) == pytest.approx(0.2)


def test_a_blank_map_is_stamped_and_gets_no_color(tmp_path: Path) -> None:
    picture = draw(tmp_path / "blank.png", np.zeros((SIZE, SIZE)))
    assert (picture[..., 0] == picture[..., 1]).all()
    assert (picture[..., 1] == picture[..., 2]).all()
    assert (picture[40] == 102).all(), "above the stamp the scan is untouched"
    middle = picture[145:175, :, 0]
    assert middle.max() == 255, "white letters"
    assert np.median(middle) < 60, "on a dark plate"


def test_where_the_layer_does_not_reach_there_is_no_color(tmp_path: Path) -> None:
    covered = np.ones((SIZE, SIZE), dtype=bool)
    covered[:, 60:] = False
    picture = draw(tmp_path / "a.png", -np.ones((SIZE, SIZE)), covered_HW=covered)
    assert picture[160, 300].tolist() == [56, 56, 56], "the scan, dimmed to 55 %"
    assert picture[160, 100, 2] > 150


def test_the_ring_marks_the_strongest_evidence_for_the_class(tmp_path: Path) -> None:
    evidence = -np.ones((SIZE, SIZE))
    evidence[20, 60] = 0.9
    picture = draw(tmp_path / "a.png", evidence)
    center_y, center_x = int(20.5 * 4), int(60.5 * 4)
    ring = picture[center_y - 12 : center_y + 12, center_x - 12 : center_x + 12]
    assert (ring == 255).all(axis=-1).sum() > 20
    assert not (picture[200:] == 255).all(axis=-1).any()


def test_evidence_only_against_the_class_has_no_ring(tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", np.full((SIZE, SIZE), -0.5))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_the_lesion_is_outlined_in_black_and_white_and_not_filled(tmp_path: Path) -> None:
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    mask[50:70, 10:30] = 255
    picture = draw(tmp_path / "a.png", np.full((SIZE, SIZE), -0.5), mask_HW=mask)
    top_edge = picture[200, 44:116]
    assert {tuple(color) for color in top_edge.tolist()} == {(0, 0, 0), (255, 255, 255)}
    assert picture[240, 80].tolist() == picture[40, 240].tolist()


def test_colored_scans_are_gray_below_evidence_so_that_color_means_evidence(tmp_path: Path) -> None:
    scan = np.zeros((SIZE, SIZE, 3))
    scan[..., 0] = 1.0
    picture = draw(tmp_path / "a.png", patches(), scan=scan)
    assert picture[160, 160].tolist() == [76, 76, 76], "0.299 of red"


def test_maps_of_another_size_are_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="register it to the input first"):
        draw(tmp_path / "a.png", np.zeros((10, 10)), scan=np.zeros((20, 20)))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_not_positive_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(ValueError, match="fixed over the cohort"):
        draw(tmp_path / "a.png", patches(), scale=scale)


def test_warm_and_cool_of_one_strength_are_equally_light() -> None:
    def lightness(strength: float) -> float:
        rgb = evidence_rgb(np.array(strength)).astype(float)
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        luminance = linear @ [0.2126, 0.7152, 0.0722]
        return 116 * luminance ** (1 / 3) - 16  # CIE L*, another scale than the one the ramps are made in

    for strength in (0.25, 0.5, 1.0):
        assert lightness(strength) == pytest.approx(lightness(-strength), abs=4)
    assert lightness(0.2) > lightness(0.6) > lightness(1.0)


def test_opacity_is_in_proportion_to_strength() -> None:
    assert evidence_alpha(np.array([0.0, 0.5, -0.5, 2.0])) == pytest.approx(
        np.array([0, 0.5, 0.5, 1]) * MAX_ALPHA, abs=1e-6
    )


@pytest.mark.parametrize(
    ("shape", "mode", "size"),
    [((28, 28), "L", (336, 336 + 22)), ((28, 28, 1), "L", (336, 336 + 22)), ((400, 500, 3), "RGB", (500, 400 + 32))],
)
def test_scans_keep_their_channels_and_are_at_least_320_wide(
    tmp_path: Path, shape: tuple[int, ...], mode: str, size: tuple[int, int]
) -> None:
    scan_png(np.random.default_rng(0).random(shape), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert (image.mode, image.size) == (mode, size)


def test_pictures_hold_no_metadata_and_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scan, evidence = rng.random((32, 32)), rng.normal(size=(32, 32))
    covered = np.ones((32, 32), dtype=bool)
    for folder in (tmp_path / "one", tmp_path / "two"):
        scan_png(scan, folder / "scan.png")
        overlay_png(scan, evidence, scale=1.0, covered_HW=covered, path=folder / "overlay.png")
        filters_png(np.linspace(-1, 1, 100).reshape(4, 1, 5, 5), folder / "filters.png")
        feature_maps_png(np.stack([scan, evidence]), folder / "maps.png")
        save_map(folder / "map.npz", map=evidence, cells=evidence[::4, ::4], covered=covered, scan=scan)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    for path in (tmp_path / "one").glob("*.png"):
        with Image.open(path) as image:
            assert image.info == {}


def test_a_saved_map_is_read_back_exactly_without_pickle(tmp_path: Path) -> None:
    evidence = np.random.default_rng(2).normal(size=(6, 6)).astype(np.float32)
    save_map(tmp_path / "a.npz", map=evidence, cells=evidence[:2], covered=evidence > 0, scan=np.ones((6, 6)))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as read:
        np.testing.assert_array_equal(read["map"], evidence)
        np.testing.assert_array_equal(read["covered"], evidence > 0)
        assert {name: read[name].dtype.name for name in read} == {
            "map": "float32",
            "cells": "float32",
            "covered": "bool",
            "scan": "float32",
        }


def test_filters_share_one_scale_and_zero_is_mid_gray(tmp_path: Path) -> None:
    filters = np.zeros((2, 1, 4, 4))
    filters[0], filters[1] = 1.0, -0.5
    filters[1, 0, 0, 0] = 0.0
    filters_png(filters, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image)
    values = set(pixels[pixels[..., 3] > 0][:, 0].tolist())
    assert values == {255, 64, 128}


def test_feature_maps_share_one_scale(tmp_path: Path) -> None:
    maps = np.zeros((2, 50, 50))
    maps[0, :25], maps[1, :25] = 10.0, 1.0
    feature_maps_png(maps, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image)[:-20]  # the notice lies below
    assert set(pixels[:100][pixels[:100, :, 3] > 0][:, 0].tolist()) >= {0, 26, 255}


@pytest.mark.parametrize("shape", [(40, 60), (40, 400), (300, 500, 3), (40, 60, 4)])
def test_the_notice_lies_below_the_picture_and_changes_none_of_its_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = noticed(pixels)
    height, width = shape[:2]
    assert np.array_equal(found[:height, :width], pixels)
    assert found.shape[1] == max(width, MIN_NOTICE_WIDTH)
    strip = found[height:, ..., :3] if found.ndim == 3 else found[height:]
    ink = strip.max(axis=2) > 200 if strip.ndim == 3 else strip > 200
    columns = np.flatnonzero(ink.any(axis=0))
    assert columns[0] > 0, "no letter is cut off"
    assert columns[-1] < found.shape[1] - 1
    assert not ink[0].any()
    assert not ink[-1].any()
    assert 0.02 < ink.mean() < 0.4
    if found.ndim == 3 and found.shape[2] == 4:
        assert (found[height:, :, 3] == 255).all()


def test_finished_pictures_carry_the_notice_and_others_do_not(tmp_path: Path) -> None:
    scan, flat = np.full((SIZE, SIZE), 0.4), np.zeros((SIZE, SIZE))
    scan_png(scan, tmp_path / "scan.png")
    region_png(scan, None, tmp_path / "region.png")
    overlay_png(scan, flat, scale=1.0, covered_HW=flat == 0, path=tmp_path / "overlay.png")
    finished_png(scan_pixels(scan), tmp_path / "original.png")
    strips = []
    for name in ("scan", "region", "overlay", "original"):
        with Image.open(tmp_path / f"{name}.png") as image:
            strips.append(np.asarray(image.convert("L"))[4 * SIZE :])
    assert strips[0].max() > 240
    assert all(np.array_equal(one, strips[0]) for one in strips)
    filters_png(np.ones((4, 1, 3, 3)), tmp_path / "filters.png")
    with Image.open(tmp_path / "filters.png") as image:
        assert image.height < 200
