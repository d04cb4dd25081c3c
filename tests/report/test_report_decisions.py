"""Decisions on the page: pictures that read without color, sentences and tables with the right numbers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from scanlens.report.decision import decision_curve_chart, predictive_value_chart
from scanlens.report.decision_words import decision_sentences, prevalence_table, rule_table
from scanlens.report.thousand import thousand_picture


def metric(value: float | None, low: float | None = None, high: float | None = None, reason: str | None = None) -> Any:
    return {"value": value, "low": low, "high": high, "reason": reason}


RATES = {
    "true_positives": 94,
    "false_negatives": 6,
    "false_positives": 24,
    "true_negatives": 176,
    "sensitivity": metric(0.94, 0.852, 0.978),
    "specificity": metric(0.88, 0.84, 0.91),
    "ppv": metric(0.797),
    "npv": metric(0.967),
    "accuracy": metric(0.9),
}
THOUSAND = {
    "total": 1000,
    "prevalence": 0.1,
    "source": "stated",
    "ill": 100,
    "healthy": 900,
    "found": metric(94, 85, 98),
    "missed": metric(6, 2, 15),
    "false_alarms": metric(108, 81, 144),
    "reassured": metric(792, 756, 819),
}
CURVE = {
    "threshold": [0.1, 0.3, 0.5],
    "model": [metric(0.08, 0.05, 0.1), metric(0.05, 0.02, 0.08), metric(-0.01, -0.04, 0.02)],
    "treat_all": [0.0, -0.2857, -0.8],
    "prevalence": 0.1,
    "better": [[0.1, 0.3]],
    "surely_better": [[0.1, 0.3]],
}
DECISIONS: dict[str, Any] = {
    "positive": "tumor",
    "unit": "patient",
    "chosen": {
        "rule": {"name": "sensitivity", "target": 0.95},
        "threshold": 0.237,
        "reason": None,
        "notes": ["With 19 patients little is known."],
        "test": RATES,
    },
    "compared": [{"rule": {"name": "argmax"}, "threshold": None, "reason": None, "notes": [], "test": RATES}],
    "per_thousand": THOUSAND,
    "predictive_values": {
        "prevalence": [0.01, 0.015, 0.1],
        "ppv": [metric(0.0733, 0.05, 0.1), metric(0.1), metric(0.4653, 0.37, 0.55)],
        "npv": [metric(0.9993, 0.99, 1.0), metric(0.9), metric(0.9925, 0.98, 1.0)],
    },
    "decision_curve": CURVE,
}


def label(svg: str | None) -> str:
    assert svg is not None
    ElementTree.fromstring(svg)
    assert "style=" not in svg
    return ElementTree.fromstring(svg).attrib["aria-label"]


def test_the_operating_point_is_told_in_one_sentence() -> None:
    assert decision_sentences(DECISIONS) == [
        "At this threshold the network finds 94 of 100 'tumor' patients (85 to 98) and raises a false alarm in 12 of 100 "
        "others (9 to 16); of 1\u202f000 patients of whom 100 are 'tumor', 6 would be missed and 108 would be false alarms.",
        "The threshold, 0.237, was chosen on the validation split as the highest with a sensitivity of at least 0.95; the "
        "test split had no part in it.",
        "The prevalence of 10.0\u00a0% was stated, not measured.",
        "For those who would act at a probability of 0.10 to 0.30, acting on the network does more good than acting on "
        "everybody or on nobody.",
        "With 19 patients little is known.",
    ]


def test_a_threshold_between_two_scores_is_told_with_them() -> None:
    chosen = DECISIONS["chosen"] | {"gap": [0.1801, 0.304]}
    assert decision_sentences(DECISIONS | {"chosen": chosen})[1] == (
        "The threshold, 0.237, was chosen on the validation split for a sensitivity of at least 0.95: half way, by log odds, "
        "from the last score that has to be called, 0.304, to the next lower one, 0.180. The test split had no part in it."
    )


def test_without_an_operating_point_the_reason_stands_alone() -> None:
    chosen = {"rule": {"name": "youden"}, "threshold": None, "reason": "No patient is 'tumor'.", "test": None}
    assert decision_sentences(DECISIONS | {"chosen": chosen}) == ["No patient is 'tumor'."]
    assert decision_sentences({}) == ["Which threshold to use was not assessed."]


def test_nearly_all_is_not_said_to_be_all() -> None:
    rates = RATES | {"sensitivity": metric(0.998, 0.99, 1.0)}
    told = decision_sentences(DECISIONS | {"chosen": DECISIONS["chosen"] | {"test": rates}})
    assert "finds more than 99 of 100 'tumor' patients (99 to 100)" in told[0]


def test_a_missing_class_is_told() -> None:
    rates = RATES | {"specificity": metric(None, reason="not defined: every patient is 'tumor'")}
    told = decision_sentences(DECISIONS | {"chosen": DECISIONS["chosen"] | {"test": rates}, "per_thousand": None})
    assert told[0].endswith("not assessed: specificity is not defined: every patient is 'tumor'.")


@pytest.mark.parametrize(
    ("sure", "likely", "words"),
    [
        (
            [],
            [[0.1, 0.2], [0.4, 0.5]],
            "0.10 to 0.20 and 0.40 to 0.50, acting on the network does more good than acting on everybody or on nobody, but not beyond what chance explains.",
        ),
        ([], [], "At no threshold does acting on the network do more good"),
    ],
)
def test_doubtful_and_missing_benefit_are_told(sure: list[Any], likely: list[Any], words: str) -> None:
    told = decision_sentences(DECISIONS | {"decision_curve": CURVE | {"surely_better": sure, "better": likely}})
    assert words in told[3]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            {"name": "cost", "false_negative": 20.0, "false_positive": 2.0, "prevalence": 0.1},
            "a miss counting 10 false alarms",
        ),
        ({"name": "youden"}, "the largest sum of sensitivity and specificity"),
        ({"name": "argmax"}, "a patient is called what is most probable, whatever a miss costs"),
    ],
)
def test_every_rule_is_told(rule: dict[str, Any], words: str) -> None:
    assert words in decision_sentences(DECISIONS | {"chosen": DECISIONS["chosen"] | {"rule": rule}})[1]


def test_the_prevalence_of_the_test_split_is_marked_as_such() -> None:
    told = decision_sentences(DECISIONS | {"per_thousand": THOUSAND | {"source": "test split"}})
    assert "is that of the test split, seldom that of practice" in told[2]


def test_rules_stand_beside_each_other() -> None:
    first, second = rule_table(DECISIONS)
    assert (first["name"], first["threshold"], first["is_chosen"]) == ("target sensitivity 0.95", "0.237", True)
    assert (first["missed"], first["false_alarms"]) == ("6 of 100", "24 of 200")
    assert first["cells"][0] == {"value": "0.94", "interval": "0.85 to 0.98", "reason": "", "remark": ""}
    assert (second["name"], second["threshold"], second["is_chosen"]) == ("most probable class", "–", False)
    refused = rule_table({"chosen": {"rule": {"name": "cost"}, "threshold": None, "reason": "Because.", "test": None}})[
        0
    ]
    assert (refused["threshold"], refused["missed"], refused["reason"]) == ("not assessed", "not assessed", "Because.")


def test_predictive_values_are_tabled_at_round_prevalences() -> None:
    rows = prevalence_table(DECISIONS)
    assert [(row["prevalence"], row["ppv"]["value"]) for row in rows] == [("1\u00a0%", "0.073"), ("10\u00a0%", "0.465")]
    assert prevalence_table({"predictive_values": None}) == []


def test_the_thousand_are_drawn_one_by_one_in_four_shapes() -> None:
    svg = thousand_picture(THOUSAND, positive="tumor", unit="patient")
    assert label(svg) == (
        "Of 1\u202f000 patients: 6 (2 to 15) missed: 'tumor' and not called so; 94 (85 to 98) found: 'tumor' and called so; "
        "108 (81 to 144) false alarms: called 'tumor' and not so; 792 (756 to 819) rightly left alone"
    )
    drawn = dict(re.findall(r'<path class="(\w+)" d="([^"]*)"', str(svg)))
    assert {key: path.count("M") for key, path in drawn.items()} == {
        "missed": 6,
        "found": 94,
        "false_alarms": 108,
        "reassured": 792,
    }
    shapes = {re.sub(r"^M\d+ \d+", "", path.split("M")[1]) for path in drawn.values()}
    assert len(shapes) == 4
    places = re.findall(r"M(\d+ \d+)", " ".join(drawn.values()))
    assert len(set(places)) == 1000


def test_counts_that_do_not_add_up_are_not_drawn() -> None:
    assert thousand_picture(THOUSAND | {"missed": metric(7)}, positive="tumor", unit="patient") is None
    assert thousand_picture({}, positive="tumor", unit="patient") is None


def test_a_class_name_cannot_break_the_picture() -> None:
    assert "'<b>&'" in label(thousand_picture(THOUSAND, positive="<b>&", unit="image"))


def test_the_decision_curve_names_its_values_and_lines() -> None:
    svg = decision_curve_chart(CURVE, threshold=0.237)
    assert label(svg) == (
        "Decision curve of the test split, net benefit: at 0.10 network 0.080, all 0.000; at 0.30 network 0.050, all "
        "-0.286; at 0.50 network -0.010, all -0.800"
    )
    for text in ("network", "act on all", "act on nobody", "operating point"):
        assert f">{text}</text>" in str(svg)
    assert "operating point" not in str(decision_curve_chart(CURVE))


def test_predictive_values_are_drawn_by_prevalence() -> None:
    svg = predictive_value_chart(DECISIONS["predictive_values"], marked=0.1)
    assert label(svg) == (
        "Predictive values by prevalence: at 1\u00a0% PPV 0.07, NPV > 0.99; at 10\u00a0% PPV 0.47, NPV 0.99"
    )
    assert ">prevalence in use</text>" in str(svg)


def test_without_numbers_there_is_no_chart() -> None:
    nothing = [metric(None, reason="one class")] * 3
    assert decision_curve_chart(CURVE | {"model": nothing}) is None
    assert decision_curve_chart(CURVE | {"treat_all": []}) is None
    assert decision_curve_chart({}) is None
    assert predictive_value_chart({}) is None
    assert predictive_value_chart({"prevalence": [0.1, 0.2, 0.3], "ppv": nothing, "npv": nothing}) is None
    assert predictive_value_chart({"prevalence": [0.1], "ppv": nothing, "npv": nothing}) is None


def test_gaps_in_the_band_leave_the_line() -> None:
    model = [metric(0.08), metric(0.05, 0.02, 0.08), metric(None, reason="x")]
    assert "network not assessed" in label(decision_curve_chart(CURVE | {"model": model}))
