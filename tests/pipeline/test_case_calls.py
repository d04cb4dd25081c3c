"""What the choices of a run say of its own test cases: the same as of new images, by hand at temperature 2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fakes.choices import evaluation, run_with
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.files import write_csv
from scanlens.pipeline.case_calls import case_calls, write_case_calls
from scanlens.runs import Run

ROWS = [("anna", 0.8, "healthy"), ("anna", 0.1, "healthy"), ("berta", 0.9, "ill")] + [
    (f"p{n}", 0.8, "ill") for n in range(12)
]
SOURCE = {"data": {"_target_": "scanlens.data.sources.folder.FolderSource"}}


def judged_run(folder: Path, *, source: dict[str, Any] = SOURCE, unit: str = "image") -> Run:
    run = run_with(folder, evaluation(point={"unit": unit}), **source)
    rows = [
        {
            "case": f"test-{n:05d}", "id": f"{patient}/{n}.png", "patient": patient, "target": target,
            "predicted": "healthy" if p > 0.5 else "ill", "prob_healthy": p, "prob_ill": 1 - p,
        }
        for n, (patient, p, target) in enumerate(ROWS)
    ]  # fmt: skip
    write_csv(run.predictions / "test.csv", list(rows[0]), rows)
    split = [{"index": n, "id": row["id"], "patient": row["patient"], "group": row["patient"], "target": row["target"], "split": "test"}
             for n, row in enumerate(rows)]  # fmt: skip
    write_csv(run.folder / "split.csv", list(split[0]), split)
    return run


def test_calibrated_probabilities_call_set_and_referral_are_those_of_new_images(tmp_path: Path) -> None:
    found = case_calls(judged_run(tmp_path), ["test-00000", "test-00001"])
    assert (found["positive"], found["unit"], found["threshold"], found["is_calibrated"]) == ("ill", "image", 0.3, True)
    first, second = found["cases"]["test-00000"], found["cases"]["test-00001"]
    assert first["calibrated"] == pytest.approx({"healthy": 2 / 3, "ill": 1 / 3})  # 4 : 1 becomes 2 : 1
    assert first["score"] == pytest.approx(1 / 3)
    assert (first["called"], first["set"], first["refer"]) == ("positive", ["healthy", "ill"], True)
    assert second["score"] == pytest.approx(3 / 4)
    assert (second["called"], second["set"], second["refer"]) == ("positive", ["ill"], False)


def test_a_threshold_of_patients_calls_the_patient_and_no_image(tmp_path: Path) -> None:
    one = case_calls(judged_run(tmp_path, unit="patient"), ["test-00000"])["cases"]["test-00000"]
    assert one["called"] is None
    assert one["patient"]["num_images"] == 2
    assert one["patient"]["score"] == pytest.approx((1 / 3 + 3 / 4) / 2)
    assert one["patient"]["called"] == "positive"


def test_similar_scores_leave_the_patient_out(tmp_path: Path) -> None:
    similar = case_calls(judged_run(tmp_path), ["test-00000"])["cases"]["test-00000"]["similar_scores"]
    # calibrated 1/3: twelve others have the same; berta's 1/4 is 0.41 away in log-odds; the own second image does not count
    assert (similar["num"], similar["num_positive"], similar["num_patients"]) == (13, 13, 13)


def test_patients_appear_under_a_keyed_pseudonym_and_those_of_dicom_under_theirs(tmp_path: Path) -> None:
    found = case_calls(judged_run(tmp_path / "a"), ["test-00000"])
    assert found["cases"]["test-00000"]["pseudonym"] == Pseudonyms().of("anna")
    assert "anna" not in json.dumps(found)
    dicom = judged_run(tmp_path / "b", source={"data": {"_target_": "scanlens.data.sources.dicom.DicomSource"}})
    assert (
        case_calls(dicom, ["test-00000"])["cases"]["test-00000"]["pseudonym"] == "anna"
    )  # such a source gives pseudonyms


def test_the_file_is_of_the_explained_cases_and_a_damaged_list_costs_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = judged_run(tmp_path)
    write_case_calls(run)
    assert not (run.explanations / "calls.json").exists()
    run.explanations.mkdir()
    (run.explanations / "cases.json").write_text(
        json.dumps({"cases": [{"case": "test-00002"}, {"case": "test-00777"}]}), encoding="utf-8"
    )
    write_case_calls(run)
    assert list(json.loads((run.explanations / "calls.json").read_text(encoding="utf-8"))["cases"]) == ["test-00002"]
    (run.explanations / "calls.json").unlink()
    (run.explanations / "cases.json").write_text("{", encoding="utf-8")
    write_case_calls(run)
    assert "calls.json was not written" in caplog.text
