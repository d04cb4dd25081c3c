"""Who gives to whom, and when an effect convicts."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.explanations.counterfactual import (
    Answers,
    Candidate,
    as_dict,
    candidate,
    corrected,
    rarest_seen,
    with_elsewhere,
)
from scanlens.evaluation.explanations.pairing import ABSENT, Pairing, paired

LEAST = 0.05


def people(num: int, *, num_classes: int = 2, images: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Target and patient of each image: patients in turn of each class, with several images each."""
    unit_N = np.repeat(np.arange(num), images)
    return unit_N % num_classes, unit_N


def pairs(num: int = 24, *, num_classes: int = 2, most: int = 40) -> tuple[Pairing, np.ndarray]:
    target_N, unit_N = people(num, num_classes=num_classes)
    return paired(target_N, unit_N, num_classes=num_classes, most=most, seed=3), unit_N


def answers(pairing: Pairing, reference: np.ndarray | float, donor: np.ndarray | float) -> Answers:
    """Probabilities of class 1 of two, after a gift of the own class and of the other."""

    def two(p: np.ndarray | float, shape: tuple[int, ...]) -> np.ndarray:
        p = np.broadcast_to(np.asarray(p, dtype=float), shape)
        return np.stack([1 - p, p], axis=-1)

    num = len(pairing.recipient_P)
    counts = np.ones((num, 1), dtype=bool)
    donor = donor if np.isscalar(donor) else np.asarray(donor)[:, None]
    return Answers(two(reference, (num,)), two(donor, (num, 1)), counts)


def judged(pairing: Pairing, unit_N: np.ndarray, found: Answers) -> Candidate:
    one = candidate("corner", found, found.reference_PK, pairing, unit_N, classes=[1])
    return corrected([one], least=LEAST)[0]


