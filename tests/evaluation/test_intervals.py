"""Intervals: known numbers, coverage in simulation, and patients that count."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t, ttest_1samp

from scanlens.evaluation.intervals import (
    Interval,
    mean_interval,
    mean_of_shares_interval,
    percentile_interval,
    share_interval,
    wilson,
)
from scanlens.evaluation.resampling import PatientGroups, bootstrap, group_patients


def groups_of(num_patients: int, per_patient: int) -> PatientGroups:
    names = [f"p{i}" for i in range(num_patients) for _ in range(per_patient)]
    return group_patients(names, np.zeros(len(names), dtype=np.int64))


def means_of(values_N: NDArray, groups: PatientGroups, *, num_resamples: int = 500, seed: int = 0) -> NDArray:
    statistics = bootstrap(
        lambda weights_NR: {"mean": values_N @ weights_NR / weights_NR.sum(axis=0)},
        groups,
        num_resamples=num_resamples,
        seed=seed,
    )
    return statistics["mean"]


def share_of_all(success_N: NDArray, groups: PatientGroups) -> Interval:
    return share_interval(success_N, np.ones(len(success_N), dtype=bool), groups)


def width(interval: Interval) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return interval.high - interval.low


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), [(47, 50, 0.8378, 0.9794), (50, 50, 0.9287, 1), (0, 20, 0, 0.1611)]
)
def test_wilson_gives_the_published_numbers(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 2), (0, 0)])
def test_wilson_refuses_impossible_counts(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson(successes, trials)


def test_shares_of_single_images_get_the_plain_wilson_interval() -> None:
    success_N = np.arange(50) < 47
    groups = group_patients([None] * 50, np.zeros(50, dtype=np.int64))
    assert share_of_all(success_N, groups) == Interval(*wilson(47, 50))


def test_images_that_repeat_a_patient_add_no_certainty() -> None:
    success_P = np.arange(30) % 3 > 0
    once = share_of_all(success_P, groups_of(30, 1))
    ten_times = share_of_all(np.repeat(success_P, 10), groups_of(30, 10))
    naive = Interval(*wilson(200, 300))
    assert width(ten_times) == pytest.approx(width(once), rel=0.12)
    assert width(ten_times) > 2 * width(naive)


def test_a_share_without_an_error_is_as_sure_as_the_number_of_patients() -> None:
    assert share_of_all(np.ones(200, dtype=bool), groups_of(20, 10)) == Interval(*wilson(20, 20))


def test_images_of_one_patient_have_no_interval() -> None:
    found = share_of_all(np.arange(20) < 15, groups_of(1, 20))
    assert (found.low, found.high) == (None, None)
    assert "one patient" in str(found.reason)


def test_resamples_draw_whole_patients_and_keep_the_classes() -> None:
    patients = [f"p{i // 3}" for i in range(30)]
    target_N = np.repeat([0, 1], [18, 12])
    groups = group_patients(patients, target_N)
    weights_NR = bootstrap(lambda weights_NR: {"w": weights_NR}, groups, num_resamples=50, seed=4)["w"]
    by_patient = weights_NR.reshape(10, 3, 50)
    assert (by_patient == by_patient[:, :1]).all()
    assert (weights_NR[:18].sum(axis=0) == 18).all()
    assert (weights_NR[18:].sum(axis=0) == 12).all()


def test_resamples_are_those_of_the_seed() -> None:
    values_N, groups = np.random.default_rng(0).normal(size=60), groups_of(20, 3)
    first, again, other = (means_of(values_N, groups, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_resamples_in_several_pieces_are_as_many_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanlens.evaluation.resampling.MAX_ENTRIES", 60 * 7)
    samples_R = means_of(np.random.default_rng(0).normal(size=60), groups_of(20, 3), num_resamples=100)
    assert len(samples_R) == 100
    assert len(np.unique(samples_R)) > 90


def test_an_image_without_a_patient_is_a_patient_of_its_own() -> None:
    groups = group_patients(["a", None, "a", "", "b"], np.zeros(5, dtype=np.int64))
    assert groups.patient_N[0] == groups.patient_N[2]
    assert len(set(groups.patient_N.tolist())) == 4
    assert (groups.num_known, groups.num_images_alone, groups.num_patients) == (2, 2, 4)
    assert groups.resampled.startswith("patients (2 images")


def test_near_duplicates_of_unknown_patients_are_one_unit_and_known_patients_stay_themselves() -> None:
    patients, groups = ["a", None, None, "a", None], ["g1", "g1", "g2", "g3", "g2"]
    found = group_patients(patients, np.zeros(5, dtype=np.int64), groups=groups)
    assert found.patient_N.tolist() == [0, 1, 2, 0, 2]
    assert (found.num_known, found.num_images_alone, found.num_units_alone, found.num_patients) == (1, 3, 2, 3)
    assert found.resampled == (
        "patients (3 images without a known patient count as 2 patients, near-duplicates as one)"
    )


def test_a_patient_alone_in_a_class_is_still_resampled() -> None:
    groups = group_patients(["a", "b", "c", "d"], np.array([0, 0, 0, 1]))
    weights_NR = bootstrap(lambda weights_NR: {"w": weights_NR}, groups, num_resamples=100, seed=0)["w"]
    assert len(np.unique(weights_NR[3])) > 1


def test_patients_must_be_as_many_as_images() -> None:
    with pytest.raises(ValueError, match="patients: expected one entry for each of 3 images, got 2"):
        group_patients(["a", "b"], np.zeros(3, dtype=np.int64))


def test_percentiles_of_many_patients_are_the_plain_ones() -> None:
    samples_R = np.random.default_rng(0).normal(size=4000)
    found = percentile_interval(samples_R, num_patients=100_000)
    assert [found.low, found.high] == pytest.approx(np.quantile(samples_R, [0.025, 0.975]), abs=1e-3)
    assert width(percentile_interval(samples_R, num_patients=6)) > 1.2 * width(found)


@pytest.mark.parametrize(
    ("samples", "num_patients", "words"),
    [
        (np.r_[np.full(21, np.nan), np.linspace(0, 1, 79)], 50, "not defined in 21 %"),
        (np.full(100, np.nan), 50, "not defined in 100 %"),
        (np.ones(100), 50, "all resamples give the same value"),
        (np.linspace(0, 1, 20), 50, "20 resamples"),
        (np.linspace(0, 1, 100), 1, "at least two patients"),
        (None, 50, "no resamples"),
    ],
)
def test_where_there_is_no_interval_the_reason_is_given(samples: NDArray | None, num_patients: int, words: str) -> None:
    found = percentile_interval(samples, num_patients=num_patients)
    assert (found.low, found.high) == (None, None)
    assert words in str(found.reason)


def test_a_fifth_of_undefined_resamples_is_left_out() -> None:
    samples_R = np.r_[np.full(20, np.nan), np.linspace(0, 1, 80)]
    found = percentile_interval(samples_R, num_patients=100_000)
    assert [found.low, found.high] == pytest.approx([0.025, 0.975], abs=1e-3)


def correlated(num_patients: int, per_patient: int, share: float, *, seed: int) -> NDArray:
    """Right or wrong answers whose chance differs between patients."""
    generator = np.random.default_rng(seed)
    chance_P = generator.beta(4 * share, 4 * (1 - share), size=num_patients)
    return (generator.random((num_patients, per_patient)) < chance_P[:, None]).ravel()


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_share_intervals_hold_the_truth_as_often_as_they_say_and_naive_ones_do_not(share: float) -> None:
    groups, covered, naive = groups_of(25, 8), 0, 0
    for seed in range(400):
        success_N = correlated(25, 8, share, seed=seed)
        found = share_of_all(success_N, groups)
        low, high = wilson(int(success_N.sum()), 200)
        covered += found.low is not None and found.high is not None and found.low <= share <= found.high
        naive += low <= share <= high
    assert 0.92 <= covered / 400 <= 0.985
    assert naive / 400 < 0.85


def test_the_mean_of_two_shares_has_the_interval_of_their_independent_sum() -> None:
    """For shares far from 0 and 1 Wilson's bounds are nearly those of a normal distribution, which add in squares."""
    parts = [Interval(*wilson(500, 1000)), Interval(*wilson(400, 1000))]
    found = mean_of_shares_interval([0.5, 0.4], parts)
    half = 1.96 * np.sqrt(0.25 / 1000 + 0.24 / 1000) / 2
    assert [found.low, found.high] == pytest.approx([0.45 - half, 0.45 + half], abs=1e-3)
    unsure = mean_of_shares_interval([0.5, 1.0], [parts[0], Interval(None, None, "no interval: all of one patient")])
    assert unsure == Interval(None, None, "no interval: all of one patient")


