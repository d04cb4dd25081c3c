from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import pytest

from scanlens import files
from scanlens.files import check_unpacked_size, read_csv, write_bytes, write_csv, write_json, write_text


def test_text_is_replaced_as_a_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "a.txt"
    write_text(target, "first")
    write_text(target, "zweite Zeile: ä")
    assert target.read_text(encoding="utf-8") == "zweite Zeile: ä"
    assert [p.name for p in target.parent.iterdir()] == ["a.txt"]


def test_a_failed_write_leaves_the_old_content_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(target, b"new")
    assert target.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_tables_come_back_as_text_with_empty_cells_for_none(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ["a", "b"], [{"a": 1, "b": None}, {"a": 'x,"y"\n', "b": 2.5}])
    assert read_csv(tmp_path / "t.csv") == [{"a": "1", "b": ""}, {"a": 'x,"y"\n', "b": "2.5"}]


@pytest.mark.parametrize(
    "text", ["=1+1", "+a", "-a", "@a", "\t=a", "\r=a", "\n=a", "＝a", "-", "-1_0", "-inf", "--5", "'=a", "''-a"]
)
def test_text_that_a_spreadsheet_would_run_is_disarmed_and_comes_back(tmp_path: Path, text: str) -> None:
    write_csv(tmp_path / "t.csv", ["a", text], [{"a": text, text: 1}])
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        written = [cell for row in csv.reader(file) for cell in row]
    assert written == ["a", f"'{text}", f"'{text}", "1"]
    assert read_csv(tmp_path / "t.csv") == [{"a": text, text: "1"}]


@pytest.mark.parametrize("text", ["-0.5", "+1", "-1e-09", "-.5", "3", "-12.", "it's", "'a", "a=b", " =a", "", "–"])
def test_numbers_and_plain_text_are_written_as_they_are(tmp_path: Path, text: str) -> None:
    write_csv(tmp_path / "t.csv", ["a", "b"], [{"a": text, "b": -0.5}])
    assert read_csv(tmp_path / "t.csv") == [{"a": text, "b": "-0.5"}]
    assert "'" not in (tmp_path / "t.csv").read_text(encoding="utf-8").replace(text, "")


def test_a_cell_without_a_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no column for b"):
        write_csv(tmp_path / "t.csv", ["a"], [{"a": 1, "b": 2}])


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "v.json", {"a": float("nan")})
    assert not (tmp_path / "v.json").exists()


def test_an_archive_is_measured_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("x", bytes(100_000))
    assert (tmp_path / "a.npz").stat().st_size < 1000
    check_unpacked_size(tmp_path / "a.npz", most=100_000)
    with pytest.raises(ValueError, match="at most 99,999 bytes are expected, 100,000 came"):
        check_unpacked_size(tmp_path / "a.npz", most=99_999)
