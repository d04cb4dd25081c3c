"""Windows around boxes hold the image's own pixels, the whole box, and a mask exactly where it is; a bad box costs its row."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from scanlens.data.cache import FULL_SCALE, CachedImages, build_cache
from scanlens.data.image_io import read_image
from scanlens.data.preprocess import Preprocess
from scanlens.data.sources.table import TableSource
from scanlens.data.sources.windows import PixelBox, WindowPlan, window_plan
from scanlens.data.splits import SplitPlan, make_splits
from scanlens.errors import ConfigError, DataError, ImageError
from scanlens.pipeline.decode import decode

EDGES = {"xmin": "x0", "ymin": "y0", "xmax": "x1", "ymax": "y1"}
HEADER = "path,label,x0,y0,x1,y1"
HEIGHT, WIDTH = 60, 80


def plan(*, context: float = 2.5, seed: int = 1) -> WindowPlan:
    return WindowPlan(("x0", "y0", "x1", "y1"), context, seed)


def pixels_of(name: str) -> NDArray[np.uint8]:
    """Every pixel tells its place: the column in red, the row in green, and the file in blue."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    pixels[..., 2] = ord(name[0])
    return pixels


def source_of(root: Path, *rows: str, header: str = HEADER, **settings: Any) -> TableSource:
    for name in ("a.png", "b.png"):
        Image.fromarray(pixels_of(name)).save(root / name)
    (root / "images.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    box = {**EDGES, "context": settings.pop("context", 2.5), "seed": settings.pop("seed", 1)}
    return TableSource(**{"root": str(root), "patient": None, "box": box, **settings})


def cached(source: TableSource, folder: Path, *, size: int = 25) -> CachedImages:
    preprocess = Preprocess(size=size, channels=3, intensity="range")
    return build_cache(
        source.records(),
        read=source.read,
        read_mask=source.read_mask,
        preprocess=preprocess,
        folder=folder,
        fingerprint=source.fingerprint(),
    )


# Where a window lies


@pytest.mark.parametrize("context", [1, 1.5, 2.5, 7])
@pytest.mark.parametrize(
    "box",
    [PixelBox(10, 20, 20, 24), PixelBox(0, 0, 3, 9), PixelBox(70, 50, 80, 60), PixelBox(30, 0, 31, 60)],
    ids=["inside", "corner", "last corner", "full height"],
)
def test_a_window_is_square_inside_the_image_and_holds_the_whole_box(box: PixelBox, context: float) -> None:
    for name in "abcdefghijklmnopqrst":
        window = plan(context=context).window(box, name=name, shape_hw=(HEIGHT, WIDTH))
        (top, bottom), (left, right) = window.rows, window.columns
        longer = max(box.right - box.left, box.bottom - box.top)
        assert bottom - top == right - left == min(round(context * longer), HEIGHT)
        assert 0 <= top <= box.top < box.bottom <= bottom <= HEIGHT
        assert 0 <= left <= box.left < box.right <= right <= WIDTH
        assert (window.box_rows, window.box_columns) == ((box.top, box.bottom), (box.left, box.right))


def test_every_place_that_holds_the_box_is_drawn_equally_often() -> None:
    box = PixelBox(30, 20, 40, 30)  # a window of 25: 16 places of its left edge, 15 to 30
    lefts = [plan().window(box, name=str(n), shape_hw=(HEIGHT, WIDTH)).columns.first for n in range(1600)]
    places, counts = np.unique(lefts, return_counts=True)
    assert places.tolist() == list(range(15, 31))
    assert counts.min() > 60  # 100 expected; four standard deviations below it
    assert counts.max() < 140
    tops = [plan().window(box, name=str(n), shape_hw=(HEIGHT, WIDTH)).rows.first for n in range(1600)]
    assert abs(np.corrcoef(lefts, tops)[0, 1]) < 0.1


def test_the_middle_of_a_window_is_often_beside_the_box() -> None:
    box = PixelBox(30, 20, 40, 30)
    masks = [plan().window(box, name=str(n), shape_hw=(HEIGHT, WIDTH)).mask() for n in range(400)]
    share = np.mean([mask[12, 12] for mask in masks])
    assert 0.30 < share < 0.48  # 10 of 16 places on both axes: 0.39


def test_the_place_is_a_function_of_name_and_seed_alone() -> None:
    box, shape = PixelBox(30, 20, 40, 30), (HEIGHT, WIDTH)
    places = {(seed, name): plan(seed=seed).window(box, name=name, shape_hw=shape) for seed in (1, 2) for name in "ab"}
    assert plan(seed=1).window(box, name="a", shape_hw=shape) == places[1, "a"]
    assert len({(window.rows, window.columns) for window in places.values()}) == 4


def test_around_a_box_longer_than_the_image_is_high_the_window_is_a_rectangle() -> None:
    window = plan().window(PixelBox(4, 10, 74, 20), name="a", shape_hw=(HEIGHT, WIDTH))
    assert window.rows == (0, HEIGHT)
    assert window.columns.end - window.columns.first == 70


def test_what_lies_beyond_the_image_is_cut_off_and_edges_go_to_the_nearest_pixel() -> None:
    window = plan(context=1).window(PixelBox(-7.5, 49.6, 12.4, 72), name="a", shape_hw=(HEIGHT, WIDTH))
    assert window.box_columns == (0, 12)
    assert window.box_rows == (50, HEIGHT)
    tiny = plan().window(PixelBox(5.1, 5.1, 5.3, 6.4), name="a", shape_hw=(HEIGHT, WIDTH))
    assert (tiny.box_columns, tiny.box_rows) == ((5, 6), (5, 6))


# What a source reads


def test_the_pixels_of_a_window_are_those_of_its_image_and_the_mask_is_the_box(tmp_path: Path) -> None:
    source = source_of(tmp_path, "a.png,x,10,20,20,24", "b.png,y,70,50,80,60", "a.png,y,40,5,48,13")
    assert [record.id for record in source.records()] == [
        "a.png#10_20_20_24",
        "a.png#40_5_48_13",
        "b.png#70_50_80_60",
    ]
    for record in source.records():
        whole = pixels_of(record.id)
        raw, mask_HW = source.read(record), source.read_mask(record)
        left, top = (int(edge) for edge in raw.pixels[0, 0, :2])
        height, width = raw.pixels.shape[:2]
        np.testing.assert_array_equal(raw.pixels, whole[top : top + height, left : left + width])
        x0, y0, x1, y1 = (int(edge) for edge in record.id.partition("#")[2].split("_"))
        columns, rows = raw.pixels[..., 0].astype(int), raw.pixels[..., 1].astype(int)
        expected = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
        np.testing.assert_array_equal(mask_HW, expected)
        assert mask_HW is not None
        assert int(mask_HW.sum()) == (x1 - x0) * (y1 - y0)


def test_two_windows_of_one_file_are_two_images_in_the_cache_and_masks_scale_with_them(tmp_path: Path) -> None:
    source = source_of(tmp_path, "a.png,x,10,20,20,30", "a.png,y,40,5,50,15")
    found = cached(source, tmp_path / "cache")  # windows of 25 stay as they are
    assert found.kept == [0, 1]
    assert found.pixel_hashes[0].tobytes() != found.pixel_hashes[1].tobytes()
    for place, record in enumerate(source.records()):
        stored = np.rint(found.images[place] / FULL_SCALE * 255).astype(np.uint8)
        np.testing.assert_array_equal(stored, np.moveaxis(source.read(record).pixels, -1, 0))
        np.testing.assert_array_equal(found.masks[place], source.read_mask(record))  # type: ignore[index]
    larger = cached(source, tmp_path / "cache", size=50).masks
    assert larger is not None
    np.testing.assert_array_equal(larger[0], np.kron(found.masks[0], np.ones((2, 2), np.uint8)))  # type: ignore[index]


@pytest.mark.parametrize("changed", [{"seed": 2}, {"context": 3}])
def test_another_seed_or_width_gives_other_pixels_and_another_fingerprint(
    tmp_path: Path, changed: dict[str, float]
) -> None:
    first = source_of(tmp_path, "a.png,x,30,20,40,30", "a.png,y,40,5,50,15")
    other = source_of(tmp_path, "a.png,x,30,20,40,30", "a.png,y,40,5,50,15", **changed)
    os.utime(tmp_path / "images.csv", ns=(0, 0))
    assert first.fingerprint() != other.fingerprint()
    record = first.records()[0]
    assert not np.array_equal(first.read(record).pixels, other.read(record).pixels)


def test_order_of_rows_and_place_of_the_folder_do_not_move_a_window(tmp_path: Path) -> None:
    rows = ["a.png,x,30,20,40,30", "b.png,y,40,5,50,15", "a.png,y,3,5,9,15"]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = source_of(tmp_path / "one", *rows), source_of(tmp_path / "two", *reversed(rows))
    for first, second in zip(one.records(), two.records(), strict=True):
        assert first.id == second.id
        np.testing.assert_array_equal(one.read(first).pixels, two.read(second).pixels)


def test_range_of_values_is_that_of_the_whole_image(tmp_path: Path) -> None:
    whole = np.linspace(-5, 20, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    Image.fromarray(whole).save(tmp_path / "c.tif")
    source = source_of(tmp_path, "c.tif,x,30,20,40,30", color="gray")
    raw = source.read(source.records()[0])
    assert raw.value_range == (-5, 20)
    assert raw.pixels.max() < 20


# Whose a window is


def test_windows_of_one_file_stay_in_one_split_where_no_patient_is_known(tmp_path: Path) -> None:
    boxes = [f"{x},{y},{x + 9},{y + 9}" for x in range(0, 70, 10) for y in range(0, 50, 10)]
    for number in range(8):
        Image.fromarray(pixels_of(str(number))).save(tmp_path / f"{number}.png")
    rows = [f"{place % 8}.png,{'xy'[place % 3 == 0]},{box}" for place, box in enumerate(boxes)]
    source = source_of(tmp_path, *rows)
    assert {record.patient for record in source.records()} == {f"{number}.png" for number in range(8)}
    table = make_splits(source.records(), plan=SplitPlan(), seed=1)
    splits: dict[str, set[str]] = {}
    for row in table.rows:
        splits.setdefault(row.id.partition("#")[0], set()).add(row.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "val", "test"}


def test_a_patient_known_in_one_row_is_the_patient_of_all_windows_of_its_file(tmp_path: Path) -> None:
    rows = ["a.png,x,1,1,9,9,P1", "a.png,x,2,2,9,9,", "b.png,x,1,1,9,9,"]
    source = source_of(tmp_path, *rows, header=f"{HEADER},who", patient="who")
    assert [record.patient for record in source.records()] == ["P1", "P1", "b.png"]
    with pytest.raises(DataError, match=r"a\.png has two patients, P1 and P2; one is expected"):
        source_of(tmp_path, *rows, "a.png,x,3,3,9,9,P2", header=f"{HEADER},who", patient="who")


# What does not fit


@pytest.mark.parametrize(
    ("edges", "reason"),
    [
        ("10,20,10,24", "the box 0 wide and 4 high has no area; edges are (10, 20, 10, 24)"),
        ("20,20,10,24", "the box -10 wide and 4 high has no area; edges are (20, 20, 10, 24)"),
        ("80,20,90,24", "the box (80, 20, 90, 24) lies outside of its image of 80 x 60 pixels"),
        ("-9,-9,0,-1", "the box (-9, -9, 0, -1) lies outside of its image of 80 x 60 pixels"),
        ("nan,20,10,24", "the box has x0='nan'; a number of pixels is expected"),
        ("1,inf,10,24", "the box has y0='inf'; a number of pixels is expected"),
        ("1,2,,24", "the box has x1=''; a number of pixels is expected"),
        ("1,2,9,low", "the box has y1='low'; a number of pixels is expected"),
        ("-1e308,2,1e308,1e308", None),
        ("0.1,0.2,0.6,0.9", "the box is smaller than a pixel; edges in pixels are expected, (0.1, 0.2, 0.6, 0.9) came"),
    ],
)
def test_a_box_that_is_none_costs_its_row_and_says_why(tmp_path: Path, edges: str, reason: str | None) -> None:
    source = source_of(tmp_path, "a.png,x,10,20,20,30", f"a.png,y,{edges}", "b.png,y,10,20,20,30")
    found = cached(source, tmp_path / "cache")
    assert len(source.records()) == 3
    assert [one.reason for one in found.quarantined] == ([] if reason is None else [reason])
    assert len(found.kept) == (3 if reason is None else 2)


def test_a_box_listed_twice_is_taken_once(tmp_path: Path) -> None:
    source = source_of(tmp_path, "a.png,x,1,2,10,20", "a.png,y,1.0,2,10,20", "a.png,x,,,,", "a.png,x,,,,")
    found = cached(source, tmp_path / "cache")
    assert [source.records()[place].target for place in found.kept] == ["x"]
    assert {one.id: one.reason for one in found.quarantined} == {
        "a.png#row 3": "row 3 of the table repeats the image and the box of row 2",
        "a.png#row 4": "the box has x0=''; a number of pixels is expected",
        "a.png#row 5": "the box has x0=''; a number of pixels is expected",
    }


def test_windows_of_a_file_that_cannot_be_read_fail_one_by_one(tmp_path: Path) -> None:
    source = source_of(tmp_path, "a.png,x,1,2,10,20", "gone.png,y,1,2,10,20", "gone.png,x,3,2,10,20")
    assert source.notes == ["2 of 3 images in data.file are not on disk."]
    for record in source.records()[1:]:
        with pytest.raises(ImageError, match="the file is not there"):
            source.read(record)


def test_the_number_of_sequences_is_that_of_the_first_image_that_can_be_read(tmp_path: Path) -> None:
    source_of(tmp_path, "a.png,x,,,,", "a.png,x,1,2,10,20", "b.png,y,1,2,10,20")
    data = {"_target_": "scanlens.data.sources.table.TableSource", "root": str(tmp_path), "patient": None, "box": EDGES}
    config = {
        "data": data | {"color": "channels"},
        "model": {},
        "task": {"_target_": "scanlens.tasks.classification.ClassificationTask"},
        "preprocess": {"_target_": "scanlens.data.preprocess.Preprocess", "size": 16},
        "loader": {"_target_": "scanlens.data.module.LoaderPlan", "max_quarantined_share": 0.5},
        "paths": {"cache": str(tmp_path / "cache")},
    }
    listed = decode(config, accelerator="cpu")
    assert listed.images.images.shape == (2, 3, 16, 16)
    assert [one.id for one in listed.images.quarantined] == ["a.png#row 2"]


def test_mistakes_in_the_setting_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        window_plan({"xmin": "a", "ymin": "b", "xmax": "c", "contxt": 2, "context": 0.5, "seed": "x"})
    assert caught.value.mistakes == [
        "data.box.contxt is unknown. Did you mean 'context'?",
        "data.box.ymax is missing: the column of this edge.",
        "data.box.context: a number from 1 to 100 is expected, '0.5' came.",
        "data.box.seed: a whole number is expected, 'x' came.",
    ]


def test_missing_columns_of_a_box_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"column 'x1' \(data.box.xmax\) is not in"):
        source_of(tmp_path, "a.png,x,1,2,3", header="path,label,x0,y0,xx1")


def test_masks_and_boxes_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"with data\.box the mask is the box"):
        source_of(tmp_path, "a.png,x,1,2,10,20", mask="label")


