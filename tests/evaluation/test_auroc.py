"""Intervals of the AUROC: published numbers, the jackknife done pair by pair, the edges, and what they hold in simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from scanlens.evaluation.auroc import auroc_interval, mean_auroc_interval
from scanlens.evaluation.intervals import Interval
from scanlens.evaluation.resampling import PatientGroups, group_patients

# Hanley & McNeil, Radiology 143:29-36, 1982, table I: 109 CT images rated from definitely normal to definitely abnormal.
RATED_NORMAL, RATED_ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)


def alone(num: int) -> PatientGroups:
    return group_patients([None] * num, np.zeros(num, dtype=np.int64))


def cohort(*, num_patients: int, seed: int, most_images: int = 8) -> tuple[NDArray, NDArray, PatientGroups]:
    """Every second patient ill, with 1 to 8 images that are alike."""
    generator = np.random.default_rng(seed)
    unit_N = np.repeat(np.arange(num_patients), generator.integers(1, most_images + 1, size=num_patients))
    is_ill_N = unit_N % 2 == 1
    score_N = 1.4 * is_ill_N + generator.normal(size=num_patients)[unit_N] + generator.normal(size=len(unit_N))
    return score_N, is_ill_N, group_patients([f"p{u}" for u in unit_N], is_ill_N.astype(np.int64))


def bounds(area: float, variance: float, degrees: float) -> tuple[float, float]:
    half = t.ppf(0.975, degrees) * np.sqrt(variance) / (area * (1 - area))
    return expit(logit(area) - half), expit(logit(area) + half)


def by_kurtosis(changes_P: NDArray, fewest: int) -> float:
    """O'Neill 2014: 2 n / (kurtosis - (n - 3) / (n - 1)), no more than the patients of the rarer kind less one."""
    num = len(changes_P)
    kurtosis = np.mean(changes_P**4) / np.mean(changes_P**2) ** 2
    return min(fewest - 1, 2 * num / (kurtosis - (num - 3) / (num - 1)))


def welch(variances: list[float], counts: list[int]) -> float:
    """Welch 1938: of a sum of variances."""
    return sum(variances) ** 2 / sum(v**2 / (num - 1) for v, num in zip(variances, counts, strict=True))


def test_the_published_example_has_its_published_variance() -> None:
    """AUROC 0.893 (Hanley & McNeil); DeLong's standard error, 0.0307, as Stata's manual prints it for `roctab`."""
    score_N = np.r_[np.repeat(np.arange(5), RATED_NORMAL), np.repeat(np.arange(5), RATED_ABNORMAL)].astype(float)
    is_positive_N = np.arange(109) >= 58
    found = auroc_interval(score_N, is_positive_N, alone(109))
    area = roc_auc_score(is_positive_N, score_N)
    assert area == pytest.approx(0.8932, abs=5e-5)
    pairs = (score_N[58:, None] > score_N[:58]) + 0.5 * (score_N[58:, None] == score_N[:58])
    parts = [np.var(pairs.mean(axis=1), ddof=1) / 51, np.var(pairs.mean(axis=0), ddof=1) / 58]
    assert np.sqrt(sum(parts)) == pytest.approx(0.0307, abs=5e-5)
    assert [found.low, found.high] == pytest.approx(bounds(area, sum(parts), welch(parts, [51, 58])))


@pytest.mark.parametrize("seed", range(3))
def test_the_variance_is_that_of_leaving_out_one_patient_at_a_time(seed: int) -> None:
    score_N, is_ill_N, groups = cohort(num_patients=24, seed=seed)
    area, unit_N = roc_auc_score(is_ill_N, score_N), groups.patient_N
    without_P = np.array([roc_auc_score(is_ill_N[unit_N != p], score_N[unit_N != p]) for p in range(24)])
    changes_P = without_P - area
    variance = 11 / 12 * np.square(changes_P).sum()  # twelve patients of either kind
    found = auroc_interval(score_N, is_ill_N, groups)
    assert [found.low, found.high] == pytest.approx(bounds(area, variance, by_kurtosis(changes_P, 12)))


