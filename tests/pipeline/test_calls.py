"""What stored choices say of new images: a hand-made evaluation.json, temperature 2, every number computed on paper.

At temperature 2 probabilities of two classes 4 : 1 become 2 : 1, and 1 : 9 become 1 : 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.choices import CALIBRATION, POINT, SETS, evaluation, run_with
from scanlens.errors import RunError
from scanlens.pipeline.calls import Calls, read_calls
from scanlens.pipeline.calls_summary import summary
from scanlens.pipeline.intake import NewImage
from scanlens.pipeline.new_patients import Judged, join_images_of

UNKNOWN = [[0.8, 0.2], [0.1, 0.9], [0.9, 0.1]]  # calibrated: 2/3 1/3, 1/4 3/4, 3/4 1/4


def unread() -> Any:
    raise AssertionError("pixels are not asked for")


def images_of(rows: list[list[float]], patients: str = "") -> list[Judged]:
    """One letter a patient, a dash for nobody."""
    names = [name.replace("-", "") for name in patients] or [""] * len(rows)
    return [
        Judged(f"new-{n:05d}", NewImage(f"{n}.png", unread, name), np.array(row))
        for n, (row, name) in enumerate(zip(rows, names, strict=True))
    ]


def rows_of(calls: Calls, judged: list[Judged]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of images, and of patients."""
    plan, images = calls.chosen.plan, calls.of_images(judged)
    patients = join_images_of(judged, plan.choice.rule, positive=plan.positive)
    of_patients = [calls.patient_row(one, calls.of_patient(one, images), images) for one in patients]
    return [calls.image_row(images[one.case]) for one in judged], of_patients


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


def test_probabilities_are_calibrated_and_compared_with_the_threshold_of_images(tmp_path: Path) -> None:
    """The first image is called though the network states 0.2 and the threshold is 0.3: calibrated it is 1/3."""
    rows, _ = rows_of(read_calls(run_with(tmp_path, evaluation())), images_of(UNKNOWN))
    assert [float(value) for value in column(rows, "calibrated_ill")] == pytest.approx([1 / 3, 3 / 4, 1 / 4])
    assert [float(value) for value in column(rows, "calibrated_healthy")] == pytest.approx([2 / 3, 1 / 4, 3 / 4])
    assert column(rows, "score") == column(rows, "calibrated_ill")
    assert column(rows, "called") == ["positive", "positive", "negative"]
    assert column(rows, "threshold") == ["0.3"] * 3


def test_sets_hold_classes_of_at_least_three_tenths_and_less_than_seven_tenths_is_referred(tmp_path: Path) -> None:
    rows, _ = rows_of(read_calls(run_with(tmp_path, evaluation())), images_of(UNKNOWN))
    assert column(rows, "set") == ["healthy|ill", "ill", "healthy"]
    assert column(rows, "set_size") == [2, 1, 1]
    assert column(rows, "refer") == ["yes", "no", "no"]
    tight = evaluation(conformal={"rule": SETS | {"thresholds": [0.2, 0.2]}})
    rows, _ = rows_of(read_calls(run_with(tmp_path, tight)), images_of(UNKNOWN))
    assert (column(rows, "set"), column(rows, "set_size")) == ([""] * 3, [0] * 3)


@pytest.mark.parametrize(
    ("rule", "score", "called"), [("mean", (1 / 3 + 3 / 4) / 2, "negative"), ("max", 3 / 4, "positive")]
)
def test_a_threshold_of_patients_calls_patients_by_their_rule(
    tmp_path: Path, rule: str, score: float, called: str
) -> None:
    """Patient A has the first two images; the third is of nobody known, and so a patient of its own."""
    judged = evaluation(
        point={"unit": "patient", "threshold": 0.6},
        patient_rule={"name": rule, "k": None, "positive_class": "ill"},
    )
    rows, patients = rows_of(read_calls(run_with(tmp_path, judged)), images_of(UNKNOWN, "AA-"))
    assert [float(row["score"]) for row in patients] == pytest.approx([score])
    assert [float(row["calibrated_ill"]) for row in patients] == pytest.approx([score])
    assert column(patients, "called") == [called]
    assert column(patients, "threshold") == ["0.6"]
    assert (column(patients, "num_called"), column(patients, "num_referred")) == ([None], [1])
    assert column(rows, "called") == [None, None, "negative"]
    assert column(rows, "threshold") == [None, None, "0.6"]


def test_a_threshold_of_images_counts_the_images_of_a_patient(tmp_path: Path) -> None:
    _, patients = rows_of(read_calls(run_with(tmp_path, evaluation())), images_of(UNKNOWN, "AAA"))
    assert [(row["called"], row["num_called"], row["num_referred"]) for row in patients] == [(None, 2, 1)]


