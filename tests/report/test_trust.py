"""Calibration, sets and referral on the page: what charts show and sentences say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from scanlens.report.referral_charts import conformal_chart, risk_coverage_chart, set_size_chart
from scanlens.report.reliability_chart import reliability_diagram
from scanlens.report.trust_sentences import calibration_sentences, conformal_sentences, referral_sentences


def entry(value: float | None, low: float | None = None, high: float | None = None, reason: str | None = None) -> dict:
    return {"value": value, "low": low, "high": high, "reason": reason}


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def measures(*points: tuple[float, float], ece: float = 0.2) -> dict:
    bins = [
        {"stated": x, "observed": y, "low": y - 0.1, "high": None if y == 1 else y + 0.1, "chance_low": x - 0.05,
         "chance_high": x + 0.05, "num_images": 20, "num_patients": 5}
        for x, y in points
    ]  # fmt: skip
    return {"curve": bins, "stated": [0] * 10 + [4] * 10, "ece": ece, "ece_by_chance_high": 0.1}


CHANGE = {
    "before": measures((0.7, 0.5), (0.95, 0.6)),
    "after": measures((0.6, 0.5), (0.8, 0.6), ece=0.05),
    "gain": {"log_loss": entry(0.2, 0.1, 0.3)},
    "num_changed": 0,
}
JUDGED = {
    "coverage": entry(0.8, 0.7, 0.88),
    "mean_size": entry(1.25),
    "single": entry(0.7),
    "empty": entry(0.05),
    "sizes": [5, 70, 25],
    "per_class": {"a": {"coverage": entry(0.95, 0.9, 1)}, "b": {"coverage": entry(0.5, 0.4, 0.6)}, "c": {}},
}
CURVE = {"coverage": [0.5, 1.0], "risk": [0.1, 0.3], "error_rate": 0.3, "aurc": entry(0.15), "excess_aurc": entry(0.1)}
OUTCOME = {
    "referred": entry(0.25),
    "accuracy": entry(0.7),
    "accuracy_answered": entry(0.92, 0.85, 0.96),
    "num": {"images": 100, "answered": 75, "referred": 25, "errors_answered": 6, "errors_referred": 24},
}


def label(svg: str | None) -> str:
    assert svg is not None
    ElementTree.fromstring(svg)
    assert " style=" not in svg
    found = re.search(r'aria-label="([^"]*)"', svg)
    assert found is not None
    return plain(found.group(1))


def test_the_reliability_diagram_shows_both_curves() -> None:
    svg = reliability_diagram(CHANGE)
    assert label(svg) == (
        "Reliability of the probability of the predicted class; as stated: stated 0.70 right 0.50, stated 0.95 right 0.60; "
        "calibrated: stated 0.60 right 0.50, stated 0.80 right 0.60"
    )
    assert reliability_diagram(CHANGE) == svg


def test_without_change_there_is_one_curve_and_a_bin_without_interval_is_drawn() -> None:
    same = {"before": measures((0.7, 1.0)), "after": measures((0.7, 1.0))}
    assert label(reliability_diagram(same)).endswith("as stated: stated 0.70 right 1.00")


def test_without_numbers_there_is_no_chart_and_no_sentence() -> None:
    assert reliability_diagram({}) is None
    assert reliability_diagram({"before": {"curve": [{"stated": None, "observed": 1}]}}) is None
    assert risk_coverage_chart({}) is None
    assert risk_coverage_chart({"coverage": [1], "risk": [None], "error_rate": 0.1}) is None
    assert conformal_chart({}, promised=0.9) is None
    assert set_size_chart({"sizes": [0, 0]}) is None
    assert conformal_sentences({}, {}) == []
    assert referral_sentences({}, {}) == []


def test_the_risk_curve_shows_where_the_rule_lies() -> None:
    assert label(risk_coverage_chart(CURVE, OUTCOME)) == (
        "Errors by share answered: 30.0 % if all are answered; area 0.150; by the rule 8.0 % of 75 %"
    )
    assert label(risk_coverage_chart(CURVE)).endswith("area 0.150")


def test_coverage_and_sizes_of_sets_are_shown() -> None:
    assert label(conformal_chart(JUDGED, promised=0.9)).endswith("all images 0.80, a 0.95, b 0.50")
    assert label(set_size_chart(JUDGED)) == "Images by number of classes in their set: 0: 5, 1: 70, 2: 25"


def test_calibration_is_told_with_its_gain() -> None:
    calibrator = {"method": "temperature", "temperature": 2.0, "temperature_low": 1.5, "temperature_high": 2.6}
    assert calibration_sentences({"calibrator": calibrator}, CHANGE) == [
        "Probabilities are calibrated by one temperature of 2.00 (1.50 to 2.60): the network is too sure.",
        "On test, as stated, stated and observed shares differ by 0.200 on average, more than chance explains (up to 0.100).",
        "On test, after calibration, stated and observed shares differ by 0.050 on average, no more than chance explains "
        "(up to 0.100).",
        "Calibration lowers the log loss on test by 0.200 (gain 0.100 to 0.300).",
    ]


def test_a_gain_that_may_be_none_is_not_claimed() -> None:
    unsure = {**CHANGE, "gain": {"log_loss": entry(0.1, -0.1, 0.3)}, "num_changed": 2}
    told = calibration_sentences({"calibrator": {"method": "isotonic", "reason": "as asked"}}, unsure)
    assert told[0] == "Probabilities are calibrated by a rising curve for each class (as asked)."
    assert told[-2].startswith("Whether calibration helps cannot be told")
    assert told[-1] == "Calibration changes the predicted class of 2 images."


def test_without_calibration_its_reason_is_told_and_no_gain() -> None:
    told = calibration_sentences({"calibrator": {"method": "none", "reason": "hardly any error"}}, CHANGE)
    assert told[0] == "Probabilities are left as the network states them (hardly any error)."
    assert len(told) == 2


def test_a_promise_that_is_not_kept_is_said() -> None:
    told = conformal_sentences({"coverage": 0.9, "notes": ["Every set holds 'c'."]}, JUDGED)
    assert list(map(plain, told)) == [
        "A set of classes should hold the right one for 90 % of images of new patients; on test it did for 80.0 % "
        "(70 % to 88 %).",
        "The promise is not kept: test images differ from those of validation, or validation taught the network.",
        "A set has 1.25 classes on average; 70 % of images have a single class, 5 % none.",
        "The right class is in the set less often than that for 'b' (50 %).",
        "Every set holds 'c'.",
    ]


def test_referral_is_told_with_what_it_misses() -> None:
    rule = {"aim": "risk", "target": 0.05, "threshold": 0.8, "reason": None}
    assert list(map(plain, referral_sentences(rule, OUTCOME, CURVE))) == [
        "For at most 5.0 % errors among the answered, images with a stated probability below 0.800 go to a person.",
        "On test 25 % of images are referred; of the others 92.0 % (85 % to 96 %) are right, against 70.0 % of all.",
        "Among the referred are 24 of the network's 30 errors.",
        "That is more errors than the 5.0 % aimed at: the threshold does not carry over to test.",
        "Ordered by confidence, errors among the answered average 0.150 over all shares answered, 0.100 more than if all "
        "errors came last.",
    ]
    nothing = {"aim": "risk", "target": 0.05, "threshold": None, "reason": "too few patients"}
    assert list(map(plain, referral_sentences(nothing, {}))) == [
        "No threshold on validation gives at most 5.0 % errors among the answered: too few patients."
    ]
