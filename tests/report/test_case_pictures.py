"""The pictures of a sheet: the original first and untouched, maps where they belong on it, letters of the sides, and what is said."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fakes.case_records import record
from fakes.run_folder import SIZE, write_json, write_run_folder
from scanlens.data.preprocess import Preprocess
from scanlens.report.case_sheet import map_words, picture_words
from scanlens.report.case_sheet.arrays import MapArrays, level_of, read_map
from scanlens.report.case_sheet.figures import alone, layers
from scanlens.report.case_sheet.grounds import Ground, edges_in_words, network_ground, original_ground
from scanlens.report.case_sheet.record import case_records, check
from scanlens.report.case_sheet.sheet import case_page
from scanlens.report.folder import read_run
from scanlens.report.pictures import finished_png

NATIVE = (100, 200)  # rows, columns of the file: half of the square is padding
PLACE = (SIZE // 2, SIZE, SIZE // 4, 0)
SIDES = {"left": "R", "right": "L", "top": "A", "bottom": "P"}


def original_pixels() -> np.ndarray:
    return (np.add.outer(np.arange(NATIVE[0]), 3 * np.arange(NATIVE[1])) % 251).astype(np.uint8)


def native(name: str, **changes: Any) -> dict[str, Any]:
    original = {
        "file": f"{name}_original.png",
        "size_hw": list(NATIVE),
        "is_reduced": False,
        "is_reshaped": False,
        "window": "window",
    }
    return {
        "size_hw": list(NATIVE), "spacing_mm": [0.5, 0.5], "network_pixel_mm": [1.0, 1.0], "place_hwyx": list(PLACE), "sides": SIDES,
        "original": original, "original_reason": None,
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three cases, one has an original, one was not allowed one, and one is of a run before there were any."""
    path = write_run_folder(tmp_path_factory.mktemp("pictures") / "run")
    first, second, third = named(path)[:3]
    finished_png(original_pixels(), path / "explanations" / f"{first}_original.png")
    old = {key: value for key, value in native(third).items() if not key.startswith("original") and key != "sides"}
    cases = [
        {"case": first, "native": native(first)},
        {
            "case": second,
            "native": native(second, original=None, original_reason="text may be burnt into it", sides=None),
        },
        {"case": third, "native": old},
    ]
    write_json(path / "explanations" / "context.json", {"schema_version": 1, "cases": cases})
    return path


def named(folder: Path) -> list[str]:
    text = (folder / "explanations" / "cases.json").read_text(encoding="utf-8")
    return [one["case"] for one in json.loads(text)["cases"]]


@pytest.fixture(scope="module")
def records(folder: Path) -> dict[str, dict[str, Any]]:
    return {one["case"]: one for one in case_records(read_run(folder))}


def page_of(folder: Path, found: dict[str, Any]) -> str:
    return case_page(found, read_run(folder))


def figures_of(page: str) -> list[str]:
    return re.findall(
        r"<figure>.*?</figure>", page[page.index('id="pictures"') : page.index('id="answer"')], flags=re.S
    )


def pixels_of(figure: str, kind: str = "scan") -> np.ndarray:
    encoded = re.search(rf'class="{kind}" src="data:image/\w+;base64,([^"]+)"', figure)
    assert encoded is not None
    with Image.open(io.BytesIO(base64.b64decode(encoded[1]))) as image:
        return np.asarray(image if kind == "heat" else image.convert("L"))


def test_the_original_stands_first_alone_and_pixel_by_pixel(folder: Path, records: dict[str, Any]) -> None:
    figures = figures_of(page_of(folder, records[named(folder)[0]]))
    assert "<strong>Original</strong> 100 × 200 pixels" in figures[0]
    assert np.array_equal(pixels_of(figures[0]), original_pixels()), "without the notice that the file has below"
    assert "heat" not in figures[0]
    for place in (0, 1, 2):
        letters = re.findall(r'<text [^>]*fill="#fff">([RLAPHF]+)</text>', figures[place])
        assert letters == (["R", "L", "A", "P"] if place < 2 or "<svg" in figures[place] else [])


def test_the_map_lies_on_the_original_and_what_the_network_saw_stands_beside(
    folder: Path, records: dict[str, Any]
) -> None:
    figures = figures_of(page_of(folder, records[named(folder)[0]]))
    assert pixels_of(figures[1]).shape == NATIVE
    assert pixels_of(figures[1], "heat").shape == (PLACE[0], PLACE[1], 4), (
        "the padding of the network's input is cut off"
    )
    assert 'viewBox="0 0 200 100"' in figures[1]
    saw, filled = figures[3:5]
    assert "<strong>What the network saw</strong>" in saw
    assert f"{SIZE} × {SIZE} pixels" in saw
    assert pixels_of(saw).shape[0] == pixels_of(saw).shape[1]
    assert "<strong>Filled map</strong>" in filled
    assert f'viewBox="0 0 {SIZE} {SIZE}"' in filled


