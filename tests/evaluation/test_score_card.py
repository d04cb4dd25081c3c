"""Numbers with intervals over patients, and verdicts that follow from them by rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from scanlens.evaluation.explanations import score_card as rules
from scanlens.evaluation.explanations.numbers import Number, Whose, kept_number, mean_number, ratio_number, share_number
from scanlens.evaluation.intervals import wilson


def people(num: int, images_each: int = 1) -> Whose:
    names = [f"p{n // images_each}" for n in range(num)]
    return Whose(tuple(names), (None,) * num)


def number(value: float, low: float | None, high: float | None, units: int = 30) -> Number:
    return {"value": value, "low": low, "high": high, "reason": None, "num_images": units, "num_units": units}


def test_a_mean_has_students_interval_between_patients_and_leaves_out_what_is_not_defined() -> None:
    values = [1.0, 2.0, 4.0, 5.0, None]
    found = mean_number(values, people(5))
    half = t.ppf(0.975, 3) * np.std([1, 2, 4, 5], ddof=1) / 2
    assert (found["value"], found["num_images"], found["num_units"]) == (3.0, 4, 4)
    assert (found["low"], found["high"]) == pytest.approx((3 - half, 3 + half))


def test_images_of_one_patient_count_as_one() -> None:
    values = [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.2, 0.2, 0.2]
    wide, narrow = mean_number(values, people(9, images_each=3)), mean_number(values, people(9))
    assert wide["num_units"] == 3
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_the_same_value_for_everybody_is_beyond_doubt() -> None:
    found = mean_number([1.0] * 6, people(6))
    assert (found["low"], found["high"], found["reason"]) == (1.0, 1.0, "all images give the same value")
    assert mean_number([1.0] * 6, people(6, images_each=6))["low"] is None
    assert mean_number([None], people(1), absent="no map")["reason"] == "no map"


def test_a_share_has_wilsons_interval() -> None:
    found = share_number([1.0] * 7 + [0.0] * 3, people(10))
    assert (found["low"], found["high"]) == pytest.approx(wilson(7, 10))


def test_a_distance_never_goes_below_zero() -> None:
    found = mean_number([0.0, 0.0, 0.0, 0.0, 5.0], people(5), is_distance=True)
    assert 0 < found["low"] < 1 < found["high"]


def test_a_ratio_is_of_means_and_its_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    below = rng.uniform(0.5, 1.5, 200)
    above = 3 * below + rng.normal(0, 0.3, 200)
    found = ratio_number(above.tolist(), below.tolist(), people(200), seed=1)
    assert found["value"] == pytest.approx(above.mean() / below.mean())
    assert found["low"] < 3 < found["high"]
    assert found["high"] - found["low"] < 0.2
    assert ratio_number([1.0, 2.0], [0.0, 0.0], people(2), seed=1)["value"] is None


def test_what_is_kept_is_one_for_an_unchanged_map_and_nothing_at_the_floor() -> None:
    floor = [0.2, 0.4, 0.3, 0.5, 0.1, 0.3]
    same = kept_number([1.0] * 6, floor, people(6), seed=1)
    assert (same["value"], same["low"], same["high"]) == pytest.approx((1.0, 1.0, 1.0))
    half = kept_number([0.65] * 6, [0.3] * 6, people(6), seed=1)
    assert half["value"] == pytest.approx(0.5)
    assert kept_number([0.05] * 6, floor, people(6), seed=1)["value"] == 0


def test_a_map_that_ignores_the_weights_fails_and_one_that_falls_to_the_floor_passes() -> None:
    floor = number(0.9, 0.88, 0.92)
    assert rules.randomization(number(1, 1, 1), floor, number(1, 1, 1)).status == "FAIL"
    assert rules.randomization(number(1, 1, 1, units=2), floor, number(1, 1, 1, units=2)).status == "FAIL"
    passed = rules.randomization(number(0.3, 0.2, 0.4), number(0.4, 0.3, 0.5), number(0, 0, 0))
    assert passed.status == "PASS"
    assert "rank correlation of 0.30 with what it was, and maps of different images have 0.40" in passed.reason
    unsure = rules.randomization(number(0.6, 0.4, 0.7), number(0.4, 0.3, 0.5), number(0.3, 0.1, 0.5))
    assert unsure.status == "NOT ASSESSED"
    few = rules.randomization(number(0.3, 0.2, 0.4, units=3), floor, number(0, -0.1, 0.1, units=3))
    assert (few.status, few.reason[:12]) == ("NOT ASSESSED", "Only 3 patie")


def test_maps_that_are_the_same_for_all_images_fail_whatever_is_kept() -> None:
    found = rules.randomization(number(1, 1, 1), number(1, 1, 1), number(1, None, None))
    assert found.status == "FAIL"
    assert "tell nothing of an image" in found.reason


def test_blank_maps_fail_if_they_are_most() -> None:
    assert rules.too_blank(5, 10) is None
    blank = rules.too_blank(6, 10)
    assert blank is not None
    assert rules.randomization(number(0, 0, 0), number(0.4, 0.3, 0.5), number(0, 0, 0), blank=blank).status == "FAIL"


@pytest.mark.parametrize(
    "advantage, status",
    [
        (number(2, 0.5, 3.5), "PASS"),
        (number(-1, -2, -0.1), "FAIL"),
        (number(0.1, -0.5, 0.7, units=30), "FAIL"),  # with so many patients it must be shown
        (number(0.1, -0.5, 0.7, units=8), "NOT ASSESSED"),
        (number(0, 0, 0), "FAIL"),  # blank maps: credited with nothing
    ],
)
def test_what_a_map_marks_must_matter_more_than_the_same_shapes_elsewhere(advantage: Number, status: str) -> None:
    assert rules.removal(advantage, {}).status == status


def test_a_control_that_takes_as_much_is_named_but_does_not_decide() -> None:
    against = {"Edges": number(-1, -2, 0.5), "Random map": number(2, 1, 3)}
    found = rules.removal(number(2, 0.5, 3.5), against)
    assert found.status == "PASS"
    assert found.reason.endswith("Not surely more than without what a control marks: edges.")


def test_fidelity_needs_randomization_and_deletion_and_fails_with_either() -> None:
    good, bad = rules.Verdict("PASS", "Good."), rules.Verdict("FAIL", "Bad.")
    silent = rules.not_assessed("silent.")
    assert rules.fidelity({"randomization": good, "removal": good, "labels": silent}).status == "PASS"
    assert rules.fidelity({"randomization": bad, "removal": good}) == bad
    assert rules.fidelity({"randomization": good, "removal": good, "labels": bad}).status == "FAIL"
    found = rules.fidelity({"randomization": good, "removal": silent, "labels": silent})
    assert (found.status, found.reason) == ("NOT ASSESSED", "Silent.")


def test_an_input_only_map_fails_fidelity_however_well_it_points() -> None:
    points = rules.plausibility(number(0.95, 0.9, 0.99), number(0.9, 0.85, 0.95), {}, tolerance="2 px")
    unchanged = rules.randomization(number(1, 1, 1), number(0.8, 0.7, 0.9), number(1, 1, 1))
    takes = rules.removal(number(5, 4, 6), {})
    assert points.status == "PASS"
    assert rules.fidelity({"randomization": unchanged, "removal": takes}).status == "FAIL"


@pytest.mark.parametrize(
    "hits, excess, edges, status",
    [
        ((0.8, 0.6, 0.9), (0.7, 0.5, 0.8), (0.3, 0.1, 0.5), "PASS"),
        ((0.3, 0.2, 0.45), (0.2, 0.1, 0.35), (0.1, -0.1, 0.3), "FAIL"),  # surely fewer than half
        ((0.6, 0.3, 0.8), (0.5, 0.2, 0.7), (0.1, -0.1, 0.3), "NOT ASSESSED"),
        ((0.8, 0.6, 0.9), (0.7, 0.5, 0.8), (-0.2, -0.3, -0.1), "FAIL"),  # a control surely does better
        ((0.6, 0.5, 0.7), (-0.1, -0.2, 0.0), (0.3, 0.1, 0.5), "FAIL"),  # chance would hit as often
    ],
)
def test_plausibility_is_hits_beside_chance_and_controls(
    hits: tuple[float, float, float], excess: tuple[float, float, float], edges: tuple[float, float, float], status: str
) -> None:
    found = rules.plausibility(number(*hits), number(*excess), {"Edges": number(*edges)}, tolerance="2 px")
    assert found.status == status


def test_a_stable_map_that_is_the_same_for_every_image_is_not_consistent() -> None:
    assert rules.consistency(number(0.95, 0.9, 0.98), number(0.5, 0.4, 0.6)).status == "PASS"
    assert rules.consistency(number(1, 1, 1), number(0, 0, 0)).status == "FAIL"
    assert rules.consistency(number(0.3, 0.2, 0.4), number(0.2, 0.1, 0.3)).status == "FAIL"
    assert rules.consistency(number(0.7, 0.6, 0.8), number(0.2, 0.1, 0.3)).status == "NOT ASSESSED"


def test_completeness_follows_its_interval() -> None:
    assert rules.completeness(number(0.01, 0.0, 0.02)).status == "PASS"
    assert rules.completeness(number(0.3, 0.2, 0.4)).status == "FAIL"


def test_usefulness_is_never_assessed_without_readers_and_has_its_numbers_beside_it() -> None:
    known = {"value": 0.7, "low": 0.6, "high": 0.8, "num_images": 50, "says": "It goes with correctness."}
    unknown = {"value": None, "low": None, "high": None, "num_images": 9, "says": "Not assessed."}
    found = rules.usefulness([known, unknown], note="None.")
    assert found.status == rules.usefulness([], note="None.").status == "NOT ASSESSED"
    assert found.reason == (
        "No readers: whether maps help them takes a reader study. It goes with correctness. AUROC 0.70 (0.60 to 0.80), "
        "n = 50. Not assessed."
    )
    assert rules.usefulness([], note="None.").reason.endswith("study. None.")


def test_every_heading_has_a_rule_in_words_with_its_limits() -> None:
    assert set(rules.RULES) == set(rules.HEADINGS)
    assert str(rules.WANTED_LIKENESS) in rules.RULES["consistency"]
    assert "50%" in rules.RULES["plausibility"]
    assert "25%" in rules.RULES["fidelity"]
    assert math.isclose(rules.MOST_KEPT, 0.25)