def test_all_classes_beside_the_one_that_means_nothing_are_called_together(tmp_path: Path) -> None:
    """Probabilities 4 : 1 : 16 become 2 : 1 : 4 at temperature 2, so that glioma and meningioma have 3/7."""
    names = ["glioma", "meningioma", "no_tumor"]
    judged = evaluation(
        class_names=names,
        calibration={"choice": {"calibrator": CALIBRATION | {"num_classes": 3}}},
        conformal={"reason": "not asked for"},
        decisions={"positive": "tumor", "chosen": POINT | {"positive": "tumor", "threshold": 0.42}, "compared": []},
    )
    rows, _ = rows_of(read_calls(run_with(tmp_path, judged)), images_of([[4 / 21, 1 / 21, 16 / 21]]))
    (row,) = rows
    assert [float(row[f"calibrated_{name}"]) for name in names] == pytest.approx([2 / 7, 1 / 7, 4 / 7])
    assert float(row["score"]) == pytest.approx(3 / 7)
    assert (row["called"], row["set"], row["refer"]) == ("positive", None, "yes")


def test_without_a_threshold_the_most_probable_class_is_called(tmp_path: Path) -> None:
    judged = evaluation(point={"rule": {"name": "argmax"}, "threshold": None})
    rows, _ = rows_of(read_calls(run_with(tmp_path, judged)), images_of([*UNKNOWN, [0.5, 0.5]]))
    assert column(rows, "called") == ["negative", "positive", "negative", "negative"]
    assert column(rows, "threshold") == [None] * 4


def told(calls: Calls, judged: list[Judged]) -> list[str]:
    images = calls.of_images(judged)
    patients = join_images_of(judged, calls.chosen.plan.choice.rule, positive=calls.chosen.plan.positive)
    return summary(calls, "r", judged, images, [calls.of_patient(one, images) for one in patients])


def test_the_summary_counts_and_names_the_run_and_its_threshold(tmp_path: Path) -> None:
    calibrated, called, referred, sets = told(read_calls(run_with(tmp_path, evaluation())), images_of(UNKNOWN))
    assert calibrated.startswith("Probabilities shown are calibrated by run r (temperature 2.00)")
    assert called.startswith(
        "Called positive ('ill'): 2 of 3 images. Run r: The threshold, 0.300, was chosen on the valid"
    )
    assert referred.startswith(
        "Referred to a person: 1 of 3 images. Run r: those whose most probable class has less than 0.7"
    )
    assert "2 of one class, 1 of several, 0 empty" in sets
    of_patients = evaluation(point={"unit": "patient", "threshold": 0.5})
    called = told(read_calls(run_with(tmp_path, of_patients)), images_of(UNKNOWN, "AA-"))[1]
    assert called.startswith(
        "Called positive ('ill'): 1 of 1 patient and 0 of 1 picture of nobody known, each as a patient with one image."
    )


@pytest.mark.parametrize(
    ("judged", "words"),
    [
        (None, "No calibrated probabilities, calls, sets of classes and referral: the run holds no evaluation.json"),
        ({"class_names": ["healthy", "ill"]}, "judged by a version that chose nothing of this kind (run r)."),
        (
            evaluation(calibration={"reason": "no validation split"}),
            "No calibrated probabilities: no validation split (run",
        ),
        (evaluation(point={"threshold": None, "reason": "No image is 'ill'."}), "No calls: No image is 'ill' (run r)."),
    ],
)
def test_what_was_not_chosen_is_left_empty_and_said(tmp_path: Path, judged: dict[str, Any] | None, words: str) -> None:
    calls, images = read_calls(run_with(tmp_path, judged)), images_of(UNKNOWN, "AAA")
    rows, (patient,) = rows_of(calls, images)
    for row in [*rows, patient]:
        assert (row["called"], row["threshold"]) == (None, None)
    if calls.chosen.calibrator is None:
        assert {value for row in [*rows, patient] for value in row.values()} == {None}
    assert words in " ".join(told(calls, images))


@pytest.mark.parametrize(
    "broken",
    [
        {"calibration": {"choice": {"calibrator": CALIBRATION | {"temperature": -1}}}},
        {"decisions": {"positive": "ill", "chosen": POINT | {"threshold": "high"}, "compared": []}},
        {"referral": {"rule": {"aim": "risk"}}},
    ],
)
def test_damaged_choices_are_refused_with_the_file(tmp_path: Path, broken: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"evaluation.json cannot be understood"):
        read_calls(run_with(tmp_path, evaluation(**broken)))


def test_what_sets_held_on_the_test_split_is_told_with_what_they_promise(tmp_path: Path) -> None:
    judged = {"coverage": {"value": 0.72, "low": 0.66, "high": 0.78, "reason": None}}
    calls = read_calls(run_with(tmp_path, evaluation(conformal={"rule": SETS, "judged": judged})))
    new = images_of(UNKNOWN)
    said = " ".join(summary(calls, "r", new, calls.of_images(new), [])).replace("\u00a0", " ")
    assert (
        "should hold the right one in 90 % of images like those of the run (on its test split 72 % (66 % to 78 %)):"
        in said
    )