# -- pairs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_classes", [2, 3])
def test_donors_are_of_the_right_class_and_of_other_patients(num_classes):
    target_N, unit_N = people(24, num_classes=num_classes)
    found = paired(target_N, unit_N, num_classes=num_classes, most=30, seed=1)
    assert len(found.recipient_P) == 30
    assert np.bincount(target_N[found.recipient_P]).tolist() == [30 // num_classes] * num_classes
    np.testing.assert_array_equal(target_N[found.reference_P], found.own_P)
    np.testing.assert_array_equal(target_N[found.donor_PJ], found.class_PJ)
    for p, n in enumerate(found.recipient_P):
        assert sorted([found.own_P[p], *found.class_PJ[p]]) == list(range(num_classes))
        assert unit_N[n] not in unit_N[[found.reference_P[p], *found.donor_PJ[p]]]


def test_everyone_of_a_class_gives_about_equally_often():
    target_N, unit_N = people(20)
    found = paired(target_N, unit_N, num_classes=2, most=60, seed=1)
    given = np.bincount(np.concatenate([found.donor_PJ[:, 0], found.reference_P]), minlength=60)
    assert given.min() >= 1
    assert given.max() <= 3


def test_pairs_are_a_function_of_the_seed():
    target_N, unit_N = people(12)
    one, same, other = (paired(target_N, unit_N, num_classes=2, most=10, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.donor_PJ, same.donor_PJ)
    assert (one.donor_PJ != other.donor_PJ).any()


def test_who_has_no_donor_of_another_patient_has_none():
    found = paired(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), num_classes=2, most=4, seed=0)
    assert found.reference_P[found.own_P == 0].tolist() == [ABSENT, ABSENT]
    assert (found.donor_PJ != ABSENT).all()
    one = candidate("corner", answers(found, 0.1, 0.9), np.zeros((4, 2)), found, np.array([0, 0, 1, 2]), classes=[1])
    assert one.effects[0].change.num_pairs == 0, "no recipient of class 0 has a reference"


# -- effects -----------------------------------------------------------------------------------------------------------


def test_the_effect_is_the_mean_difference_to_the_gift_of_the_own_class():
    pairing, unit_N = pairs()
    own_P = pairing.own_P
    found = answers(pairing, np.where(own_P == 0, 0.1, 0.8), np.where(own_P == 0, 0.7, 0.5))
    given, taken = judged(pairing, unit_N, found).effects
    assert (given.direction, taken.direction) == ("in", "out")
    assert given.change.value == pytest.approx(0.6)
    assert taken.change.value == pytest.approx(0.3)
    assert given.log_odds.value == pytest.approx(np.log(0.7 / 0.3) - np.log(0.1 / 0.9))
    assert given.change.num_pairs == (own_P == 0).sum()


def test_log_odds_are_exact_where_probabilities_round_to_one():
    pairing, unit_N = pairs()
    num = len(pairing.recipient_P)
    surely_PK = np.tile([1e-30, 1.0], (num, 1))
    found = Answers(np.tile([0.5, 0.5], (num, 1)), surely_PK[:, None], np.ones((num, 1), bool))
    assert judged(pairing, unit_N, found).effects[0].log_odds.value == pytest.approx(30 * np.log(10))


def test_what_sways_the_network_is_convicted_and_what_does_not_is_acquitted():
    pairing, unit_N = pairs()
    assert judged(pairing, unit_N, answers(pairing, 0.1, 0.9)).verdict(LEAST) == "convicted"
    assert judged(pairing, unit_N, answers(pairing, 0.3, 0.3)).verdict(LEAST) == "acquitted"
    noise_P = np.random.default_rng(0).normal(0, 0.02, len(pairing.recipient_P))
    assert judged(pairing, unit_N, answers(pairing, 0.5, 0.5 + noise_P)).verdict(LEAST) == "acquitted"
    assert judged(pairing, unit_N, answers(pairing, 0.5, 0.5 + 20 * noise_P)).verdict(LEAST) == "not decided"


def test_plain_disturbance_by_pasting_convicts_nobody():
    pairing, unit_N = pairs()
    pasted = answers(pairing, 0.7, 0.7)
    plain_PK = np.tile([0.9, 0.1], (len(pairing.recipient_P), 1))
    found = candidate("corner", pasted, plain_PK, pairing, unit_N, classes=[1])
    assert found.disturbance == pytest.approx(0.6)
    assert corrected([found], least=LEAST)[0].verdict(LEAST) == "acquitted"


def test_what_works_against_its_class_is_not_acquitted():
    pairing, unit_N = pairs()
    found = judged(pairing, unit_N, answers(pairing, np.where(pairing.own_P == 0, 0.6, 0.4), 0.5))
    assert [round(one.change.value, 3) for one in found.effects] == [-0.1, -0.1]
    assert found.verdict(LEAST) == "not decided"


def test_few_patients_decide_nothing():
    pairing, unit_N = pairs(8)
    found = judged(pairing, unit_N, answers(pairing, 0.1, 0.9))
    assert found.effects[0].change.num_patients == 4
    assert found.verdict(LEAST) == "not decided"


def test_where_all_agree_as_many_patients_are_needed_as_for_a_sign_test():
    for num, verdict in ((10, "not decided"), (12, "acquitted")):  # 0.5 ** 5 > 0.025 > 0.5 ** 6
        pairing, unit_N = pairs(num)
        assert judged(pairing, unit_N, answers(pairing, 0.2, 0.2)).verdict(LEAST) == verdict
    entry = as_dict(judged(pairing, unit_N, answers(pairing, 0.2, 0.2)), ["a", "b"], least=LEAST)["effects"][0][
        "change"
    ]
    assert (entry["value"], entry["low"]) == (0.0, None)
    assert "all 18 pairs give the same value" in entry["reason"]


def test_one_finding_among_many_needs_a_smaller_p_value():
    pairing, unit_N = pairs()
    noise_P = np.random.default_rng(1).normal(0, 0.09, len(pairing.recipient_P))
    weak = candidate("weak", answers(pairing, 0.5, 0.65 + noise_P), np.zeros((40, 2)), pairing, unit_N, classes=[1])
    nothing = candidate(
        "nothing", answers(pairing, 0.5, 0.5 + noise_P), np.zeros((40, 2)), pairing, unit_N, classes=[1]
    )
    p_value = weak.effects[0].change.p_above(LEAST)
    assert 1e-4 < p_value < 0.025
    assert corrected([weak], least=LEAST)[0].verdict(LEAST) == "convicted"
    among = corrected([weak, *[nothing] * 200], least=LEAST)
    assert among[0].verdict(LEAST) != "convicted"
    assert among[0].effects[0].p_adjusted >= min(1.0, 401 * p_value)


def test_regions_elsewhere_that_do_as_much_keep_from_a_verdict():
    pairing, unit_N = pairs()
    strong = answers(pairing, 0.1, 0.9)
    found = candidate("corner", strong, strong.reference_PK, pairing, unit_N, classes=[1])
    alike = corrected(
        [with_elsewhere(found, strong, [strong, strong, answers(pairing, 0.1, 0.1)], pairing, unit_N)], least=LEAST
    )
    assert alike[0].effects[0].elsewhere.value == pytest.approx(0.8), "the median of places"
    assert alike[0].verdict(LEAST) == "not decided"
    calm = [answers(pairing, 0.1, 0.1)] * 2 + [strong]
    apart = corrected([with_elsewhere(found, strong, calm, pairing, unit_N)], least=LEAST)
    assert apart[0].verdict(LEAST) == "convicted"


def test_pairs_with_a_lesion_in_the_region_do_not_count():
    pairing, unit_N = pairs()
    has_lesion_P = np.arange(len(pairing.recipient_P)) % 4 == 0
    found = answers(pairing, 0.1, np.where(has_lesion_P, 0.9, 0.1))
    found.counts_PJ[has_lesion_P] = False
    one = judged(pairing, unit_N, found)
    assert one.num_left_out == has_lesion_P.sum()
    assert one.effects[0].change.value == pytest.approx(0.0)


def test_a_doubt_keeps_from_a_conviction():
    pairing, unit_N = pairs()
    found = judged(pairing, unit_N, answers(pairing, 0.1, 0.9))
    doubted = Candidate(found.name, found.effects, found.disturbance, found.num_left_out, doubt="may be the disease")
    assert doubted.verdict(LEAST) == "not decided"
    assert as_dict(doubted, ["a", "b"], least=LEAST)["doubt"] == "may be the disease"


def test_errors_know_that_patients_give_and_receive_several_times():
    """Where donors alone bring the spread, the error of the mean is that of donors."""
    target_N, unit_N = people(20, images=6)
    pairing = paired(target_N, unit_N, num_classes=2, most=120, seed=0)
    of_donor_U = np.random.default_rng(2).normal(0, 0.1, 20)
    gain_P = of_donor_U[unit_N[pairing.donor_PJ[:, 0]]]
    effect = judged(pairing, unit_N, answers(pairing, 0.5, 0.5 + gain_P)).effects[0]
    is_in_P = pairing.own_P == 0
    naive = gain_P[is_in_P].std(ddof=1) / np.sqrt(is_in_P.sum())
    donors = of_donor_U[np.unique(unit_N[pairing.donor_PJ[is_in_P, 0]])]
    assert effect.change.error == pytest.approx(donors.std(ddof=1) / np.sqrt(len(donors)), rel=0.35)
    assert effect.change.error > 1.5 * naive


def test_innocence_is_rarely_mistaken_for_guilt():
    """Of effects whose true mean is the least effect, at most 2.5 % seem to lie above; here with spread on all three sides."""
    target_N, unit_N = people(30, images=3)
    pairing = paired(target_N, unit_N, num_classes=2, most=60, seed=0)
    rng = np.random.default_rng(5)
    seem_guilty = 0
    for _ in range(400):
        a_U, b_U, c_U = rng.normal(0, 0.05, (3, 30))
        gain_P = LEAST + a_U[unit_N[pairing.recipient_P]] + b_U[unit_N[pairing.donor_PJ[:, 0]]]
        gain_P += c_U[unit_N[pairing.reference_P]] + rng.normal(0, 0.05, len(gain_P))
        found = answers(pairing, 0.4, 0.4 + gain_P)
        one = candidate("corner", found, found.reference_PK, pairing, unit_N, classes=[1])
        seem_guilty += one.effects[0].change.p_above(LEAST) <= 0.025
    assert seem_guilty <= 0.045 * 400  # 2.5 %, and three standard errors


def test_what_few_bear_may_not_be_seen():
    assert rarest_seen(18) == pytest.approx(0.185, abs=0.001)
    assert (1 - rarest_seen(18)) ** 18 == pytest.approx(0.025)


def test_what_is_told_of_an_open_case_is_the_effect_that_keeps_it_open():
    pairing, unit_N = pairs()
    noise_P = np.random.default_rng(0).normal(-0.05, 0.3, len(pairing.recipient_P))
    found = judged(pairing, unit_N, answers(pairing, 0.5, np.where(pairing.own_P == 0, 0.5 + noise_P, 0.49)))
    given, taken = found.effects
    assert taken.verdict(LEAST) == "acquitted"
    assert given.change.value < taken.change.value
    assert found.worst(LEAST) is given
