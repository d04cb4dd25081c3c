"""`report/cohort.json`: what there is stands in it unchanged, and what there is not is told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

from fakes.run_folder import write_json, write_run_folder
from scanlens.errors import RunError
from scanlens.report.cohort import SCHEMA, cohort_record, measured_table
from scanlens.report.folder import read_run
from scanlens.report.page import write_report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run_folder(tmp_path_factory.mktemp("cohort") / "run")


def parts_of(folder: Path) -> dict[str, dict]:
    return {one["name"]: one for one in cohort_record(read_run(folder))["parts"]}


def test_parts_are_those_of_the_run_folder_unchanged(folder: Path) -> None:
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    found = parts_of(folder)
    assert found["performance"]["content"]["test"] == evaluation["splits"]["test"]
    assert found["localization"]["content"] == evaluation["localization"]
    assert found["data"]["content"]["num_quarantined"] == 1


def test_what_was_not_measured_is_told_with_what_it_would_need(folder: Path) -> None:
    found = parts_of(folder)
    assert found["readers"]["reason"].startswith("readers: files of the box on the sheets")
    assert found["score_card"]["reason"] == "scanlens explain parts=score_card"
    assert all((one["content"] is None) == (one["status"] == "not assessed") for one in found.values())


def test_a_part_that_is_only_a_reason_is_not_measured(folder: Path, tmp_path: Path) -> None:
    other = write_run_folder(tmp_path / "run")
    evaluation = json.loads((other / "evaluation.json").read_text(encoding="utf-8"))
    write_json(other / "evaluation.json", evaluation | {"conformal": {"reason": "too few patients"}})
    assert parts_of(other)["conformal"] == {
        "name": "conformal",
        "title": "Sets of likely classes",
        "status": "not assessed",
        "reason": "too few patients",
        "content": None,
    }


def test_a_part_of_explain_appears_once_it_was_measured(tmp_path: Path) -> None:
    other = write_run_folder(tmp_path / "run")
    write_json(other / "explanations" / "limits.json", {"schema_version": 1, "reason": "few", "sizes": []})
    assert parts_of(other)["limits"]["status"] == "measured"
    write_json(other / "explanations" / "limits.json", {"schema_version": 7})
    with pytest.raises(RunError, match=r"limits\.json: expected schema_version 1, got 7"):
        cohort_record(read_run(other))


def test_file_and_page_are_written_and_follow_the_schema(folder: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    page = write_report(folder).read_text(encoding="utf-8")
    text = (folder / "report" / "cohort.json").read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), schema)
    assert "doe" not in text
    assert "/home" not in text
    for row in measured_table(read_run(folder)):
        assert row["title"] in page
    assert 'href="cohort.json"' in page


def test_the_manifest_lists_every_file_and_sha256sum_agrees(tmp_path: Path) -> None:
    other = write_run_folder(tmp_path / "run")
    report = write_report(other).parent
    lines = (report / "MANIFEST.sha256").read_text(encoding="utf-8").splitlines()
    files = {path.relative_to(report).as_posix() for path in report.rglob("*") if path.is_file()} - {"MANIFEST.sha256"}
    assert {line.split("  ", 1)[1] for line in lines} == files
    for line in lines:
        digest, name = line.split("  ", 1)
        assert digest == hashlib.sha256((report / name).read_bytes()).hexdigest()


def test_a_run_that_rebuilds_pictures_has_none(tmp_path: Path) -> None:
    other = write_run_folder(tmp_path / "run", task="reconstruction")
    write_report(other)
    assert not (other / "report" / "cohort.json").exists()
    assert measured_table(read_run(other)) == []
