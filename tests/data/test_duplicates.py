"""Thumbnails and groups of near-duplicates on pictures whose copies are known."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from scanlens.data.duplicates import near_duplicate_groups, thumbnails
from scanlens.data.sources.folder import FolderSource
from scanlens.types import RawImage


def picture(seed: int, size: int = 96) -> NDArray[np.uint8]:
    """Smooth blobs, different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def raw(pixels: NDArray[np.generic]) -> RawImage:
    return RawImage(pixels, "gray" if pixels.ndim == 2 else "rgb", (0, 255))


def groups_of(*pictures: NDArray[np.generic], **settings: float) -> list[int]:
    settings = {"largest_share": 1.0} | settings
    return near_duplicate_groups(thumbnails(map(raw, pictures)), **settings).group_N.tolist()


def test_a_thumbnail_pixel_is_the_mean_of_its_area_and_channels() -> None:
    pixels = np.arange(96 * 96 * 3, dtype=np.float32).reshape(96, 96, 3)
    thumb = thumbnails([RawImage(pixels, "rgb", (0, 1))])
    assert thumb.shape == (1, 48, 48)
    np.testing.assert_allclose(thumb[0, 3, 5], pixels[6:8, 10:12].mean())


def test_brightness_contrast_size_and_saving_again_do_not_hide_a_copy() -> None:
    first = picture(1)
    darker = (first * 0.4 + 20).astype(np.uint8)
    smaller = np.asarray(Image.fromarray(first).resize((60, 60), Image.Resampling.LANCZOS))
    buffer = io.BytesIO()
    Image.fromarray(first).save(buffer, "JPEG", quality=40)
    again = np.asarray(Image.open(buffer))
    in_16_bits = first.astype(np.uint16) * 257
    assert groups_of(first, picture(2), darker, smaller, again, in_16_bits) == [0, 1, 0, 0, 0, 0]


def test_copies_that_were_mirrored_or_turned_belong_together() -> None:
    first = picture(1)
    turned = [np.rot90(seen, quarters) for seen in (first, first[:, ::-1]) for quarters in range(4)]
    assert groups_of(picture(2), *turned, picture(3)) == [0, *[1] * 8, 2]


def test_groups_hang_together_through_chains() -> None:
    steps = [np.clip(picture(1) * (1 - t) + picture(9) * t, 0, 255).astype(np.uint8) for t in np.linspace(0, 1, 12)]
    thumbs = thumbnails(map(raw, steps)).reshape(12, -1)
    correlation = np.corrcoef(thumbs)
    assert correlation[0, -1] < 0.5
    assert min(correlation[a, b] for a, b in pairwise(range(12))) > 0.95
    assert groups_of(*steps) == [0] * 12


def test_flat_pictures_are_nobodys_duplicate() -> None:
    flat = np.full((50, 50), 7, np.uint8)
    assert groups_of(flat, flat, picture(1)) == [0, 1, 2]


def test_groups_are_numbered_in_order_of_appearance_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanlens.data.similar_pairs._BLOCK", 2)
    a, b, c = picture(1), picture(2), picture(3)
    assert groups_of(c, a, b, a, c, b, a) == [0, 1, 2, 1, 0, 2, 1]


def test_a_group_of_too_many_is_taken_apart_at_higher_thresholds() -> None:
    """Five heads of four slices share a template: all correlate by 0.95 to 0.97, slices of one head by over 0.99."""
    rng = np.random.default_rng(0)
    template = rng.normal(size=(48, 48))
    heads = [template + 0.2 * rng.normal(size=(48, 48)) for _ in range(5)]
    thumbs = np.array([head + 0.02 * rng.normal(size=(48, 48)) for head in heads for _ in range(4)], np.float32)
    assert len(set(near_duplicate_groups(thumbs, largest_share=1.0).group_N.tolist())) == 1
    expected = np.repeat(np.arange(5), 4)
    found = near_duplicate_groups(thumbs, largest_share=0.25)
    np.testing.assert_array_equal(found.group_N, expected)
    assert [num for num, _ in found.taken_apart] == [20]
    assert "20 images correlate so much" in found.notes[0]


def test_a_series_of_one_head_in_a_small_set_is_not_taken_apart() -> None:
    """Six frames of one subject among 34 strangers: they correlate by 0.96 to 0.98."""
    rng = np.random.default_rng(3)
    subject = rng.normal(size=(48, 48))
    frames = [subject + 0.17 * rng.normal(size=(48, 48)) for _ in range(6)]
    thumbs = np.array(frames + [rng.normal(size=(48, 48)) for _ in range(34)], np.float32)
    found = near_duplicate_groups(thumbs)
    assert found.group_N.tolist() == [0] * 6 + list(range(1, 35))
    assert found.notes == []


def test_copies_of_one_picture_stay_together_however_many() -> None:
    assert groups_of(*[picture(1)] * 9, picture(2), largest_share=0.1) == [0] * 9 + [1]


def test_no_image_has_no_group() -> None:
    assert near_duplicate_groups(thumbnails([])).group_N.tolist() == []


@pytest.mark.parametrize("setting", ["threshold", "mirrored_threshold", "largest_share"])
def test_numbers_out_of_range_are_named(setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting}: .* 1.5 came"):
        groups_of(picture(1), **{setting: 1.5})


@pytest.mark.slow
def test_the_leak_of_a_public_set_is_found() -> None:
    """207 Testing images, of which 142 have a near-copy in Training, as found independently on the original sizes."""
    if not os.environ.get("SCANLENS_TEST_DATA"):
        pytest.skip("SCANLENS_TEST_DATA is not set")
    root = Path(os.environ["SCANLENS_TEST_DATA"]) / "brain-tumour-mri"
    source = FolderSource(root=str(root), color="gray")
    records = source.records()
    groups = near_duplicate_groups(thumbnails(map(source.read, records))).group_N.tolist()
    in_training = {group for group, record in zip(groups, records, strict=True) if record.split == "train"}
    leaks = sum(r.split == "test" and group in in_training for group, r in zip(groups, records, strict=True))
    assert (leaks, sum(r.split == "test" for r in records)) == (142, 207)

    with (root / "images.csv").open(newline="") as file:
        reference = {row["file"]: row["near_duplicate_group"] for row in csv.DictReader(file)}
    both = _num_pairs([(group, reference[r.id]) for group, r in zip(groups, records, strict=True)])
    assert both / _num_pairs(groups) == 1.0
    assert both / _num_pairs([reference[r.id] for r in records]) > 0.92


@pytest.mark.slow
def test_heads_of_a_public_set_are_found_without_their_names() -> None:
    if not os.environ.get("SCANLENS_TEST_DATA"):
        pytest.skip("SCANLENS_TEST_DATA is not set")
    root = Path(os.environ["SCANLENS_TEST_DATA"]) / "dementia-mri"
    sidecar: dict[str, str | list[str]] = {"file": "subjects.csv", "path": "file", "patient": "subject"}
    source = FolderSource(root=str(root), color="gray", sidecar=sidecar)
    records = source.records()
    groups = near_duplicate_groups(thumbnails(map(source.read, records))).group_N.tolist()
    both = _num_pairs([(group, r.patient) for group, r in zip(groups, records, strict=True)])
    assert both == _num_pairs([r.patient for r in records])
    assert both / _num_pairs(groups) > 0.97


def _num_pairs(labels: list) -> int:
    return sum(count * (count - 1) // 2 for count in Counter(labels).values())
