"""The operating point: chosen on validation by hand-computed rules, applied to test with what it finds and misses."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_curve

from fakes.binary import CLASSES, patient_views, patients_of, predictions_of, view_of
from scanlens.evaluation.binary_view import BinaryView, Predictions, matching_views
from scanlens.evaluation.decisions import evaluate_decisions, exchange_threshold
from scanlens.evaluation.intervals import wilson
from scanlens.evaluation.likelihood import complement, ratio_of_shares
from scanlens.evaluation.operating_point import (
    OperatingPoint,
    apply_operating_point,
    choose_operating_point,
    rates_of,
)
from scanlens.evaluation.threshold_rules import (
    NOBODY,
    Argmax,
    ExpectedCost,
    Rule,
    TargetSensitivity,
    Youden,
    candidates,
    log_odds,
)

ILL = (0.9, 0.8, 0.8, 0.6, 0.3)
HEALTHY = (0.85, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.01)


def between(low: float, high: float) -> Any:
    """The middle of two probabilities by log odds: the square root of the product of their odds."""
    odds = math.sqrt(low / (1 - low) * high / (1 - high))
    return pytest.approx(odds / (1 + odds))


def chosen(view: BinaryView | None, rule: Rule) -> OperatingPoint:
    return choose_operating_point(view, rule, positive="tumor", unit="patient" if view is None else view.unit)


@pytest.mark.parametrize(
    ("target", "low", "high"),
    [
        (0.95, 0.2, 0.3), (1.0, 0.2, 0.3), (0.8, 0.5, 0.6), (0.61, 0.5, 0.6), (0.6, 0.6, 0.8), (0.4, 0.6, 0.8), (0.2, 0.85, 0.9)
    ],
)  # fmt: skip
def test_target_sensitivity_takes_the_middle_below_the_highest_score_that_reaches_it(
    target: float, low: float, high: float
) -> None:
    point = chosen(view_of(ILL, HEALTHY), TargetSensitivity(target))
    assert point.threshold == between(low, high)
    assert point.gap == (low, high)


def test_the_middle_is_that_of_log_odds() -> None:
    """Odds of 1 : 4 and 9 : 1 have the middle sqrt(9 / 4) = 3 : 2."""
    assert chosen(view_of([0.9], [0.2]), TargetSensitivity()).threshold == pytest.approx(0.6)


def test_the_middle_makes_the_same_calls_as_the_score_also_where_scores_are_0_or_1_or_neighbors() -> None:
    for ill, healthy in (([1.0], [0.0]), ([1.0], [1 - 1e-16]), ([1e-300], [0.0]), ([0.5], [math.nextafter(0.5, 0)])):
        view = view_of(ill, healthy)
        point = chosen(view, TargetSensitivity())
        assert point.calls(view).tolist() == [True, False]
        assert point.threshold is not None
        assert healthy[0] < point.threshold <= ill[0]


def test_equal_scores_are_called_together() -> None:
    point = chosen(view_of([0.7, 0.7, 0.7], [0.7, 0.1]), TargetSensitivity(0.5))
    assert point.gap == (0.1, 0.7)
    assert point.validation is not None
    assert (point.validation.true_positives, point.validation.false_positives) == (3, 1)
    assert point.calls(view_of([0.7, 0.3], [0.71, 0.7])).tolist() == [True, False, True, True]


def test_a_target_is_not_missed_by_rounding() -> None:
    # 0.07 * 100 is 7.000000000000001 in binary; the seventh score is enough
    assert chosen(view_of(np.linspace(1, 0.01, 100).tolist(), [0.0]), TargetSensitivity(0.07)).gap == pytest.approx(
        (0.93, 0.94)
    )


def test_threshold_never_rises_with_the_target() -> None:
    view, _ = patient_views(3, num_patients=60)
    thresholds = [chosen(view, TargetSensitivity(target)).threshold for target in np.linspace(0.02, 1, 50)]
    assert all(later <= earlier for earlier, later in pairwise(thresholds))
    assert len(set(thresholds)) > 10


def test_youden_takes_the_largest_sum_of_sensitivity_and_specificity() -> None:
    # at 0.6: 4 of 5 found, 1 of 10 alarmed: 0.7; at 0.8: 3 of 5 and 1 of 10: 0.5; at 0.3: 5 of 5 and 4 of 10: 0.6
    assert chosen(view_of(ILL, HEALTHY), Youden()).threshold == between(0.5, 0.6)


def test_youden_agrees_with_scikit_learn() -> None:
    for seed in range(20):
        view, _ = patient_views(seed, num_patients=40)
        false_rate, true_rate, thresholds = roc_curve(view.is_positive_U, view.score_U, drop_intermediate=False)
        gain = true_rate - false_rate
        best = thresholds[np.flatnonzero(gain > gain.max() - 1e-9)[-1]]
        gap = chosen(view, Youden()).gap
        assert gap is not None
        assert gap[1] == best


def test_of_equally_good_thresholds_the_lowest_is_taken() -> None:
    # at 0.9: 1/2 - 0; at 0.5: 2/2 - 1/2: both 0.5
    assert chosen(view_of([0.9, 0.5], [0.7, 0.1]), Youden()).gap == (0.1, 0.5)


@pytest.mark.parametrize(
    ("miss", "alarm", "prevalence", "called"),
    [
        (10, 1, 0.5, 0.3),  # 0.5 x 4/10 = 0.20; at 0.6: 0.5 x (10 x 1/5 + 1/10) = 1.05
        (1, 1, 0.5, 0.6),  # 0.5 x (1/5 + 1/10) = 0.15; at 0.3: 0.20; at 0.9: 0.5 x 4/5 = 0.40
        (1, 20, 0.5, 0.9),  # 0.40; at 0.8: 0.5 x (2/5 + 2) = 1.2
        (10, 1, 0.01, 0.9),  # 0.08; nobody: 0.10; at 0.6: 0.02 + 0.099; at 0.8: 0.04 + 0.099
    ],
)
def test_cost_takes_the_cheapest_threshold(miss: float, alarm: float, prevalence: float, called: float) -> None:
    gap = chosen(view_of(ILL, HEALTHY), ExpectedCost(miss, alarm, prevalence)).gap
    assert gap is not None
    assert gap[1] == called


def test_where_alarms_cost_most_nobody_is_called_and_a_note_says_so() -> None:
    view = view_of([0.5, 0.4], [0.9, 0.1])
    point = chosen(view, ExpectedCost(1, 100, 0.1))
    assert point.threshold == NOBODY > 1
    assert not point.calls(view).any()
    assert any("cheapest to call nobody" in note for note in point.notes)


def test_argmax_calls_what_is_most_probable_and_needs_no_validation() -> None:
    probabilities = [[0.4, 0.35, 0.25], [0.3, 0.36, 0.34], [0.2, 0.4, 0.4], [0.5, 0.5, 0.0]]
    test = Predictions(probabilities, [1, 1, 1, 1], [None] * 4)
    _, view, _ = matching_views(None, test, class_names=["a", "b", "c"], positive="b")
    point = chosen(None, Argmax())
    assert point.threshold is None
    assert replace(point, positive="b", unit="image").calls(view).tolist() == [False, True, True, False]


def test_a_class_absent_in_validation_gives_a_sentence_and_no_threshold() -> None:
    point = chosen(view_of([], HEALTHY), TargetSensitivity())
    assert point.threshold is None
    assert point.reason == (
        "No patient of the validation split is 'tumor', so that no threshold can be chosen; "
        "give the validation split some of that class."
    )
    applied = apply_operating_point(point, view_of(ILL, HEALTHY))
    assert applied.rates is None
    assert applied.as_dict()["reason"] == point.reason
    with pytest.raises(ValueError, match="no operating point to apply"):
        point.calls(view_of(ILL, HEALTHY))


def test_without_negatives_only_the_target_can_be_met() -> None:
    assert chosen(view_of(ILL, []), TargetSensitivity(0.8)).threshold == between(0.3, 0.6)
    for rule in (Youden(), ExpectedCost(10, 1, 0.1)):
        point = chosen(view_of(ILL, []), rule)
        assert point.threshold is None
        assert "false alarms cannot be counted" in str(point.reason)


def test_without_a_validation_split_the_reason_says_what_to_do() -> None:
    assert "no validation split" in str(chosen(None, Youden()).reason)


def test_equal_scores_of_all_are_told() -> None:
    point = chosen(view_of([0.5] * 4, [0.5] * 6), TargetSensitivity())
    assert (point.threshold, point.gap) == (0.5, None), "nothing lies lower"
    assert "The network gives every validation patient the same score: the threshold tells nobody apart." in point.notes


def test_few_positives_are_told_with_the_interval_of_wilson() -> None:
    point = chosen(view_of(np.linspace(0.5, 0.9, 19).tolist(), HEALTHY), TargetSensitivity(0.95))
    low, _ = wilson(19, 19)
    assert point.notes == (
        f"With 19 'tumor' validation patients the sensitivity there, 19 of 19, is known only to within {low:.2f} to 1.00.",
        "With 19 'tumor' validation patients a single miss would be too many for a sensitivity of 0.95.",
    )
    assert (
        "sensitivity of about 0.90 is"
        in chosen(view_of([0.9] * 19 + [0.5], [0.899]), TargetSensitivity(0.95)).notes[-1]
    )
    # half way between the 19th and the 20th of 20 lies 19.5 / 21
    many = chosen(view_of(np.linspace(0.5, 0.9, 20).tolist(), [0.1]), TargetSensitivity(0.95))
    assert "sensitivity of about 0.93 is to be expected, below the target of 0.95" in many.notes[-1]


def test_a_wide_gap_below_the_threshold_is_told() -> None:
    gap = (
        "Every threshold from above 0.20 to 0.80 makes the same calls on validation, which cannot tell which is best; a lower "
        "one misses fewer new ones and raises more false alarms."
    )
    assert gap in chosen(view_of([0.9, 0.8], [0.2, 0.1]), Youden()).notes
    assert not any("same calls" in note for note in chosen(view_of([0.9, 0.8], [0.75, 0.1]), Youden()).notes)


def test_a_point_of_a_run_before_gaps_is_read() -> None:
    stored = chosen(view_of(ILL, HEALTHY), Youden()).as_dict()
    assert OperatingPoint.from_dict(stored).gap == (0.5, 0.6)
    del stored["gap"]
    assert OperatingPoint.from_dict(stored).gap is None


def test_an_operating_point_is_refused_by_scores_of_another_kind() -> None:
    point = chosen(view_of(ILL, HEALTHY), Youden())
    with pytest.raises(ValueError, match="per image"):
        point.calls(view_of([0.1, 0.2], [0.3], patients=["a", "a", "b"]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: TargetSensitivity(0),
        lambda: TargetSensitivity(95),
        lambda: ExpectedCost(0, 1, 0.1),
        lambda: ExpectedCost(1, math.inf, 0.1),
        lambda: ExpectedCost(1, 1, 1.0),
    ],
)
def test_impossible_rules_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


def test_rates_are_those_of_the_table() -> None:
    view = view_of(ILL, HEALTHY)
    found = rates_of(view, view.score_U >= 0.5)
    counts = (found.true_positives, found.false_negatives, found.false_positives, found.true_negatives)
    assert counts == (4, 1, 2, 8)
    values = {name: one["value"] for name, one in found.as_dict().items() if isinstance(one, dict)}
    assert values == pytest.approx(
        {
            "sensitivity": 4 / 5,
            "specificity": 8 / 10,
            "ppv": 4 / 6,
            "npv": 8 / 9,
            "accuracy": 12 / 15,
            "prevalence": 5 / 15,
            "positive_likelihood_ratio": 4.0,
            "negative_likelihood_ratio": 0.25,
        }
    )
    assert (found.ppv["low"], found.ppv["high"]) == wilson(4, 6)


def test_rates_without_anyone_to_count_say_so() -> None:
    view = view_of(ILL, HEALTHY)
    nobody = rates_of(view, np.zeros(15, dtype=bool))
    assert nobody.ppv == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "not defined: no patient is called 'tumor'",
    }
    assert nobody.positive_likelihood_ratio["reason"] == "not defined: all are called the same"
    assert (
        rates_of(view_of([], HEALTHY), np.zeros(10, dtype=bool)).sensitivity["reason"]
        == "not defined: no patient is 'tumor'"
    )


def test_a_likelihood_ratio_without_bound_states_what_it_exceeds() -> None:
    found = rates_of(view_of([0.9] * 10, [0.1] * 30), np.arange(40) < 10)
    assert found.positive_likelihood_ratio["value"] is None
    assert found.positive_likelihood_ratio["reason"].startswith("without bound, as no false alarm was given; with 95 %")
    assert found.negative_likelihood_ratio["value"] == 0


def test_likelihood_ratios_of_large_samples_have_the_interval_of_simel() -> None:
    num_ill, num_healthy, found, alarmed = 4000, 6000, 3200, 900
    rates = rates_of(
        view_of([0.9] * num_ill, [0.1] * num_healthy),
        np.r_[np.arange(num_ill) < found, np.arange(num_healthy) < alarmed],
    )
    error = math.sqrt(1 / found - 1 / num_ill + 1 / alarmed - 1 / num_healthy)
    ratio = (found / num_ill) / (alarmed / num_healthy)
    one = rates.positive_likelihood_ratio
    assert (one["low"], one["high"]) == pytest.approx(
        (ratio * math.exp(-1.96 * error), ratio * math.exp(1.96 * error)), rel=2e-3
    )


def test_intervals_of_small_likelihood_ratios_hold_what_they_say() -> None:
    generator, inside, num = np.random.default_rng(0), 0, 2000
    for found, alarmed in zip(generator.binomial(19, 0.85, num), generator.binomial(40, 0.1, num), strict=True):
        shares = [
            {"value": k / n, "low": wilson(k, n)[0], "high": wilson(k, n)[1], "reason": None}
            for k, n in ((found, 19), (alarmed, 40))
        ]
        _, low, high = ratio_of_shares(*shares)
        inside += low <= 8.5 <= high
    assert inside / num == pytest.approx(0.95, abs=0.015)


def test_the_complement_turns_the_interval() -> None:
    assert complement({"value": 0.75, "low": 0.5, "high": 1.0, "reason": None}) == {
        "value": 0.25,
        "low": 0.0,
        "high": 0.5,
        "reason": None,
    }


def test_intervals_know_that_images_of_a_patient_are_alike() -> None:
    ill, healthy = [0.9, 0.9, 0.2, 0.9, 0.9], [0.1] * 8 + [0.9] * 2
    once = rates_of(view_of(ill, healthy), np.array([*ill, *healthy]) > 0.5)
    patients = [f"p{i}" for i in range(15) for _ in range(6)]
    repeated = view_of(np.repeat(ill, 6).tolist(), np.repeat(healthy, 6).tolist(), patients=patients)
    six = rates_of(repeated, repeated.score_U > 0.5)
    assert six.sensitivity["high"] - six.sensitivity["low"] >= once.sensitivity["high"] - once.sensitivity["low"]


def test_missed_positives_are_told_by_the_rows_of_their_images_lowest_first() -> None:
    score = [0.9, 0.1, 0.4, 0.8, 0.05, 0.3, 0.2, 0.6]
    test = predictions_of(score, [1, 0, 1, 1, 1, 0, 1, 1], ["a", "b", "c", "a", "d", "b", "d", "c"])
    _, view, _ = matching_views(None, test, class_names=CLASSES, positive="tumor")
    point = OperatingPoint(Youden(), "tumor", "patient", threshold=0.6, reason=None)
    missed = apply_operating_point(point, view).missed
    assert [(one.rows, one.score) for one in missed] == [((4, 6), 0.125), ((2, 7), 0.5)]  # d, c


def test_false_alarms_are_told_with_their_scores_highest_first() -> None:
    point = chosen(view_of([0.6], [0.1]), TargetSensitivity(0.95))
    view = view_of([0.9, 0.2], [0.7, 0.1, 0.6, 0.8, 0.25])
    told = apply_operating_point(point, view).as_dict()
    assert told["false_alarm_images"] == [[5], [2], [4]]
    assert told["false_alarm_scores"] == [0.8, 0.7, 0.6]
    assert (told["missed_images"], told["missed_scores"]) == ([[1]], [0.2])


def test_the_level_of_patients_is_taken_only_where_both_splits_have_it() -> None:
    alone = predictions_of([0.9, 0.2, 0.8], [1, 0, 1], [None, None, None])
    validation, test, reason = matching_views(
        alone, patients_of(1, num_patients=10), class_names=CLASSES, positive="tumor"
    )
    assert validation is not None
    assert (validation.unit, test.unit, len(test.score_U)) == ("image", "image", 30)
    assert reason == "no patient is known, so that images cannot be joined (validation)"
    with pytest.raises(ValueError, match="'lesion' is none of the classes, which are healthy, tumor"):
        matching_views(alone, alone, class_names=CLASSES, positive="lesion")


def test_nothing_of_the_test_split_moves_the_threshold() -> None:
    validation = patients_of(1, num_patients=50)
    rules: tuple[Rule, ...] = (TargetSensitivity(), Youden(), ExpectedCost(10, 1, 0.1))
    for rule in rules:
        one, other = (
            evaluate_decisions(validation, test, class_names=CLASSES, positive="tumor", rule=rule)
            for test in (patients_of(2, num_patients=50), patients_of(3, num_patients=20))
        )
        assert one["chosen"]["threshold"] == other["chosen"]["threshold"]
        assert one["chosen"]["validation"] == other["chosen"]["validation"]
        assert one["chosen"]["test"] != other["chosen"]["test"]


def test_the_order_of_images_makes_no_difference() -> None:
    def shuffled(split: Predictions, seed: int) -> Predictions:
        order = np.random.default_rng(seed).permutation(len(split.patients))
        names = [split.patients[i] for i in order]
        return Predictions(np.asarray(split.probabilities_NK)[order], np.asarray(split.target_N)[order], names)

    validation, test = patients_of(1, num_patients=40), patients_of(2, num_patients=40)
    one, other = (
        evaluate_decisions(*splits, class_names=CLASSES, positive="tumor")
        for splits in ((validation, test), (shuffled(validation, 5), shuffled(test, 6)))
    )
    for decisions in (one, other):
        for name in ("missed_images", "false_alarm_images"):
            del decisions["chosen"][name]  # rows of a table in another order
    assert json.loads(json.dumps(other, allow_nan=False), parse_float=lambda x: round(float(x), 9)) == json.loads(
        json.dumps(one, allow_nan=False), parse_float=lambda x: round(float(x), 9)
    )


def test_sensitivity_chosen_on_validation_holds_on_test_on_average() -> None:
    generator, target, num_ill, repeats = np.random.default_rng(7), 0.9, 39, 600
    reached = []
    for _ in range(repeats):
        validation, test = (
            view_of(generator.beta(4, 2, num_ill).tolist(), generator.beta(2, 4, 5).tolist()) for _ in range(2)
        )
        threshold = TargetSensitivity(target).choose(candidates(validation))
        reached.append(float((test.score_U[test.is_positive_U] >= threshold).mean()))
    # the 36th of 39 leaves 36 / 40 above it on average
    error = np.std(reached) / math.sqrt(repeats)
    assert np.mean(reached) == pytest.approx(36 / 40, abs=3 * error)
    assert error < 0.004


def sensitivities_of_new(num_ill: int, target: float, *, repeats: int) -> tuple[float, float]:
    """Mean sensitivity among many new positives, at the called score and half way to the next lower one."""
    generator, reached = np.random.default_rng([num_ill, int(1000 * target)]), []
    for _ in range(repeats):
        latent = generator.normal(np.repeat([1.5, -1.5], [num_ill, 2 * num_ill]))
        score = 1 / (1 + np.exp(-latent))
        point = chosen(view_of(score[:num_ill].tolist(), score[num_ill:].tolist()), TargetSensitivity(target))
        assert point.gap is not None
        assert point.threshold is not None
        reached.append([norm.sf(log_odds(place) - 1.5) for place in (point.gap[1], point.threshold)])
    at_score, at_middle = np.mean(reached, axis=0)
    return float(at_score), float(at_middle)


@pytest.mark.slow
@pytest.mark.parametrize("target", [0.8, 0.9, 0.95])
def test_half_way_the_sensitivity_among_new_ones_is_nearer_to_the_target(target: float) -> None:
    """With 10 to 40 positives of validation: at the called score it falls short, on average, by about half a positive."""
    found = np.array([sensitivities_of_new(num, target, repeats=300) for num in range(10, 41)])
    short_of = target - found.mean(axis=0)
    assert short_of[0] > 0
    assert abs(short_of[1]) < 0.75 * short_of[0], short_of


def test_the_exchange_rate_follows_from_costs_or_the_threshold() -> None:
    assert exchange_threshold(ExpectedCost(9, 1, 0.3), 0.42) == pytest.approx(0.1)
    assert exchange_threshold(Youden(), 0.42) == 0.42
    assert exchange_threshold(Argmax(), None) == 0.5


def test_decisions_without_an_operating_point_are_still_told() -> None:
    healthy = predictions_of([0.1, 0.2, 0.3, 0.3], [0, 0, 0, 0], ["a", "a", "b", "b"])
    test = patients_of(2, num_patients=20)
    found = evaluate_decisions(healthy, test, class_names=CLASSES, positive="tumor", prevalence=0.1)
    assert found["chosen"]["test"] is None
    assert found["per_thousand"] is None
    assert "no threshold can be chosen" in found["chosen"]["reason"]
    assert [one["rule"]["name"] for one in found["compared"]] == ["youden", "argmax"]
    assert found["compared"][1]["test"]["sensitivity"]["value"] is not None
    assert found["decision_curve"]["prevalence"] == 0.1
    assert "p1" not in json.dumps(found, allow_nan=False)
