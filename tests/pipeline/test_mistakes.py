"""Pictures of what the operating point misses, from the predictions of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from scanlens.evaluation.calibrator import Calibrator
from scanlens.files import write_csv
from scanlens.pipeline.mistakes import MOST_FALSE_ALARMS, MOST_MISSED, write_mistakes
from scanlens.runs import Run

NAMES = ["glioma", "meningioma", "no_tumor"]
IDENTITY = Calibrator(method="none", num_classes=3).as_dict()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Ten test images at places 100 to 109, each as bright as its place; their patients have names."""
    facts = {"class_names": NAMES}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"seed": 1, "facts": facts}), encoding="utf-8")
    ill = [0.1, 0.4, 0.2, 0.05, 0.05, 0.3, 0.9, 0.8, 0.02, 0.6]
    rows = [
        {
            "case": f"test-{100 + place:05d}", "id": f"doe_jane/{place}.png", "patient": f"jane{place // 3}",
            "target": "glioma" if place < 6 else "no_tumor", "predicted": "glioma" if p > 0.5 else "no_tumor",
            "prob_glioma": p / 2, "prob_meningioma": p / 2, "prob_no_tumor": 1 - p,
        }
        for place, p in enumerate(ill)
    ]  # fmt: skip
    write_csv(tmp_path / "predictions" / "test.csv", list(rows[0]), rows)
    split = [{"index": 100 + place, "group": row["patient"], "split": "test"} for place, row in enumerate(rows)]
    write_csv(tmp_path / "split.csv", ["index", "group", "split"], split)
    return Run(tmp_path)


def evaluation(missed: list[list[int]], alarms: list[list[int]], *, unit: str = "patient") -> dict[str, Any]:
    chosen = {
        "threshold": 0.5,
        "test": {"true_positives": 1},
        "missed_images": missed,
        "missed_scores": [0.1 + place / 100 for place in range(len(missed))],
        "false_alarm_images": alarms,
        "false_alarm_scores": [0.9 - place / 100 for place in range(len(alarms))],
    }
    decisions = {"positive": "tumor", "unit": unit, "members": ["glioma", "meningioma"], "chosen": chosen}
    return {"decisions": decisions, "calibration": {"choice": {"calibrator": IDENTITY}}}


def gray(index: int) -> np.ndarray:
    return np.full((1, 8, 8), (index - 100) / 10, np.float32)


def written(run: Run) -> dict[str, Any]:
    return json.loads((run.mistakes / "cases.json").read_text(encoding="utf-8"))


def test_images_of_a_patient_come_with_the_most_suspicious_first(run: Run) -> None:
    write_mistakes(run, evaluation([[0, 1, 2]], [[6, 7, 8]]), gray)
    known = written(run)
    missed, alarm = known["missed"][0], known["false_alarms"][0]
    assert [one["case"] for one in missed["shown"]] == ["test-00101", "test-00102", "test-00100"]
    assert [one["score"] for one in missed["shown"]] == pytest.approx([0.4, 0.2, 0.1])
    assert (missed["case"], missed["score"], missed["num_images"]) == ("test-00101", 0.1, 3)
    assert (missed["target"], missed["predicted"]) == ({"glioma": 3}, {"no_tumor": 3})
    assert (alarm["target"], alarm["predicted"]) == ({"no_tumor": 3}, {"glioma": 2, "no_tumor": 1})
    with Image.open(run.mistakes / missed["picture"]) as sheet:
        middles = [sheet.getpixel((48 + 100 * place, 48)) for place in range(3)]
    assert middles == [(round(255 * share),) * 3 for share in (0.1, 0.2, 0.0)], "brightness is that of the place"


def test_no_more_than_six_of_a_patient_are_drawn(run: Run) -> None:
    write_mistakes(run, evaluation([list(range(10))], []), gray)
    missed = written(run)["missed"][0]
    assert (len(missed["shown"]), missed["num_images"]) == (6, 10)
    assert [one["case"] for one in missed["shown"]][:3] == ["test-00106", "test-00107", "test-00109"]
    assert missed["target"] == {"glioma": 6, "no_tumor": 4}


def test_many_mistakes_are_counted_and_the_surest_drawn(run: Run) -> None:
    write_mistakes(
        run, evaluation([[place % 6] for place in range(40)], [[6 + place % 4] for place in range(30)]), gray
    )
    known = written(run)
    assert (known["num_missed"], len(known["missed"])) == (40, MOST_MISSED)
    assert (known["num_false_alarms"], len(known["false_alarms"])) == (30, MOST_FALSE_ALARMS)
    scores = [one["score"] for one in known["missed"]]
    assert scores == sorted(scores)


def test_of_images_that_are_alike_the_surest_is_drawn_and_the_others_are_counted(run: Run) -> None:
    """Places 0 to 2 are one group, 3 to 5 another one."""
    write_mistakes(run, evaluation([[4], [1], [0], [3], [2], [5]], [[6], [9]], unit="image"), gray)
    known = written(run)
    assert known["num_missed"] == 6, "all are counted"
    assert [(one["case"], one["num_alike"]) for one in known["missed"]] == [("test-00104", 2), ("test-00101", 2)]
    assert [(one["case"], one["num_alike"]) for one in known["false_alarms"]] == [("test-00106", 0), ("test-00109", 0)]
    assert len(list(run.mistakes.glob("missed_*.png"))) == 2


def test_patients_are_never_left_out_for_being_alike(run: Run) -> None:
    write_mistakes(run, evaluation([[0], [1, 2]], []), gray)
    assert [one["num_alike"] for one in written(run)["missed"]] == [0, 0]


def test_neither_patients_nor_files_are_named(run: Run) -> None:
    write_mistakes(run, evaluation([[0, 1]], [[6]]), gray)
    names = [path.name for path in run.mistakes.iterdir()]
    assert sorted(names) == ["cases.json", "false-alarms_test-00106.png", "missed_test-00101.png"]
    assert "jane" not in (run.mistakes / "cases.json").read_text(encoding="utf-8")


def test_what_was_drawn_before_goes(run: Run) -> None:
    write_mistakes(run, evaluation([[0]], [[6]]), gray)
    write_mistakes(run, evaluation([], []), gray)
    assert [path.name for path in run.mistakes.iterdir()] == ["cases.json"]
    assert written(run)["num_missed"] == 0


@pytest.mark.parametrize("decisions", [None, {"reason": "no class"}, {"chosen": {"test": None, "reason": "no split"}}])
def test_without_an_operating_point_nothing_is_written(run: Run, decisions: dict[str, Any] | None) -> None:
    write_mistakes(run, {"decisions": decisions}, gray)
    assert not run.mistakes.exists()
