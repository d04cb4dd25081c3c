"""Risk against coverage, and referral: areas in closed form, copies as weights, thresholds by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.special import softmax

from fakes.planted import drawn, patients_of, singles
from scanlens.errors import RunError
from scanlens.evaluation.referral import Referral, judge_referral, referral_for_risk, referral_for_share
from scanlens.evaluation.resampling import group_patients
from scanlens.evaluation.selective import RiskCoverage, risk_coverage


def answers(confidence: list[float], is_right: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of two classes with this confidence in the first; the target is another one where it is wrong."""
    stated = np.array(confidence)
    return np.stack([stated, 1 - stated], axis=1), np.where(is_right, 0, 1)


def curve_of(confidence: list[float], is_right: list[bool], **settings) -> RiskCoverage:
    stated_NK, target_N = answers(confidence, is_right)
    return risk_coverage(stated_NK, target_N, groups=singles(target_N), **{"seed": 0, "num_resamples": 0, **settings})


def test_errors_that_come_last_have_the_ideal_area() -> None:
    found = curve_of([0.9, 0.8, 0.7, 0.6], [True, True, True, False])
    assert found.aurc["value"] == pytest.approx(0.25 + 0.75 * math.log(0.75))
    assert found.excess["value"] == pytest.approx(0, abs=1e-12)
    assert (found.coverage, found.risk) == ([0.25, 0.5, 0.75, 1.0], [0, 0, 0, 0.25])


def test_an_error_that_comes_first_has_the_area_computed_by_hand() -> None:
    """Risk is 1 up to a quarter, then 1/(4c): area 1/4 + ln(4)/4."""
    found = curve_of([0.9, 0.8, 0.7, 0.6], [False, True, True, True])
    assert found.aurc["value"] == pytest.approx((1 + math.log(4)) / 4)


def test_a_confidence_that_is_the_same_for_all_has_the_error_rate_as_area() -> None:
    found = curve_of([0.8] * 10, [True] * 7 + [False] * 3)
    assert found.aurc["value"] == pytest.approx(0.3)
    assert (found.coverage, found.risk) == ([1.0], [pytest.approx(0.3)])


def test_the_area_is_near_the_mean_of_risks_at_every_number_answered() -> None:
    logits_NK, target_N = drawn(2000)
    stated_NK = softmax(logits_NK, axis=1)
    wrong_N = (stated_NK.argmax(axis=1) != target_N)[np.argsort(-stated_NK.max(axis=1))]
    reference = (np.cumsum(wrong_N) / np.arange(1, 2001)).mean()
    found = risk_coverage(stated_NK, target_N, groups=singles(target_N), seed=0, num_resamples=200)
    assert found.aurc["value"] == pytest.approx(reference, abs=2e-3)
    assert found.aurc["low"] < reference < found.aurc["high"]


def test_the_order_of_rows_means_nothing_and_copies_change_nothing() -> None:
    confidence, is_right = [0.9, 0.9, 0.8, 0.7, 0.7, 0.6], [True, False, True, False, True, False]
    forward, backward = curve_of(confidence, is_right), curve_of(confidence[::-1], is_right[::-1])
    twice = curve_of(confidence * 2, is_right * 2)
    for other in (backward, twice):
        assert other.aurc["value"] == pytest.approx(forward.aurc["value"])
        assert other.risk == pytest.approx(forward.risk)


def test_no_errors_have_area_zero_and_a_reason_for_no_interval() -> None:
    found = curve_of([0.9, 0.8, 0.7], [True] * 3, num_resamples=100).as_dict()
    assert (found["aurc"]["value"], found["excess_aurc"]["value"], found["error_rate"]) == (0, 0, 0)
    assert found["aurc"]["low"] is None
    json.dumps(found, allow_nan=False)


def test_all_errors_have_area_one() -> None:
    found = curve_of([0.9, 0.8], [False, False])
    assert found.aurc["value"] == pytest.approx(1)
    assert found.excess["value"] == pytest.approx(0, abs=1e-12)


def test_a_single_patient_has_areas_without_interval() -> None:
    stated_NK, target_N = answers([0.9, 0.8, 0.7], [True, False, True])
    found = risk_coverage(stated_NK, target_N, groups=group_patients(["p"] * 3, target_N), seed=0, num_resamples=100)
    assert found.aurc["value"] is not None
    assert "at least two patients" in found.aurc["reason"]