def test_of_images_that_count_the_others_do_not_matter() -> None:
    score_N, is_ill_N, groups = cohort(num_patients=24, seed=1)
    among_N = np.arange(len(score_N)) % 3 > 0
    part = group_patients([f"p{u}" for u in groups.patient_N[among_N]], is_ill_N[among_N].astype(np.int64))
    expected = auroc_interval(score_N[among_N], is_ill_N[among_N], part)
    assert auroc_interval(score_N, is_ill_N, groups, among_N=among_N) == expected


def test_images_that_repeat_a_patient_add_no_certainty() -> None:
    score_P, is_ill_P = np.random.default_rng(2).normal(size=30), np.arange(30) % 2 == 0

    def repeated(times: int) -> tuple[float, float]:
        is_ill_N, names = np.repeat(is_ill_P, times), np.repeat([f"p{u}" for u in range(30)], times)
        groups = group_patients(list(names), is_ill_N.astype(np.int64))
        found = auroc_interval(np.repeat(score_P, times), is_ill_N, groups)
        return found.low or 0, found.high or 0

    once, twice, ten_times = repeated(1), repeated(2), repeated(10)
    assert ten_times == pytest.approx(twice)
    assert twice[0] <= once[0] < once[1] <= twice[1]
    assert twice == pytest.approx(once, abs=0.02)


def test_a_score_turned_around_has_the_interval_turned_around() -> None:
    score_N, is_ill_N, groups = cohort(num_patients=20, seed=4)
    found, turned = auroc_interval(score_N, is_ill_N, groups), auroc_interval(-score_N, is_ill_N, groups)
    assert [turned.low, turned.high] == pytest.approx([1 - (found.high or 0), 1 - (found.low or 0)])


def of_classes(num_patients: int, *, seed: int, signal: float = 1.5) -> tuple[NDArray, NDArray]:
    """Three classes in turn, an image a patient."""
    generator = np.random.default_rng(seed)
    target_N = np.arange(num_patients) % 3
    odds_NK = np.exp(generator.normal(size=(num_patients, 3)) + signal * np.eye(3)[target_N])
    return odds_NK / odds_NK.sum(axis=1, keepdims=True), target_N


def test_two_classes_have_the_interval_of_either() -> None:
    score_N, is_ill_N, groups = cohort(num_patients=24, seed=7)
    p_N = expit(score_N)
    found = mean_auroc_interval(np.c_[1 - p_N, p_N], is_ill_N.astype(np.int64), groups)
    assert [found.low, found.high] == pytest.approx(list(vars_of(auroc_interval(p_N, is_ill_N, groups))))


def vars_of(interval: Interval) -> tuple[float | None, float | None]:
    return interval.low, interval.high


def test_the_mean_over_classes_has_the_variance_of_leaving_out_one_patient_of_a_class_at_a_time() -> None:
    """Leaving one out also changes the mix of classes, by the same for all of a class: hence the deviations from its mean."""
    probabilities_NK, target_N = of_classes(60, seed=3)

    def mean_area(kept_N: NDArray) -> float:
        areas = [roc_auc_score(target_N[kept_N] == k, probabilities_NK[kept_N, k]) for k in range(3)]
        return float(np.mean(areas))

    without_N = np.array([mean_area(np.arange(60) != n) for n in range(60)])
    for k in range(3):
        without_N[target_N == k] -= without_N[target_N == k].mean()
    area, parts = mean_area(np.ones(60, dtype=bool)), [19 / 20 * np.square(without_N[k::3]).sum() for k in range(3)]
    found = mean_auroc_interval(probabilities_NK, target_N, alone(60))
    expected = bounds(area, sum(parts), welch(parts, [20, 20, 20]))
    assert [found.low, found.high] == pytest.approx(expected, abs=2e-3)


