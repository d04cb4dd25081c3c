"""What verdicts predict comes to stand on the score card of the same run, whichever was measured first."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from scanlens.files import read_csv, write_json
from scanlens.pipeline.explanations.card.usefulness import add_usefulness, lines
from scanlens.pipeline.explanations.measured_on import measured_on
from scanlens.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    for name, text in (("weights.safetensors", "w"), ("predictions/test.csv", "case,id\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "explanations").mkdir()
    return Run(tmp_path)


def auroc(value: float | None, low: float | None, high: float | None, *, num: int = 50) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "reason": None, "num": num, "num_true": 40, "says": "A sentence."}


def write_verdicts(run: Run, *, correctness: dict[str, Any] | None = None, **more: Any) -> None:
    own = {
        "name": "hires_cam",
        "correctness": correctness or auroc(0.7, 0.6, 0.8),
        "lesion": auroc(0.9, 0.8, 1, num=30),
    }
    luck = {"name": "random", "correctness": auroc(0.5, 0.4, 0.6), "lesion": auroc(None, None, None, num=0)}
    content = {"schema_version": 1, "measured_on": measured_on(run), "methods": [own, luck]} | more
    write_json(run.explanations / "verdicts.json", content)


def write_card(run: Run, **more: Any) -> None:
    methods = [
        {"name": name, "title": name, "is_control": name == "random"} for name in ("hires_cam", "grad_cam", "random")
    ]
    content = {"schema_version": 1, "measured_on": measured_on(run), "primary": "hires_cam", "methods": methods} | more
    write_json(run.explanations / "score_card.json", content)


def stored(run: Run) -> dict[str, dict[str, Any]]:
    content = json.loads((run.explanations / "score_card.json").read_text(encoding="utf-8"))
    return {one["name"]: one.get("usefulness") for one in content["methods"]}


def test_numbers_of_verdicts_stand_beside_a_heading_that_stays_not_assessed(run: Run) -> None:
    write_verdicts(run)
    write_card(run)
    card = add_usefulness(run)
    assert card is not None
    found = stored(run)
    assert {one["status"] for one in found.values()} == {"NOT ASSESSED"}
    assert [found["hires_cam"]["correctness"][key] for key in ("value", "low", "high", "num_images")] == [
        0.7,
        0.6,
        0.8,
        50,
    ]
    assert found["hires_cam"]["lesion"]["num_images"] == 30
    assert found["random"]["correctness"]["value"] == 0.5
    assert found["grad_cam"]["correctness"] is None
    assert "were not measured" in found["grad_cam"]["reason"]
    assert "A sentence. AUROC 0.70 (0.60 to 0.80), n = 50." in lines(card)[0]
    rows = {row["method"]: row for row in read_csv(run.explanations / "score_card.csv")}
    assert (rows["hires_cam"]["verdict_correctness"], rows["hires_cam"]["verdict_correctness_images"]) == ("0.7", "50")
    assert rows["grad_cam"]["verdict_correctness"] == ""


def test_the_order_of_the_two_makes_no_difference(run: Run) -> None:
    write_card(run)
    add_usefulness(run)
    assert "No verdicts on cases were measured (parts=verdicts)." in stored(run)["hires_cam"]["reason"]
    write_verdicts(run)
    add_usefulness(run)
    afterwards = stored(run)
    write_card(run)
    add_usefulness(run)
    assert stored(run) == afterwards


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"measured_on": {"weights": "other", "predictions": "other"}}, "measured on other weights or predictions"),
        ({"measured_on": None}, "measured on other weights or predictions"),
        ({"methods": "none"}, "cannot be understood"),
        ({"methods": [{"name": "hires_cam", "correctness": {}}]}, "cannot be understood"),
        ({"correctness": auroc(7.0, 0.6, 0.8)}, "cannot be understood"),
    ],
)
def test_stale_foreign_and_broken_verdicts_are_left_out_with_a_note(
    run: Run, change: dict[str, Any], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_verdicts(run)
    write_card(run)
    add_usefulness(run)
    write_verdicts(run, **change)
    with caplog.at_level(logging.WARNING):
        add_usefulness(run)
    found = stored(run)["hires_cam"]
    assert found["correctness"] is None, "a number of before goes away too"
    assert told in found["reason"]
    assert "measure it again (parts=verdicts)" in found["reason"]
    assert told in caplog.text


def test_verdicts_of_before_marks_of_weights_are_left_out(run: Run) -> None:
    write_card(run)
    write_json(run.explanations / "verdicts.json", {"schema_version": 1, "methods": []})
    add_usefulness(run)
    assert "does not say on which weights" in stored(run)["hires_cam"]["reason"]
    (run.explanations / "verdicts.json").write_text("{")
    add_usefulness(run)
    assert "cannot be understood" in stored(run)["hires_cam"]["reason"]


def test_a_card_of_other_weights_is_left_as_it_is(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    write_verdicts(run)
    assert add_usefulness(run) is None, "there is no card"
    write_card(run)
    run.weights_file.write_text("trained again")
    write_verdicts(run)
    before = (run.explanations / "score_card.json").read_bytes()
    assert add_usefulness(run) is None
    assert (run.explanations / "score_card.json").read_bytes() == before
    assert "the score card is left as it is: score_card.json was measured on other weights" in caplog.text
