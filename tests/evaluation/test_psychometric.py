"""Curves over size, and the limits read from them: known curves are found again, and nothing is made up."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.explanations.limits import Trials, limits_summary, own_contrast
from scanlens.evaluation.explanations.psychometric import Curves, fit_curves, size_limit
from scanlens.evaluation.resampling import PatientGroups, group_patients

SIZES = np.array([2, 2.7, 3.6, 4.9, 6.5, 8.9, 11.8, 16, 21.3])


def curve(location: float, width: float, lapse: float = 0.0, floor: float = 0.0) -> Curves:
    return Curves(np.array([np.log(location)]), np.array([width]), np.array([lapse]), floor)


def patients(num: int, *, each: int = 1) -> PatientGroups:
    return group_patients([str(n // each) for n in range(num)], np.zeros(num, dtype=np.int64))


@pytest.mark.parametrize(
    ("location", "width", "lapse", "floor"),
    [(6.0, 0.35, 0.02, 0.0), (3.0, 0.15, 0.3, 0.0), (10.0, 0.6, 0.1, 0.0), (5.0, 0.3, 0.05, 0.2)],
)
def test_a_curve_is_found_again_from_its_own_shares(location: float, width: float, lapse: float, floor: float) -> None:
    true = curve(location, width, lapse, floor)
    trials = np.full((9, 1), 1e4)
    found = fit_curves(1e4 * true.shares_SR(SIZES), trials, SIZES, floor=floor)
    assert np.exp(found.location_R[0]) == pytest.approx(location, rel=1e-3)
    assert found.width_R[0] == pytest.approx(width, rel=1e-2)
    assert found.lapse_R[0] == pytest.approx(lapse, abs=1e-3)


def test_the_size_at_a_share_is_the_inverse_of_the_share_at_a_size() -> None:
    true = curve(6.0, 0.4, 0.05, 0.1)
    size = true.sizes_R(0.9)
    assert true.shares_SR(size)[0, 0] == pytest.approx(0.9)
    assert np.isinf(true.sizes_R(0.96)[0])
    assert true.sizes_R(0.05)[0] == 0


def test_many_resamples_are_fitted_as_each_by_itself() -> None:
    rng = np.random.default_rng(0)
    trials = np.full((9, 30), 20.0)
    successes = rng.binomial(20, np.broadcast_to(curve(5, 0.4).shares_SR(SIZES), (9, 30))).astype(float)
    together = fit_curves(successes, trials, SIZES).sizes_R(0.5)
    alone = [fit_curves(successes[:, [r]], trials[:, [r]], SIZES).sizes_R(0.5)[0] for r in range(30)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_what_is_not_reached_has_no_limit_but_a_reason() -> None:
    success = np.zeros((40, 9))
    success[:20, 4:] = 1  # half of the images, from 6.5 px
    found, _ = size_limit(success, np.ones((40, 9)), SIZES, target=0.9, groups=patients(40), num_resamples=200, seed=1)
    assert (found["state"], found["value"]) == ("not reached", None)
    assert "50 % at the largest" in found["reason"]
    assert found["lapse"] == pytest.approx(0.5, abs=0.01)


def test_what_the_smallest_size_reaches_already_is_below_it() -> None:
    found, _ = size_limit(
        np.ones((30, 9)), np.ones((30, 9)), SIZES, target=0.9, groups=patients(30), num_resamples=200, seed=1
    )
    assert (found["state"], found["value"]) == ("below the smallest", None)
    assert "100 %" in found["reason"]


def test_too_few_trials_are_not_assessed() -> None:
    trials = np.zeros((30, 9))
    trials[:4, -1] = 1
    found, resampled = size_limit(
        np.zeros((30, 9)), trials, SIZES, target=0.5, groups=patients(30), num_resamples=50, seed=1
    )
    assert found["state"] == "not assessed"
    assert "at least 10 are needed" in found["reason"]
    assert len(resampled) == 0


def thresholds(rng: np.random.Generator, true: Curves, num: int) -> np.ndarray:
    """Successes (N, 9): every image has a threshold of its own, so that its sizes agree as those of a network do."""
    return (rng.uniform(size=(num, 1)) < true.shares_SR(SIZES)[:, 0]).astype(float)


def covered(true: Curves, target: float, *, num: int, repeats: int, seed: int) -> float:
    rng, truth, hits = np.random.default_rng(seed), float(true.sizes_R(target)[0]), 0
    for repeat in range(repeats):
        found, _ = size_limit(
            thresholds(rng, true, num),
            np.ones((num, 9)),
            SIZES,
            target=target,
            groups=patients(num),
            num_resamples=100,
            seed=repeat,
        )
        low, high = found["low"], found["high"]
        hits += (low is None or low <= truth) and (high is None or truth <= high)
    return hits / repeats


def test_the_interval_holds_the_truth() -> None:
    assert covered(curve(5, 0.35, 0.03), 0.5, num=40, repeats=30, seed=2) >= 0.83  # 0.95 less three errors of 30


@pytest.mark.slow
@pytest.mark.parametrize(("target", "num", "least"), [(0.5, 40, 0.9), (0.9, 60, 0.88), (0.9, 20, 0.82)])
def test_the_interval_holds_the_truth_nearly_as_often_as_it_says(target: float, num: int, least: float) -> None:
    assert covered(curve(5, 0.35, 0.02), target, num=num, repeats=300, seed=5) >= least


def test_images_of_one_patient_make_the_interval_wider() -> None:
    rng = np.random.default_rng(4)
    ten = thresholds(rng, curve(5, 0.35), 12)
    success = np.repeat(ten, 5, axis=0)
    widths = []
    for groups in (patients(60), patients(60, each=5)):
        found, _ = size_limit(
            success, np.ones_like(success), SIZES, target=0.5, groups=groups, num_resamples=300, seed=1
        )
        widths.append(found["high"] - found["low"])
    assert widths[1] > 1.6 * widths[0]


def test_a_few_patients_have_no_interval() -> None:
    success = np.zeros((28, 9))
    success[:, 4:] = 1
    found, _ = size_limit(
        success, np.ones((28, 9)), SIZES, target=0.9, groups=patients(28, each=4), num_resamples=60, seed=1
    )
    assert 4.9 < found["value"] < 6.5
    assert (found["low"], found["high"]) == (None, None)
    assert "7 patients" in found["reason"]


def made_trials(num: int = 30) -> Trials:
    called, hit = np.zeros((num, 9)), np.zeros((num, 9))
    called[:, 3:] = 1  # from 4.9 px
    hit[:, 6:] = 1  # from 11.8 px
    return Trials(SIZES, called, hit, np.ones_like(hit), np.full_like(hit, 0.02), np.full_like(hit, 0.05))


def test_both_limits_lie_between_the_last_failure_and_the_first_success() -> None:
    found = limits_summary(made_trials(), patients(30), seed=1, num_resamples=100)
    assert 3.6 < found["detection"]["value"] < 4.9
    assert 8.9 < found["localization"]["value"] < 11.8
    assert found["localization_near"]["state"] == "below the smallest"
    assert 8.9 / 4.9 < found["ratio"]["value"] < 11.8 / 3.6
    at = {one["size"]: one for one in found["sizes"]}
    assert (at[3.6]["called"]["value"], at[4.9]["called"]["value"]) == (0, 1)
    assert at[2.0]["hit"]["reason"] == "no lesion of this size is called"
    assert (at[8.9]["hit"]["value"], at[11.8]["hit"]["value"]) == (0, 1)
    assert at[8.9]["chance"] == pytest.approx(0.02)


def test_what_is_not_called_cannot_be_pointed_at() -> None:
    """Hits of maps whose lesion is not called do not count, neither for nor against."""
    plain = made_trials()
    hit_NS = plain.hit_NS.copy()
    hit_NS[:, :3] = 1
    changed = Trials(SIZES, plain.called_NS, hit_NS, plain.near_NS, plain.chance_NS, plain.chance_near_NS)
    first, second = (limits_summary(one, patients(30), seed=1, num_resamples=60) for one in (plain, changed))
    assert first["localization"] == second["localization"]


def test_contrast_is_the_median_of_lesions_that_agree() -> None:
    contrast_C, facts = own_contrast([np.array([0.2 + 0.01 * n, -0.1]) for n in range(9)])
    assert contrast_C is not None
    np.testing.assert_allclose(contrast_C, [0.24, -0.1])
    assert facts["num_lesions"] == 9
    none, facts = own_contrast([np.array([(-1) ** n * 0.3 + 0.01]) for n in range(10)])
    assert none is None
    assert "not consistently" in facts["reason"]
    none, facts = own_contrast([np.array([0.3])] * 4)
    assert none is None
    assert "4 marked lesions" in facts["reason"]