def hanley_mcneil(area: float, num_positive: int, num_negative: int) -> float:
    """Their variance of an area, equation 1 and the exponential model."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    above = area * (1 - area) + (num_positive - 1) * (q1 - area**2) + (num_negative - 1) * (q2 - area**2)
    return above / (num_positive * num_negative)


def test_a_perfect_ranking_is_as_sure_as_the_number_of_patients() -> None:
    """With as many of either kind Newcombe's method 5 has Hanley and McNeil's variance, at the bound itself."""
    for num in (4, 15, 200):
        is_ill_N = np.repeat(np.arange(2 * num) >= num, 3)
        groups = group_patients([f"p{n // 3}" for n in range(6 * num)], is_ill_N.astype(np.int64))
        found = auroc_interval(np.arange(6.0 * num), is_ill_N, groups)
        assert found.high == 1
        assert found.low is not None
        assert (1 - found.low) ** 2 == pytest.approx(norm.ppf(0.975) ** 2 * hanley_mcneil(found.low, num, num))
        worst = auroc_interval(-np.arange(6.0 * num), is_ill_N, groups)
        assert (worst.low, worst.high) == (0, pytest.approx(1 - found.low))
    target_N = np.arange(30) % 3
    classes = mean_auroc_interval(np.eye(3)[target_N], target_N, alone(30))
    one = auroc_interval((target_N == 0).astype(float), target_N == 0, alone(30))
    assert (classes.low, classes.high) == (pytest.approx(one.low), 1)


@pytest.mark.parametrize(
    ("score_N", "is_positive_N", "words"),
    [
        (np.arange(4.0), np.ones(4, dtype=bool), "only one kind of image here"),
        (np.arange(4.0), np.arange(4) > 2, "needs at least two images of either kind"),
        (np.zeros(6), np.arange(6) > 2, "all images are ranked alike"),
    ],
)
def test_where_there_is_no_interval_the_reason_is_given(score_N: NDArray, is_positive_N: NDArray, words: str) -> None:
    found = auroc_interval(score_N, is_positive_N, alone(len(score_N)))
    assert (found.low, found.high) == (None, None)
    assert words in str(found.reason)
    both = mean_auroc_interval(np.c_[1 - score_N, score_N], is_positive_N.astype(np.int64), alone(len(score_N)))
    assert (both.low, both.high) == (None, None)


def test_a_score_that_is_not_a_number_is_refused_with_its_row() -> None:
    with pytest.raises(ValueError, match="score_N: row 1"):
        auroc_interval(np.array([0.0, np.nan, 1.0, 2.0]), np.array([True, False, True, False]), alone(4))


def share_held(num_patients: int, area: float, share_ill: float, likeness: float, *, num: int) -> float:
    """How often the truth is held, with 1 to 20 images a patient; `likeness` is the patient's part of the variance."""
    held, signal = 0, np.sqrt(2) * norm.ppf(area)
    for seed in range(num):
        generator = np.random.default_rng([seed, num_patients])
        unit_N = np.repeat(np.arange(num_patients), generator.integers(1, 21, size=num_patients))
        is_ill_N = unit_N < share_ill * num_patients
        shared_N = generator.normal(size=num_patients)[unit_N]
        noise_N = np.sqrt(likeness) * shared_N + np.sqrt(1 - likeness) * generator.normal(size=len(unit_N))
        groups = group_patients([f"p{u}" for u in unit_N], is_ill_N.astype(np.int64))
        found = auroc_interval(signal * is_ill_N + noise_N, is_ill_N, groups)
        held += found.low is not None and found.high is not None and found.low <= area <= found.high
    return held / num


@pytest.mark.parametrize(("num_patients", "area"), [(30, 0.7), (45, 0.95)])
def test_intervals_hold_the_truth_as_often_as_they_say(num_patients: int, area: float) -> None:
    assert 0.925 <= share_held(num_patients, area, 1 / 3, 0.5, num=300) <= 0.975


@pytest.mark.slow
def test_intervals_hold_the_truth_in_small_and_uneven_cohorts() -> None:
    """Of 500 cohorts a share of 0.95 is known to within 0.02; percentiles of a bootstrap hold it in 0.87 to 0.96."""
    settings = list(product((30, 45, 60, 100), (0.7, 0.85, 0.95), (0.5, 0.2), (0.3, 0.6)))
    held = {setting: share_held(*setting, num=500) for setting in settings}
    assert 0.94 <= np.mean(list(held.values())) <= 0.965, held
    assert all(0.91 <= share <= 0.985 for share in held.values()), held
    assert sum(0.93 <= share <= 0.97 for share in held.values()) >= 40, held