def test_a_class_without_an_error_still_adds_its_uncertainty() -> None:
    low, _ = wilson(5, 5)
    found = mean_of_shares_interval([1.0, 1.0], [Interval(low, 1.0)] * 2)
    assert [found.low, found.high] == pytest.approx([1 - (1 - low) / np.sqrt(2), 1.0])


def test_the_mean_of_independent_numbers_has_students_interval() -> None:
    value_N = np.random.default_rng(1).normal(size=20)
    found = mean_interval(value_N, groups_of(20, 1))
    expected = ttest_1samp(value_N, 0).confidence_interval(0.95)
    assert [found.low, found.high] == pytest.approx([expected.low, expected.high])
    among_N = np.arange(20) < 8
    some = mean_interval(value_N, groups_of(20, 1), among_N=among_N)
    part = ttest_1samp(value_N[:8], 0).confidence_interval(0.95)
    assert [some.low, some.high] == pytest.approx([part.low, part.high])


def test_patients_of_unequal_size_have_the_interval_of_the_jackknife() -> None:
    """Sizes 1, 2, 3, 6: the mean without each patient in turn; 144 / 50 = 2.88 equal patients, so 1.88 degrees."""
    unit_N = np.repeat(np.arange(4), [1, 2, 3, 6])
    value_N = np.random.default_rng(2).normal(size=12)
    groups = group_patients([f"p{u}" for u in unit_N], np.zeros(12, dtype=np.int64))
    without = np.array([value_N[unit_N != unit].mean() for unit in range(4)])
    error = np.sqrt(3 / 4 * np.square(without - value_N.mean()).sum())
    half = t.ppf(0.975, 144 / 50 - 1) * error
    found = mean_interval(value_N, groups)
    assert [found.low, found.high] == pytest.approx([value_N.mean() - half, value_N.mean() + half])