def test_where_there_is_no_original_the_input_is_shown_and_the_reason_told(
    folder: Path, records: dict[str, Any]
) -> None:
    for name, reason in zip(
        named(folder)[1:3], ("text may be burnt into it", "the run kept no picture of the file"), strict=True
    ):
        figures = figures_of(page_of(folder, records[name]))
        assert "<strong>Input of the network</strong>" in figures[0]
        assert "fine detail of the original is lost" in figures[0]
        assert f"The original is not shown, {reason}." in figures[0]
        assert "L/R unknown" in figures[0]
        assert not any("What the network saw" in one for one in figures)


def test_a_withheld_map_leaves_the_original(folder: Path, records: dict[str, Any]) -> None:
    found = json.loads(json.dumps(records[named(folder)[0]]))
    found["maps"] = [
        found["maps"][0] | {"verdict": {"level": "WITHHELD", "reasons": ["Why."]}, "npz": None, "measured": None}
    ]
    page = page_of(folder, found)
    figures = figures_of(page)
    assert np.array_equal(pixels_of(figures[0]), original_pixels())
    assert "Map withheld" in figures[1]
    assert 'class="heat"' not in page


def test_a_picture_smaller_than_the_record_says_is_not_used(folder: Path, records: dict[str, Any]) -> None:
    image = json.loads(json.dumps(records[named(folder)[0]]["image"]))
    image["original"]["size_px"] = [100, 900]
    assert original_ground(folder / "explanations", image) is None
    image["original"]["file"] = "../report.png"
    assert original_ground(folder / "explanations", image) is None


@pytest.mark.parametrize("sides", [{"left": "<b>", "right": "L", "top": "A", "bottom": "P"}, {"left": "R"}, "RL", None])
def test_only_letters_of_sides_get_into_a_record(folder: Path, sides: Any, tmp_path: Path) -> None:
    name = named(folder)[0]
    context = folder / "explanations" / "context.json"
    kept = context.read_text(encoding="utf-8")
    write_json(context, {"schema_version": 1, "cases": [{"case": name, "native": native(name, sides=sides)}]})
    try:
        found = next(one for one in case_records(read_run(folder)) if one["case"] == name)
    finally:
        context.write_text(kept, encoding="utf-8")
    check(found)
    assert found["image"]["sides"] is None
    assert "L/R unknown" in page_of(folder, found)


