"""What a call is worth at another prevalence: Bayes by hand, whole patients that add up, intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest

from fakes.binary import view_of
from scanlens.evaluation.operating_point import Rates, rates_of
from scanlens.evaluation.prevalence import near_prevalences, per_thousand, predictive_values, predictive_values_at


def rates(found: int, ill: int, alarmed: int, healthy: int) -> Rates:
    called = np.r_[np.arange(ill) < found, np.arange(healthy) < alarmed]
    return rates_of(view_of([0.5] * ill, [0.5] * healthy), called)


def test_predictive_values_are_those_of_bayes() -> None:
    # 1 % ill, 90 % found, 9 % alarmed: 9 of 9 + 89.1 are ill; Gigerenzer's mammography
    ppv, npv = predictive_values_at(rates(90, 100, 9, 100), 0.01)
    assert ppv["value"] == pytest.approx(9 / (9 + 89.1))
    assert npv["value"] == pytest.approx(900.9 / (900.9 + 1))
    # 1 % ill, 95 % found, 10 % alarmed: 9.5 of 9.5 + 99
    assert predictive_values_at(rates(95, 100, 10, 100), 0.01)[0]["value"] == pytest.approx(0.088, abs=5e-4)


def test_at_the_prevalence_of_the_split_they_are_those_of_the_split() -> None:
    found = rates(45, 50, 30, 150)
    ppv, npv = predictive_values_at(found, 50 / 200)
    assert ppv["value"] == pytest.approx(found.ppv["value"])
    assert npv["value"] == pytest.approx(found.npv["value"])


def test_ppv_rises_and_npv_falls_with_the_prevalence_bounds_too() -> None:
    values = predictive_values(rates(18, 20, 4, 40))
    for key, sign in (("ppv", 1), ("npv", -1)):
        for end in ("value", "low", "high"):
            line = np.array([one[end] for one in getattr(values, f"{key}_G")])
            assert (sign * np.diff(line) > 0).all()
    assert {0.001, 0.01, 0.1, 0.5} <= set(values.prevalence_G)


def test_where_all_or_nobody_is_ill_a_call_adds_nothing() -> None:
    found = rates(18, 20, 4, 40)
    assert [one["value"] for one in predictive_values_at(found, 0.0)] == [0.0, 1.0]
    assert [one["value"] for one in predictive_values_at(found, 1.0)] == [1.0, 0.0]
    for impossible in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="expected a share from 0 to 1"):
            predictive_values_at(found, impossible)


def test_without_a_false_alarm_ppv_is_one_with_a_bound_below() -> None:
    ppv, _ = predictive_values_at(rates(18, 20, 0, 40), 0.1)
    assert ppv["value"] == ppv["high"] == 1
    assert 0.3 < ppv["low"] < 0.8


def test_where_nobody_is_called_ill_ppv_is_not_defined() -> None:
    ppv, npv = predictive_values_at(rates(0, 20, 0, 40), 0.1)
    assert ppv == {"value": None, "low": None, "high": None, "reason": "not defined: nobody is called ill"}
    assert npv["value"] == pytest.approx(0.9)


def test_large_samples_have_the_interval_of_the_logarithm() -> None:
    # Mercaldo, Lau & Zhou 2007: logit PPV +- z sqrt((1 - se) / (se n1) + sp / ((1 - sp) n0))
    se, sp, num, prevalence = 0.8, 0.9, 10_000, 0.05
    ppv, _ = predictive_values_at(rates(8000, num, 1000, num), prevalence)
    center = np.log(prevalence * se / ((1 - prevalence) * (1 - sp)))
    half = 1.959964 * np.sqrt((1 - se) / (se * num) + sp / ((1 - sp) * num))
    assert (ppv["low"], ppv["high"]) == pytest.approx(
        (1 / (1 + np.exp(half - center)), 1 / (1 + np.exp(-half - center))), rel=2e-3
    )


def test_intervals_of_predictive_values_hold_what_they_say() -> None:
    generator, num = np.random.default_rng(0), 400
    inside = np.zeros(2)
    truth = (0.9 * 0.1 / (0.9 * 0.1 + 0.15 * 0.9), 0.85 * 0.9 / (0.85 * 0.9 + 0.1 * 0.1))
    for found, alarmed in zip(generator.binomial(60, 0.9, num), generator.binomial(80, 0.15, num), strict=True):
        pair = predictive_values_at(rates(found, 60, alarmed, 80), 0.1)
        inside += [one["low"] <= true <= one["high"] for one, true in zip(pair, truth, strict=True)]
    assert inside / num == pytest.approx(0.95, abs=0.033)  # three standard errors


def test_a_thousand_patients_are_those_of_the_sentence() -> None:
    told = per_thousand(rates(94, 100, 24, 200), prevalence=0.1)
    assert told is not None
    assert (told.ill, told.healthy) == (100, 900)
    assert [one["value"] for one in (told.found, told.missed, told.false_alarms, told.reassured)] == [94, 6, 108, 792]
    # Wilson's interval of 94 of 100: 0.8752 to 0.9722; bounds go outward
    assert (told.missed["low"], told.missed["high"]) == (2, 13)
    assert told.as_dict()["source"] == "stated"


def test_patients_are_whole_and_add_up() -> None:
    generator = np.random.default_rng(1)
    for _ in range(200):
        found = rates(int(generator.integers(1, 8)), 7, int(generator.integers(0, 12)), 11)
        told = per_thousand(found, prevalence=float(generator.random()))
        assert told is not None
        parts = [one["value"] for one in (told.found, told.missed, told.false_alarms, told.reassured)]
        assert all(isinstance(part, int) and part >= 0 for part in parts)
        assert parts[0] + parts[1] == told.ill
        assert sum(parts) == 1000
        for one in (told.found, told.missed, told.false_alarms, told.reassured):
            assert one["low"] <= one["value"] <= one["high"]


def test_without_ill_or_healthy_patients_there_is_no_thousand() -> None:
    assert per_thousand(rates_of(view_of([], [0.1, 0.2]), np.zeros(2, dtype=bool)), prevalence=0.1) is None


def test_three_prevalences_are_asked_about_by_odds() -> None:
    found = rates(45, 50, 30, 150)
    near = near_prevalences(found, 0.5, "stated")
    assert [one["prevalence"] for one in near] == pytest.approx([1 / 3, 0.5, 2 / 3])
    assert [one["source"] for one in near] == [None, "stated", None]
    assert near[0]["ppv"] == predictive_values_at(found, near[0]["prevalence"])[0]
    assert near[2]["npv"]["low"] < near[2]["npv"]["value"] < near[2]["npv"]["high"]
    of_split = near_prevalences(found, 0.8, "test split")
    assert [one["prevalence"] for one in of_split] == pytest.approx([0.4 / 1.4, 4 / 3 / (1 + 4 / 3), 0.8])
    assert [near_prevalences(found, share, "test split") for share in (0.0, 1.0)] == [[], []]
