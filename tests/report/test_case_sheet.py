"""Records and sheets of cases, made from a run folder: numbers worked out by hand, and what must never be on a page."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.case_records import record
from fakes.run_folder import SIZE, write_json, write_run_folder
from scanlens.errors import RunError
from scanlens.report.case_sheet.arrays import MapArrays, level_of, measured, outlines, read_map
from scanlens.report.case_sheet.figures import nice_length
from scanlens.report.case_sheet.record import SCHEMA, case_records, check
from scanlens.report.case_sheet.sheet import case_page
from scanlens.report.case_sheet.write import case_table, write_cases
from scanlens.report.folder import read_run
from scanlens.report.page import write_report
from scanlens.report.pictures import heat_layer, save_map


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with verdicts, calls and what stands beside two of its cases."""
    path = write_run_folder(tmp_path_factory.mktemp("sheets") / "run")
    listed = json.loads((path / "explanations" / "cases.json").read_text(encoding="utf-8"))
    for one in listed["cases"]:
        for entry in one["maps"]:
            entry["verdict"] = {
                "level": "WEAK",
                "reasons": ["It <b>matters</b>."],
                "against": ["But."],
                "also": [],
                "measured": None,
            }
    listed["cases"][0]["maps"][0]["verdict"]["level"] = "WITHHELD"
    write_json(path / "explanations" / "cases.json", listed)
    first, second = (one["case"] for one in listed["cases"][:2])
    calls = {
        first: {"score": 0.1, "pseudonym": "5333e1c04155", "calibrated": None, "called": "negative", "patient": None}
    }
    write_json(
        path / "explanations" / "calls.json",
        {
            "schema_version": 1,
            "positive": "tumor",
            "members": [],
            "unit": "image",
            "threshold": 0.4,
            "reasons": {},
            "cases": calls,
        },
    )
    native = {
        "size_hw": [512, 512],
        "spacing_mm": [0.5, 0.5],
        "network_pixel_mm": [2.5, 2.5],
        "pixel_hash": "ab" * 6,
        "modality": "MR",
    }
    write_json(
        path / "explanations" / "context.json", {"schema_version": 1, "cases": [{"case": second, "native": native}]}
    )
    return path


@pytest.fixture(scope="module")
def records(folder: Path) -> list[dict[str, Any]]:
    return case_records(read_run(folder))


def of(records: list[dict[str, Any]], case: str) -> dict[str, Any]:
    return next(one for one in records if one["case"] == case)


def named(folder: Path) -> list[str]:
    return [
        one["case"] for one in json.loads((folder / "explanations" / "cases.json").read_text(encoding="utf-8"))["cases"]
    ]


# --- numbers behind a map ---


def arrays(map_HW: np.ndarray) -> MapArrays:
    covered = np.ones(map_HW.shape, dtype=bool)
    return MapArrays(map_HW.astype(np.float32), map_HW.astype(np.float32), covered, np.zeros(map_HW.shape, np.float32))


def test_measures_of_a_map_worked_out_by_hand() -> None:
    map_HW = np.zeros((10, 10))
    map_HW[1, 2], map_HW[1, 3], map_HW[8, 8] = 4.0, 2.0, 2.0  # upper left 6, lower right 2
    map_HW[5, 0] = -2.0
    found = measured(arrays(map_HW), share=0.02, mm_per_px=(0.5, 2.0))
    assert found["evidence_for"] == 8
    assert found["evidence_against"] == 2
    assert found["share_for"] == pytest.approx(0.8)
    assert found["quadrant"] == {"name": "upper left", "share": 0.75}
    assert found["peak_yx"] == [1, 2]
    assert found["level_for"] == 2.0  # two of a hundred pixels, and a tie
    assert found["outlined_px"] == 3
    assert found["outlined_mm2"] == 3.0
    assert found["evidence_in_outline"] == 1.0
    assert found["level_against"] == -2.0


def test_what_is_not_covered_or_no_number_does_not_count() -> None:
    map_HW = np.array([[5.0, np.nan], [1.0, -1.0]], dtype=np.float32)
    covered = np.array([[False, True], [True, True]])
    found = measured(MapArrays(map_HW, map_HW, covered, np.zeros((2, 2), np.float32)), share=0.25, mm_per_px=None)
    assert (found["evidence_for"], found["evidence_against"], found["peak_yx"]) == (1.0, 1.0, [1, 0])
    assert found["outlined_mm2"] is None


def test_a_map_without_positive_values_has_no_outline() -> None:
    assert level_of(-np.ones((4, 4), np.float32), np.ones((4, 4), bool), 0.02) is None
    found = measured(arrays(np.zeros((4, 4))), share=0.02, mm_per_px=None)
    assert (found["level_for"], found["share_for"], found["quadrant"], found["peak_yx"]) == (None, None, None, None)