def test_one_patient_with_nearly_all_images_leaves_a_wide_interval() -> None:
    success_N = np.arange(101) % 4 > 0
    groups = group_patients(["big"] * 100 + ["small"], np.zeros(101, dtype=np.int64))
    assert width(share_of_all(success_N, groups)) > 0.5


def test_losses_have_an_interval_above_zero() -> None:
    loss_N = np.r_[np.full(9, 0.001), 5.0]
    plain, logged = (mean_interval(loss_N, groups_of(10, 1), is_ratio_scale=is_ratio) for is_ratio in (False, True))
    assert plain.low is not None
    assert plain.low < 0
    assert logged.low is not None
    assert 0 < logged.low < loss_N.mean() < (logged.high or 0)
    assert "same value" in str(mean_interval(np.ones(4), groups_of(2, 2)).reason)
    assert "at least two patients" in str(mean_interval(loss_N, groups_of(1, 10)).reason)


@pytest.mark.parametrize("num_patients", [8, 40])
def test_bootstrap_intervals_hold_the_true_mean_as_often_as_they_say(num_patients: int) -> None:
    groups, covered = groups_of(num_patients, 5), 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        values_N = (generator.normal(size=(num_patients, 1)) + generator.normal(size=(num_patients, 5))).ravel()
        found = percentile_interval(means_of(values_N, groups, num_resamples=400, seed=seed), num_patients=num_patients)
        covered += found.low is not None and found.high is not None and found.low <= 0 <= found.high
    assert 0.90 <= covered / 200 <= 0.99


def test_the_bootstrap_over_patients_is_wider_than_over_images_of_alike_slices() -> None:
    values_N = np.repeat(np.random.default_rng(3).normal(size=40), 10)
    over_patients = percentile_interval(means_of(values_N, groups_of(40, 10)), num_patients=40)
    alone = group_patients([None] * 400, np.zeros(400, dtype=np.int64))
    over_images = percentile_interval(means_of(values_N, alone), num_patients=400)
    assert width(over_patients) == pytest.approx(np.sqrt(10) * width(over_images), rel=0.15)