def test_paths_of_a_table_can_start_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "images" / "deep").mkdir(parents=True)
    Image.fromarray(pixels_of("a")).save(tmp_path / "images" / "deep" / "1.png")
    source = source_of(tmp_path, "1.png,x,1,2,10,20", folder="images/deep", patient="path")
    assert [(one.id, one.patient) for one in source.records()] == [("images/deep/1.png#1_2_10_20", "1.png")]
    with pytest.raises(DataError, match="leads out of"):
        source_of(tmp_path, "1.png,x,1,2,10,20", folder="../elsewhere")


def test_the_fingerprint_of_a_table_without_boxes_is_not_changed_by_the_new_settings(tmp_path: Path) -> None:
    source_of(tmp_path, "a.png,x,1,2,10,20")
    plain = TableSource(root=str(tmp_path), patient=None, meta=["x0"])
    assert plain.records()[0].id == "a.png"
    assert "box" not in plain._settings
    assert "folder" not in plain._settings


# The real set


@pytest.mark.slow
def test_windows_of_real_smears_hold_their_cells() -> None:
    if not os.environ.get("SCANLENS_TEST_DATA"):
        pytest.skip("SCANLENS_TEST_DATA is not set")
    root = Path(os.environ["SCANLENS_TEST_DATA"], "blood-smear-bccd")
    settings: dict[str, Any] = {"root": str(root), "file": "crops.csv", "patient": "source_image", "color": "rgb"}
    edges = {edge: edge for edge in EDGES}
    windows = TableSource(**settings, path="source_image", box={**edges, "context": 2.5}, meta=["file"])
    in_the_middle = []
    for record in windows.records()[::9]:
        mask_HW, raw = windows.read_mask(record), windows.read(record)
        assert mask_HW is not None
        height, width = mask_HW.shape
        assert raw.pixels.shape == (height, width, 3)
        assert height == width <= 480
        inside = raw.pixels[mask_HW.any(axis=1)][:, mask_HW.any(axis=0)].astype(float)
        crop = read_image(root / str(record.meta["file"]), color="rgb").pixels.astype(float)
        assert inside.shape == crop.shape
        assert np.abs(inside - crop).mean() < 4, "the crop is the same cell, compressed once more"
        in_the_middle.append(mask_HW[height // 2, width // 2])
    assert 0.2 < np.mean(in_the_middle) < 0.7
