"""What a network is for and who it was tested on: from numbers of the run, or as stated, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fakes.run_folder import write_run_folder
from scanlens.files import read_csv, write_csv
from scanlens.report import intended_use as use
from scanlens.report.case_sheet.missed_lesions import missed_lesions
from scanlens.report.folder import read_run
from scanlens.report.page import ReportWriter
from scanlens.report.people import people


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run_folder(tmp_path / "run")


def configure(folder: Path, **report: Any) -> None:
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["report"] |= report
    config["facts"]["is_phantom"] = False
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def division(folder: Path) -> list[dict[str, str]]:
    """split.csv with the tested patients, and one of the training."""
    rows = [
        {"index": str(int(row["case"].rpartition("-")[2])), "patient": row["patient"], "split": "test"}
        for row in read_csv(folder / "predictions" / "test.csv")
    ]
    rows.append({"index": "99999", "patient": "trained", "split": "train"})
    write_csv(folder / "split.csv", ["index", "patient", "split"], rows)
    return rows


def with_meta(folder: Path, **columns: dict[str, str]) -> None:
    rows = division(folder)
    of = {row["index"]: {name: cells.get(row["patient"], "") for name, cells in columns.items()} for row in rows}
    write_csv(folder / "meta.csv", ["index", *columns], [{"index": index, **one} for index, one in of.items()])


def test_a_sentence_is_made_of_the_classes_where_none_was_stated(folder: Path) -> None:
    configure(folder)
    said = use.intended_use(read_run(folder))
    assert said.startswith(
        "For research on whether a network can tell 'glioma', 'meningioma', 'pituitary' and 'no_tumor' apart"
    )
    assert "not for finding, excluding or following any disease" in said


def test_what_was_stated_is_said_so_and_paths_are_not_shown(folder: Path) -> None:
    configure(folder, intended_use="Triage of scans of /home/jane_doe/x")
    assert use.intended_use(read_run(folder)) == "As stated: Triage of scans of (path not shown)"
    with pytest.raises(ValueError, match=r"report\.intended_use has 700 letters, expected at most 600"):
        ReportWriter(intended_use="x" * 700)


def test_sex_and_age_are_counted_once_a_patient_of_the_test_split(folder: Path) -> None:
    rows = division(folder)
    tested = sorted({row["patient"] for row in rows if row["split"] == "test"})
    trained = sorted({row["patient"] for row in rows if row["split"] == "train"})
    sex = dict.fromkeys(tested, "F") | {tested[0]: "m", tested[1]: "O"} | dict.fromkeys(trained, "M")
    age = {tested[0]: "019Y", tested[1]: "57", tested[2]: "84", tested[3]: "999"}
    with_meta(folder, Sex=sex, Age=age)
    run = read_run(folder)
    assert people(run) == {
        "sex": {"female": len(tested) - 2, "male": 1},
        "age": {"low": 19.0, "median": 57.0, "high": 84.0, "num": 3.0},
    }
    said = use.tested_on(run)
    assert f"sex {len(tested) - 2} female and 1 male patients; age 19 to 84 years, median 57, of 3 patients." in said


def test_who_is_not_told_is_not_assessed(folder: Path) -> None:
    assert use.tested_on(read_run(folder)).endswith("; sex not assessed; age not assessed.")


def test_lesions_of_missed_and_found_are_measured_apart(folder: Path) -> None:
    run = read_run(folder)
    assert missed_lesions(run)["reason"] == "no lesion of the test split is marked"
    ill = [place for place, row in enumerate(run.predictions) if row["target"] != "no_tumor"]
    size = {place: 0.01 * (1 + number) for number, place in enumerate(ill)}
    cells = {str(int(run.predictions[place]["case"].rpartition("-")[2])): f"{one:.4f}" for place, one in size.items()}
    run.meta_rows[:] = [{"index": index, "lesion_share": cell} for index, cell in cells.items()]
    run.evaluation["decisions"] = {
        "unit": "image", "members": ["glioma", "meningioma", "pituitary"],
        "chosen": {"missed_images": [[ill[0]], [ill[2]]], "test": {"false_negatives": 2, "true_positives": len(ill) - 2}},
    }  # fmt: skip
    found = missed_lesions(run)
    assert found["missed"] == {"num": 2, "num_marked": 2, "median_share": pytest.approx(0.02)}
    others = sorted(one for place, one in size.items() if place not in (ill[0], ill[2]))
    assert found["found"]["median_share"] == pytest.approx(
        (others[len(others) // 2] + others[(len(others) - 1) // 2]) / 2
    )
    run.evaluation["decisions"]["chosen"]["test"]["false_negatives"] = 3
    assert missed_lesions(run)["reason"] == "those who were missed cannot be told from the predictions"