def test_a_positive_pixel_is_outlined_however_few_there_are() -> None:
    map_HW = np.zeros((10, 10), np.float32)
    map_HW[4, 4] = 0.1
    assert level_of(map_HW, np.ones((10, 10), bool), 0.5) == pytest.approx(0.1)


def test_outlines_lie_around_the_middle_of_pixels() -> None:
    map_HW = np.zeros((6, 8), np.float32)
    map_HW[2, 5] = 1.0
    (line,) = outlines(map_HW, 0.5)
    x, y = np.array(line).T
    assert (x.min(), x.max(), y.min(), y.max()) == (5.0, 6.0, 2.0, 3.0)  # half way to the neighbors of (2.5, 5.5)


def test_outlines_at_the_border_are_closed() -> None:
    (line,) = outlines(np.pad(np.ones((2, 2), np.float32), ((0, 4), (0, 4))), 0.5)
    assert line[0] == line[-1]


def test_a_file_that_is_no_map_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(RunError, match="is not what explaining writes"):
        read_map(tmp_path, "a.npz")
    np.savez(tmp_path / "b.npz", map=np.zeros((2, 2)))
    with pytest.raises(RunError, match="is not what explaining writes"):
        read_map(tmp_path, "b.npz")
    save_map(
        tmp_path / "c.npz",
        map=np.zeros((3, 3)),
        cells=np.zeros(1),
        covered=np.ones((3, 3), bool),
        scan=np.zeros((2, 2)),
    )
    with pytest.raises(RunError, match="same rows and columns"):
        read_map(tmp_path, "c.npz")
    np.savez(tmp_path / "d.npz", map=np.array([object()]), cells=0, covered=0, scan=0)
    with pytest.raises(RunError):
        read_map(tmp_path, "d.npz")


@pytest.mark.parametrize("name", ["../a.npz", "/etc/passwd", "a.png", None, 3, "..npz"])
def test_only_plain_names_inside_the_folder_are_opened(tmp_path: Path, name: object) -> None:
    assert read_map(tmp_path, name) is None


def test_scale_bars_are_of_round_lengths() -> None:
    assert [nice_length(most) for most in (19.2, 20.0, 49.9, 0.07)] == [10, 20, 20, 0.05]


def test_the_layer_of_evidence_is_clear_where_there_is_none() -> None:
    map_HW = np.array([[1.0, 0.0], [-1.0, 1.0]], np.float32)
    layer = heat_layer(map_HW, np.array([[True, True], [True, False]]), scale=1.0)
    assert layer[..., 3].tolist() == [[204, 0], [204, 0]]  # 0.8 of 255
    red, blue = layer[0, 0, :3].astype(int), layer[1, 0, :3].astype(int)
    assert red[0] > red[2]
    assert blue[2] > blue[0]


# --- records ---


def test_every_record_follows_the_schema_and_holds_no_patient_and_no_path(
    folder: Path, records: list[dict[str, Any]]
) -> None:
    assert sorted(one["case"] for one in records) == sorted(named(folder))
    for one in records:
        check(one)
    text = json.dumps(records)
    assert "doe" not in text
    assert "/home" not in text


def test_misses_come_first(records: list[dict[str, Any]]) -> None:
    right = [one["answer"]["is_right"] for one in records]
    assert right == sorted(right)
    assert right[0] is False


def test_of_a_withheld_map_the_record_tells_why_and_nothing_else(folder: Path, records: list[dict[str, Any]]) -> None:
    hidden = of(records, named(folder)[0])["maps"][0]
    assert hidden["verdict"]["level"] == "WITHHELD"
    assert [hidden[name] for name in ("npz", "measured", "scale", "pointing_hit")] == [None] * 4
    shown = of(records, named(folder)[1])["maps"][0]
    assert shown["measured"]["outlined_px"] > 0


def test_millimeters_come_from_beside_the_case(folder: Path, records: list[dict[str, Any]]) -> None:
    one = of(records, named(folder)[1])
    found = one["maps"][0]["measured"]
    assert found["outlined_mm2"] == pytest.approx(6.25 * found["outlined_px"])
    assert one["image"]["modality"] == "MR"
    assert of(records, named(folder)[2])["image"]["mm_per_px"] is None


def test_hashes_are_those_of_the_files(folder: Path, records: list[dict[str, Any]]) -> None:
    expected = hashlib.sha256((folder / "config.yaml").read_bytes()).hexdigest()[:12]
    assert records[0]["model"]["config_sha256"] == expected