def test_a_share_referred_is_never_more_than_was_asked() -> None:
    stated_NK, _ = answers([0.6, 0.7, 0.7, 0.7, 0.8, 0.9, 0.9, 0.95, 0.99, 1.0], [True] * 10)
    found = {share: referral_for_share(stated_NK, share=share) for share in (0.0, 0.1, 0.3, 0.4, 0.99, 1.0)}
    assert [one.share_referred for one in found.values()] == pytest.approx([0, 0.1, 0.1, 0.4, 0.9, 0.9])
    assert [int(one.refers(stated_NK).sum()) for one in found.values()] == [0, 1, 1, 4, 9, 9]


def test_a_risk_is_aimed_at_by_the_upper_end_of_its_interval() -> None:
    """60 right at 0.9, then 20 half right at 0.6: of 60 without error at most 4.3 % are wrong, of all 80 far more."""
    stated_NK, target_N = answers([0.9] * 60 + [0.6] * 20, [True] * 60 + [True, False] * 10)
    rule = referral_for_risk(stated_NK, target_N, groups=singles(target_N), risk=0.05)
    assert (rule.threshold, rule.share_referred, rule.reason) == (0.9, 0.25, None)
    everything = referral_for_risk(stated_NK, target_N, groups=singles(target_N), risk=0.25)
    assert (everything.threshold, everything.share_referred) == (0.6, 0.0)
    nothing = referral_for_risk(stated_NK, target_N, groups=singles(target_N), risk=0.04)
    assert (nothing.threshold, nothing.share_referred) == (None, 1.0)
    assert "(80 patients) is sure to have at most 4 % errors" in (nothing.reason or "")
    assert nothing.refers(stated_NK).all()


def test_images_of_few_patients_promise_less() -> None:
    stated_NK, target_N = answers([0.9] * 60, [True] * 60)
    assert referral_for_risk(stated_NK, target_N, groups=patients_of(target_N, 10), risk=0.05).threshold is None


def test_the_outcome_counts_who_is_referred_and_which_errors() -> None:
    stated_NK, target_N = answers([0.9, 0.9, 0.9, 0.6, 0.6], [True, True, False, False, True])
    rule = Referral("referred", 0.4, 0.7, 0.4)
    found = judge_referral(rule, stated_NK, target_N, class_names=["a", "b"], groups=singles(target_N)).as_dict()
    assert found["num"] == {"images": 5, "answered": 3, "referred": 2, "errors_answered": 1, "errors_referred": 1}
    shares = ("referred", "accuracy", "accuracy_answered", "accuracy_referred", "errors_caught")
    assert [found[key]["value"] for key in shares] == pytest.approx([0.4, 0.6, 2 / 3, 0.5, 0.5])
    assert found["referred_per_class"]["a"]["value"] == pytest.approx(1 / 3)
    json.dumps(found, allow_nan=False)


def test_an_outcome_without_errors_or_without_answers_has_reasons() -> None:
    stated_NK, target_N = answers([0.9, 0.8], [True, True])
    rule = Referral("risk", 0.05, None, 1.0, "too few")
    found = judge_referral(rule, stated_NK, target_N, class_names=["a", "b"], groups=singles(target_N))
    assert found.accuracy_answered["reason"] == "all images are referred"
    assert found.errors_caught["reason"] == "the network makes no error here"
    assert found.referred_per_class["b"]["reason"] == "nothing of class 'b' here"


@pytest.mark.parametrize("threshold", [0.7, None])
def test_a_rule_comes_back_from_json(threshold: float | None) -> None:
    rule = Referral("risk", 0.05, threshold, 0.3, None if threshold else "too few")
    assert Referral.from_dict(json.loads(json.dumps(rule.as_dict(), allow_nan=False))) == rule


@pytest.mark.parametrize("change", [{"aim": "x"}, {"target": 3}, {"threshold": float("nan")}, {"threshold": "low"}])
def test_a_file_that_is_no_rule_is_refused(change: dict) -> None:
    with pytest.raises(RunError, match="Judge the run again"):
        Referral.from_dict({**Referral("risk", 0.05, 0.7, 0.3).as_dict(), **change})


def test_mistakes_are_named() -> None:
    stated_NK, target_N = answers([0.9, float("nan")], [True, True])
    for call in (
        lambda: risk_coverage(stated_NK, target_N, groups=singles(target_N), seed=0),
        lambda: referral_for_risk(stated_NK, target_N, groups=singles(target_N), risk=0.1),
        lambda: referral_for_share(stated_NK, share=0.1),
    ):
        with pytest.raises(ValueError, match="row 1"):
            call()
    with pytest.raises(ValueError, match="share between 0 and 1, got 20"):
        referral_for_share(stated_NK[:1], share=20)
