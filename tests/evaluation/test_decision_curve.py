"""Net benefit: by hand, against an implementation written another way, and bands that hold what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm

from fakes.binary import patient_views, view_of
from scanlens.evaluation.binary_view import BinaryView
from scanlens.evaluation.decision_curve import THRESHOLDS_T, decision_curve, net_benefit, net_benefit_of_calls
from scanlens.evaluation.ranking import divided
from scanlens.evaluation.resampling import bootstrap

VIEW = view_of([0.9, 0.6, 0.3, 0.2], [0.7, 0.4, 0.2, 0.1, 0.1, 0.05])


def values(view: BinaryView, *thresholds: float, prevalence: float | None = None) -> list[float]:
    curve = decision_curve(view, threshold_T=thresholds, prevalence=prevalence)
    return [one["value"] for one in curve.model_T]


def test_net_benefit_is_that_computed_by_hand() -> None:
    # at 0.2: 4 and 3 of 10 called: 0.4 - 0.3 x 0.25; at 0.5: 2 and 1: 0.2 - 0.1 x 1; at 0.8: 1 and 0: 0.1
    assert values(VIEW, 0.2, 0.5, 0.8) == pytest.approx([0.325, 0.1, 0.1])
    # 80 found, 100 alarmed of 1000: 0.08 - 0.1 / 9
    assert net_benefit(80 / 200, 100 / 800, prevalence=0.2, threshold=0.1) == pytest.approx(0.0689, abs=5e-5)


def test_net_benefit_is_that_of_vickers_and_elkin_patient_by_patient() -> None:
    for seed in range(5):
        _, view = patient_views(seed, num_patients=40)
        curve = decision_curve(view)
        for t, one, everybody in zip(THRESHOLDS_T, curve.model_T, curve.treat_all_T, strict=True):
            found = alarmed = ill = 0
            for score, is_ill in zip(view.score_U.tolist(), view.is_positive_U.tolist(), strict=True):
                ill += is_ill
                found += is_ill and score >= t
                alarmed += not is_ill and score >= t
            assert one["value"] == pytest.approx((found - alarmed * t / (1 - t)) / 40)
            assert everybody == pytest.approx((ill - (40 - ill) * t / (1 - t)) / 40)


def test_acting_on_all_is_worth_nothing_at_the_prevalence_and_on_nobody_never() -> None:
    curve = decision_curve(VIEW)
    assert curve.treat_all_T[THRESHOLDS_T.index(0.4)] == pytest.approx(0, abs=1e-12)
    assert curve.as_dict()["treat_none"] == 0
    stated = decision_curve(VIEW, prevalence=0.07)
    assert stated.treat_all_T[THRESHOLDS_T.index(0.07)] == pytest.approx(0, abs=1e-12)


def test_a_network_that_calls_all_is_worth_as_much_as_acting_on_all() -> None:
    curve = decision_curve(view_of([1.0] * 5, [1.0] * 15))
    assert [one["value"] for one in curve.model_T] == pytest.approx(list(curve.treat_all_T))
    assert curve.better == curve.surely_better == ()


def test_a_perfect_network_has_all_that_can_be_had() -> None:
    curve = decision_curve(view_of([1.0] * 5, [0.0] * 15))
    assert [one["value"] for one in curve.model_T] == pytest.approx([0.25] * 99)
    assert [one["value"] for one in curve.standardized_T] == pytest.approx([1] * 99)
    assert max(one["high"] for one in curve.model_T) <= 0.25
    assert curve.better == ((0.01, 0.99),)


def test_a_stated_prevalence_weighs_both_rates() -> None:
    # at 0.5: sensitivity 2/4, false alarms 1/6: 0.5 x 0.1 - 1/6 x 0.9
    assert values(VIEW, 0.5, prevalence=0.1) == pytest.approx([0.05 - 0.15])
    assert values(VIEW, 0.5, prevalence=0.4) == pytest.approx(values(VIEW, 0.5))


def test_the_runs_of_useful_thresholds_are_told_by_their_ends() -> None:
    # called at 0.2: .325 against all .25; 0.5: 0.1; 0.65: 0.1 - 0.1 x 0.65/0.35 < 0; 0.8: 0.1
    curve = decision_curve(VIEW, threshold_T=(0.1, 0.2, 0.5, 0.65, 0.8, 0.95))
    assert curve.better == ((0.1, 0.5), (0.8, 0.8))


def test_net_benefit_of_calls_takes_any_exchange_rate() -> None:
    called = VIEW.score_U >= 0.5
    assert net_benefit_of_calls(VIEW, called, threshold=0.1)["value"] == pytest.approx(0.2 - 0.1 / 9)
    assert net_benefit_of_calls(VIEW, called, threshold=0.5) == decision_curve(VIEW, threshold_T=(0.5,)).model_T[0]
    nothing = net_benefit_of_calls(VIEW, called, threshold=1.0)
    assert nothing["value"] is None
    assert "no exchange rate" in nothing["reason"]


@pytest.mark.parametrize(
    ("view", "why"), [(view_of([], [0.1, 0.3]), "no patient is"), (view_of([0.1, 0.3], []), "every")]
)
def test_one_class_alone_has_no_curve_and_says_why(view: BinaryView, why: str) -> None:
    curve = decision_curve(view)
    assert {one["value"] for one in curve.model_T} == {None}
    assert why in curve.model_T[0]["reason"]
    assert set(curve.treat_all_T) == {None}
    assert (curve.prevalence, curve.better) == (None, ())
    json.dumps(curve.as_dict(), allow_nan=False)


@pytest.mark.parametrize("thresholds", [(0.0, 0.5), (0.5, 1.0), (0.5, 0.2), (0.2, 0.2)])
def test_impossible_thresholds_are_refused(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected rising probabilities"):
        decision_curve(VIEW, threshold_T=thresholds)


def test_an_impossible_prevalence_is_refused() -> None:
    with pytest.raises(ValueError, match="prevalence: expected between 0 and 1"):
        decision_curve(VIEW, prevalence=10)


def test_bands_agree_with_resamples_of_patients_where_these_can_be_trusted() -> None:
    _, view = patient_views(4, num_patients=400)

    def resampled(weights_UR: np.ndarray) -> dict[str, np.ndarray]:
        called_U = view.score_U >= 0.4
        ill, well = view.is_positive_U, ~view.is_positive_U
        found, alarmed = (
            divided(weights_UR[called_U & kind].sum(axis=0), weights_UR[kind].sum(axis=0)) for kind in (ill, well)
        )
        return {"benefit": found * ill.mean() - alarmed * well.mean() * 0.4 / 0.6}

    samples = bootstrap(resampled, view.groups, num_resamples=4000, seed=0)["benefit"]
    one = net_benefit_of_calls(view, view.score_U >= 0.4, threshold=0.4)
    width = one["high"] - one["low"]
    assert np.quantile(samples, [0.025, 0.975]) == pytest.approx([one["low"], one["high"]], abs=0.08 * width)


def test_bands_hold_what_they_say_with_few_ill_patients() -> None:
    """Also at low thresholds, where most studies of 19 ill patients miss none."""
    generator, repeats, thresholds = np.random.default_rng(3), 300, (0.05, 0.2, 0.5)
    shift, share = 2.5, 19 / 79
    offset = np.log(share / (1 - share)) - shift**2 / 2  # so that scores are calibrated
    cuts = [(np.log(t / (1 - t)) - offset) / shift for t in thresholds]
    truth = [
        net_benefit(norm.sf(cut - shift), norm.sf(cut), prevalence=share, threshold=t)
        for cut, t in zip(cuts, thresholds, strict=True)
    ]
    inside = np.zeros(3)
    for _ in range(repeats):
        ill, healthy = (
            1 / (1 + np.exp(-(shift * generator.normal(mean, 1, num) + offset))) for mean, num in ((shift, 19), (0, 60))
        )
        curve = decision_curve(view_of(ill.tolist(), healthy.tolist()), threshold_T=thresholds)
        inside += [one["low"] <= true <= one["high"] for one, true in zip(curve.model_T, truth, strict=True)]
    assert (inside / repeats > 0.91).all()
    assert (inside / repeats < 0.99).all()