def test_tall_pictures_get_less_of_the_width(folder: Path, records: dict[str, Any]) -> None:
    found = json.loads(json.dumps(records[named(folder)[0]]))
    assert '<div class="views">' in page_of(folder, found)
    finished_png(np.zeros((200, 100), np.uint8), folder / "explanations" / "tall_original.png")
    found["image"]["original"] |= {"file": "tall_original.png", "size_px": [200, 100]}
    found["image"]["place_hwyx"] = [SIZE, SIZE // 2, 0, SIZE // 4]
    assert '<div class="views tall">' in page_of(folder, found)


# --- geometry ---


def ground(**changes: Any) -> Ground:
    known: dict[str, Any] = {
        "whole": "", "below": "", "height": 100, "width": 200, "box_hwyx": (32, 64, 16, 0), "mm_per_unit": 0.5, "px_per_unit": 1.0,
        "sides": SIDES,
    }  # fmt: skip
    return Ground(**known | changes)


def test_places_of_the_network_are_put_on_the_original() -> None:
    assert ground().xy(0, 16) == (0, 0)
    assert ground().xy(64, 48) == (200, 100)
    assert ground().xy(40.5, 20.5) == (126.5625, 14.0625)
    assert ground().size(4, 8) == (12.5, 25)


def smooth_map() -> np.ndarray:
    rows, columns = np.indices((64, 64)) + 0.5
    return (np.exp(-((rows - 26) ** 2 + (columns - 40) ** 2) / 60) - 0.2).astype(np.float32)


def drawn(found: Ground) -> str:
    map_SS = smooth_map()
    covered = np.ones((64, 64), bool)
    arrays = MapArrays(map_SS, map_SS, covered, np.zeros((64, 64), np.float32))
    level = level_of(map_SS, covered, 0.06)
    peak = [int(one) for one in np.unravel_index(int(map_SS.argmax()), map_SS.shape)]
    entry = {"measured": {"level_for": level, "level_against": None, "peak_yx": peak}, "scale": 1.0}
    return str(layers(arrays, found, entry, name="a")["lines"])


@pytest.mark.parametrize(("shape", "spacing"), [((100, 200), None), ((300, 150), (0.5, 0.5)), ((64, 64), None)])
def test_the_outline_is_that_of_the_map_placed_back(shape: tuple[int, int], spacing: Any) -> None:
    """`Preprocess.placed_back` puts the same map on the pixels of the file; the drawn line goes around the same ones."""
    preprocess = Preprocess(size=64, channels=1)
    place = preprocess.place_of(shape, spacing_mm=spacing)
    lines = drawn(ground(height=shape[0], width=shape[1], box_hwyx=place))
    path = re.search(r'class="for" [^>]*d="M([^"M]+)"', lines)
    assert path is not None
    points = [tuple(float(one) for one in pair.split()) for pair in path[1].split(" L")]
    canvas = Image.new("1", (shape[1] * 4, shape[0] * 4))
    ImageDraw.Draw(canvas).polygon([(4 * x, 4 * y) for x, y in points], fill=1)
    inside = np.asarray(canvas.resize((shape[1], shape[0]), Image.Resampling.NEAREST))
    back = preprocess.placed_back(smooth_map(), shape_hw=shape, spacing_mm=spacing)
    level = level_of(smooth_map(), np.ones((64, 64), bool), 0.06)
    expected = back >= level
    assert (inside & expected).sum() / (inside | expected).sum() > 0.95
    cross = re.search(r'd="M([\d.]+) ([\d.]+)h([\d.]+)M', lines)
    assert cross is not None
    y, x = np.unravel_index(int(back.argmax()), back.shape)
    x_drawn = float(cross[1]) + float(cross[3]) / 2
    assert abs(x_drawn - x - 0.5) <= shape[1] / place[1]
    assert abs(float(cross[2]) - y - 0.5) <= shape[0] / place[0]


@pytest.mark.parametrize(
    ("changes", "words", "length"),
    [
        ({}, "20 mm", 40),
        ({"mm_per_unit": None}, "50 px", 50),
        ({"mm_per_unit": None, "px_per_unit": 4.0}, "200 px", 50),
    ],
)
def test_the_scale_bar_has_the_millimeters_of_the_picture(changes: Any, words: str, length: float) -> None:
    bar = str(alone(ground(**changes), name="a")["bar"])
    assert f">{words}</text>" in bar
    assert f"h{length}M" in bar


def test_an_oblique_edge_has_two_letters_and_an_unknown_one_none() -> None:
    oblique = SIDES | {"top": "AH"}
    assert ">AH</text>" in str(alone(ground(sides=oblique), name="a")["bar"])
    assert ">L/R unknown</text>" in str(alone(ground(sides=None), name="a")["bar"])
    assert edges_in_words(oblique) == "R left, L right, AH above, P below"
    assert edges_in_words(None) is None


def test_the_input_of_the_network_is_a_ground_of_its_own(folder: Path, records: dict[str, Any]) -> None:
    one = records[named(folder)[0]]
    arrays = read_map(folder / "explanations", one["maps"][0]["npz"])
    assert arrays is not None
    found = network_ground(arrays, one["image"])
    assert (found.height, found.width, found.mm_per_unit) == (SIZE, SIZE, 1.0)
    assert found.xy(3, 5) == (3, 5)
    assert found.cut(arrays.map_HW).shape == (SIZE, SIZE)


# --- sentences ---

ORIGINAL = {"file": "a.png", "size_px": [1024, 512], "is_reduced": False, "is_reshaped": False, "window": "range"}


def said(**changes: Any) -> str:
    image = record()["image"] | {"native_size_px": [1024, 512]} | changes
    return " ".join(picture_words.picture_sentences(image))


def test_each_sentence_on_the_picture_has_its_condition() -> None:
    assert said(original=ORIGINAL) == (
        "1\u202f024 × 512 pixels, shown with the values of the file as they are. Which side of the patient is which is unknown."
    )
    assert "in the window of the file" in said(original=ORIGINAL | {"window": "window"})
    assert "99.5th percentile" in said(original=ORIGINAL | {"window": "percentiles"})
    assert "shown" not in said(original=ORIGINAL | {"window": None}).split(".")[0]
    assert "Reduced" not in said(original=ORIGINAL)
    assert "Reduced to 1\u202f024 × 512 pixels" in said(
        original=ORIGINAL | {"is_reduced": True}, native_size_px=[4096, 2048]
    )
    assert "not square" in said(original=ORIGINAL | {"is_reshaped": True})
    assert "by the header of the file" in said(original=ORIGINAL, sides=SIDES)
    assert said(original_reason="why") == (
        "64 × 64 pixels, enlarged: fine detail of the original is lost. The original is not shown, why. Which side of the patient is "
        "which is unknown."
    )


def test_each_line_on_the_map_is_told_with_its_threshold() -> None:
    entry = record()["maps"][0]
    assert map_words.outline_sentences(entry) == [
        "Outlines are not borders of a lesion.",
        "Yellow: the strongest 2\u00a0% of the map for 'no_tumor', 0.5 log-odds and more. Cross: largest value.",
        "Dashed blue: the strongest 2\u00a0% of the map against it, -0.25 log-odds and less.",
        "Square: one cell of the map.",
    ]
    measured = entry["measured"] | {"level_for": None, "level_against": None}
    plain = map_words.outline_sentences(entry | {"measured": measured, "resolution": None})
    assert plain == ["Outlines are not borders of a lesion."]
    assert map_words.outline_sentences(entry | {"measured": None, "resolution": None}) == plain
