"""Readers: shares counted by hand, patients in the intervals, and what seeing the output changed."""

from __future__ import annotations

from typing import Any

import pytest

from scanlens.evaluation.intervals import wilson
from scanlens.evaluation.readers import Reading, final_class, judge_readings

NAMES = ["glioma", "pituitary", "no_tumor"]


def reading(number: int = 0, **changes: Any) -> Reading:
    usual: dict[str, Any] = {
        "case": f"test-{number:05d}", "reader": "ab", "answer": "agree", "reading": None, "is_before": False, "predicted": "glioma",
        "target": "glioma", "patient": f"p{number}",
    }  # fmt: skip
    return Reading(**usual | changes)


def test_shares_are_those_of_a_count_by_hand_with_wilsons_interval_over_patients() -> None:
    answers = ["agree"] * 6 + ["disagree"] * 2 + ["cannot tell"] * 2
    found = judge_readings([reading(n, answer=one) for n, one in enumerate(answers)], NAMES)
    assert found["answers"] == {"agree": 6, "disagree": 2, "cannot tell": 2}
    low, high = wilson(6, 8)
    assert found["agreement"] == {"value": 0.75, "low": low, "high": high, "reason": None, "num": 8}
    assert found["cannot_tell"]["value"] == 0.2
    assert (found["num_cases"], found["num_patients"], found["unit"]) == (10, 10, "patients")


def test_five_readers_of_one_case_are_no_five_patients() -> None:
    one_patient = [reading(0, reader=name, answer="agree") for name in "abcde"]
    found = judge_readings([*one_patient, *(reading(n, answer="disagree") for n in (1, 2))], NAMES)
    alone = judge_readings([*(reading(n) for n in range(5)), *(reading(n, answer="disagree") for n in (5, 6))], NAMES)
    assert found["num_readers"] == 6
    assert found["agreement"]["value"] == alone["agreement"]["value"] == 5 / 7
    assert (
        found["agreement"]["high"] - found["agreement"]["low"] > alone["agreement"]["high"] - alone["agreement"]["low"]
    )


def test_readings_of_one_patient_have_no_interval() -> None:
    found = judge_readings([reading(0, reader="a"), reading(0, reader="b", answer="disagree")], NAMES)
    assert found["agreement"]["low"] is None
    assert "one patient" in found["agreement"]["reason"]


def test_near_duplicates_stand_for_patients_that_are_unknown() -> None:
    found = judge_readings([reading(n, patient=None, group=f"g{n // 2}") for n in range(4)], NAMES)
    assert (found["num_patients"], found["unit"]) == (2, "groups of near-duplicate images")


@pytest.mark.parametrize(
    ("answer", "given", "names", "expected"),
    [
        ("agree", "pituitary", NAMES, "glioma"),
        ("cannot tell", "pituitary", NAMES, None),
        ("disagree", "pituitary", NAMES, "pituitary"),
        ("disagree", "glioma", NAMES, None),
        ("disagree", None, ["glioma", "no_tumor"], "no_tumor"),
    ],
)
def test_the_class_that_a_reader_ends_with(
    answer: Any, given: str | None, names: list[str], expected: str | None
) -> None:
    assert final_class(reading(answer=answer, reading=given), names) == expected


def test_rightness_counts_only_what_can_be_known() -> None:
    found = judge_readings(
        [
            reading(0),  # right
            reading(1, target="pituitary"),  # agrees with a wrong answer
            reading(2, answer="disagree"),  # with a right answer, and names no class: left out like the next one
            reading(3, answer="disagree", target="pituitary"),  # may have meant no_tumor: unknown
            reading(4, answer="disagree", target="pituitary", reading="pituitary"),  # right
            reading(5, answer="cannot tell"),
            reading(6, target=None),
        ],
        NAMES,
    )
    assert (found["right"]["num"], found["right"]["value"]) == (3, 2 / 3)
    assert (found["network_right"]["num"], found["network_right"]["value"]) == (3, 1 / 3)


def test_before_and_after_are_of_the_same_readings() -> None:
    found = judge_readings(
        [
            reading(0, is_before=True, reading="pituitary"),  # wrong, then right
            reading(1, is_before=True, reading="pituitary", target="pituitary"),  # right, then swayed
            reading(2, is_before=True, reading="glioma"),
            reading(3, is_before=True, reading=None),
            reading(4),
        ],
        NAMES,
    )["before_reveal"]
    counts = {name: value for name, value in found.items() if name.startswith("num_")}
    assert counts == {
        "num_readings": 4, "num_cannot_tell_before": 1, "num_pairs": 3, "num_changed": 2, "num_wrong_to_right": 1, "num_right_to_wrong": 1,
    }  # fmt: skip
    assert (found["agreement_before"]["value"], found["agreement_after"]["value"]) == (1 / 3, 1.0)
    assert found["right_before"]["value"] == found["right_after"]["value"] == 2 / 3
    assert judge_readings([reading(0)], NAMES)["before_reveal"] is None


def test_without_readings_nothing_is_judged() -> None:
    with pytest.raises(ValueError, match="at least one"):
        judge_readings([], NAMES)