def test_the_schema_is_one_and_refuses_what_is_wrong() -> None:
    import jsonschema

    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA.read_text(encoding="utf-8")))
    check(record())
    for wrong in (
        {"case": "../../etc"}, {"lesion_share": 1.5}, {"quality__status": "fine"}, {"maps__0__verdict__level": "SURE"},
        {"answer__classes__0__stated": "0.5"},
    ):  # fmt: skip
        with pytest.raises(RunError, match=r"does not follow case\.schema\.json"):
            check(record(**wrong))
    with pytest.raises(RunError):
        check(record() | {"patient_name": "Jane"})


# --- pages ---


def page_of(folder: Path, one: dict[str, Any], **turn: str) -> str:
    return case_page(one, read_run(folder), **turn)


def test_a_withheld_map_is_on_no_sheet(folder: Path, records: list[dict[str, Any]]) -> None:
    hidden = dict(of(records, named(folder)[0]))
    hidden["maps"] = hidden["maps"][:1]
    page = page_of(folder, hidden)
    assert "WITHHELD" in page
    assert 'class="heat"' not in page
    assert 'class="scan"' in page, "a map is withheld, never the scan"
    assert "log-odds" not in re.sub(r".*?id=\"pictures\"(.*?)</section>.*", r"\1", page, flags=re.DOTALL)
    assert 'class="heat"' in page_of(folder, of(records, named(folder)[1]))


def test_text_of_the_run_is_text_on_the_sheet(folder: Path, records: list[dict[str, Any]]) -> None:
    page = page_of(folder, of(records, named(folder)[1]))
    assert "It &lt;b&gt;matters&lt;/b&gt;." in page
    assert "<b>matters" not in page


def test_the_sheet_may_run_its_own_script_and_load_nothing(folder: Path, records: list[dict[str, Any]]) -> None:
    page = page_of(folder, records[0], previous="test-00001", following="test-00002")
    style, script = (re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL) for tag in ("style", "script"))
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in (*style, *script)]
    assert len(hashes) == 3
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].replace("&#39;", "'") == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}' 'sha256-{hashes[2]}'; base-uri 'none'; "
        "form-action 'none'"
    )
    links = set(re.findall(r'(?:href|src)="([^"]+)"', page))
    assert {one for one in links if not one.startswith("data:image/")} == {
        "../index.html",
        "test-00001.html",
        "test-00002.html",
    }
    assert not re.search(r"https?://", page)
    assert " style=" not in page


def test_equal_records_give_equal_bytes(folder: Path, records: list[dict[str, Any]]) -> None:
    assert page_of(folder, records[1]) == page_of(folder, records[1])


def test_the_outline_and_the_cell_are_drawn_where_they_are(folder: Path, records: list[dict[str, Any]]) -> None:
    page = page_of(folder, of(records, named(folder)[1]))
    assert f'viewBox="0 0 {SIZE} {SIZE}"' in page
    assert re.search(r'class="for"[^>]* d="M', page)
    assert re.search(r'class="peak"', page)
    assert "mm</text>" in page, "the scale bar is in millimeters where they are known"


# --- files ---


def test_sheets_and_table_are_written_and_former_ones_go(folder: Path) -> None:
    stale = folder / "report" / "cases" / "test-99999.html"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_text("old", encoding="utf-8")
    kept = stale.with_name("my notes.html")
    kept.write_text("mine", encoding="utf-8")
    write_report(folder)
    written = {path.name for path in stale.parent.iterdir()}
    assert written == {f"{case}.{kind}" for case in named(folder) for kind in ("html", "json")} | {kept.name}
    rows = case_table(read_run(folder))
    assert [row["case"] for row in rows] == [one["case"] for one in case_records(read_run(folder))]
    by_case = {row["case"]: row for row in rows}
    assert by_case[named(folder)[0]]["stamp"] == "WITHHELD"
    assert by_case[named(folder)[0]]["called"] == "negative"
    index = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert all(f'href="cases/{case}.html"' in index for case in named(folder))


def test_sheets_do_not_follow_a_link_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    target = write_run_folder(tmp_path / "other")
    (target / "report").mkdir(exist_ok=True)
    (target / "report" / "cases").symlink_to(tmp_path)
    with pytest.raises(RunError, match="is a link"):
        write_cases(read_run(target))


def test_a_run_that_rebuilds_pictures_has_no_sheets(tmp_path: Path) -> None:
    target = write_run_folder(tmp_path / "rebuilt", task="reconstruction")
    assert write_cases(read_run(target)) == []


def test_a_file_of_another_version_is_told(tmp_path: Path) -> None:
    target = write_run_folder(tmp_path / "other")
    write_json(target / "explanations" / "calls.json", {"schema_version": 99})
    with pytest.raises(RunError, match=r"calls\.json: expected schema_version 1, got 99"):
        write_cases(read_run(target))
