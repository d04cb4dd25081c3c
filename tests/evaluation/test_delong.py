"""DeLong's and Obuchowski's variances of a difference: pair by pair, and what they say in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scanlens.evaluation.delong import delong_difference
from scanlens.evaluation.resampling import PatientGroups, group_patients


def by_pairs(score_N: NDArray, is_positive_N: NDArray) -> NDArray:
    """Placements from every pair: (positives, negatives) of 1, 1/2 or 0."""
    above = score_N[is_positive_N][:, None] - score_N[~is_positive_N][None, :]
    return (above > 0) + 0.5 * (above == 0)


def obuchowski(pairs: NDArray, positive_unit: NDArray, negative_unit: NDArray) -> float:
    """Equations 4 to 6 of Obuchowski 1997, patient by patient."""
    m, n = pairs.shape
    area = pairs.mean()
    units = sorted({*positive_unit.tolist(), *negative_unit.tolist()})
    placed = {u: (pairs[positive_unit == u].mean(axis=1), pairs[:, negative_unit == u].mean(axis=0)) for u in units}
    with_positive = sum(len(x) > 0 for x, _ in placed.values())
    with_negative = sum(len(y) > 0 for _, y in placed.values())
    num = len(units)
    s10 = with_positive / ((with_positive - 1) * m) * sum((x.sum() - len(x) * area) ** 2 for x, _ in placed.values())
    s01 = with_negative / ((with_negative - 1) * n) * sum((y.sum() - len(y) * area) ** 2 for _, y in placed.values())
    both = sum((x.sum() - len(x) * area) * (y.sum() - len(y) * area) for x, y in placed.values())
    return s10 / m + s01 / n + 2 * num / (num - 1) * both / (m * n)


def cohort(
    *, num_patients: int, per_patient: int, seed: int, gain: float = 0.0
) -> tuple[NDArray, NDArray, NDArray, PatientGroups]:
    """Two scores that share a disturbance of the patient; of patients with both kinds of images."""
    generator = np.random.default_rng(seed)
    unit_N = np.repeat(np.arange(num_patients), per_patient)
    is_positive_N = (np.arange(len(unit_N)) + unit_N) % 3 == 0
    shared_N = generator.normal(size=num_patients)[unit_N]
    first_N = 1.0 * is_positive_N + shared_N + generator.normal(size=len(unit_N))
    second_N = (1.0 + gain) * is_positive_N + shared_N + generator.normal(size=len(unit_N))
    groups = group_patients([f"p{u}" for u in unit_N], is_positive_N.astype(np.int64))
    return first_N, second_N, is_positive_N, groups


def test_patients_with_several_images_have_obuchowskis_variance_of_a_difference() -> None:
    """Of a difference, as of an area, from the pairs of the one network less those of the other."""
    first_N, second_N, is_positive_N, groups = cohort(num_patients=25, per_patient=4, seed=5)
    unit_N = groups.patient_N
    pairs = by_pairs(first_N, is_positive_N) - by_pairs(second_N, is_positive_N)
    expected = obuchowski(pairs, unit_N[is_positive_N], unit_N[~is_positive_N])
    found = delong_difference(first_N, second_N, is_positive_N, groups=groups)
    assert found["standard_error"] ** 2 == pytest.approx(expected)
    alone = group_patients([None] * 100, is_positive_N.astype(np.int64))
    both = [delong_difference(first_N, second_N, is_positive_N, groups=given) for given in (alone, None)]
    assert both[0] == both[1]


def test_the_variance_of_a_difference_is_that_of_the_2_by_2_covariance() -> None:
    first_N, second_N, is_positive_N, _ = cohort(num_patients=60, per_patient=1, seed=2)
    pairs = [by_pairs(score_N, is_positive_N) for score_N in (first_N, second_N)]
    m, n = pairs[0].shape
    covariance = np.cov([one.mean(axis=1) for one in pairs]) / m + np.cov([one.mean(axis=0) for one in pairs]) / n
    found = delong_difference(first_N, second_N, is_positive_N)
    assert found["value"] == pytest.approx(pairs[0].mean() - pairs[1].mean())
    assert found["standard_error"] ** 2 == pytest.approx(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])


def test_exchanging_the_networks_turns_the_difference_around() -> None:
    first_N, second_N, is_positive_N, groups = cohort(num_patients=30, per_patient=3, seed=1, gain=0.5)
    one, other = (
        delong_difference(a, b, is_positive_N, groups=groups) for a, b in ((first_N, second_N), (second_N, first_N))
    )
    assert (one["value"], one["low"], one["p"]) == pytest.approx((-other["value"], -other["high"], other["p"]))


def test_a_score_that_is_shifted_ranks_alike() -> None:
    score_N, _, is_positive_N, _ = cohort(num_patients=30, per_patient=3, seed=1)
    found = delong_difference(score_N, 3 * score_N + 1, is_positive_N)
    assert (found["value"], found["p"], found["low"]) == (0.0, 1.0, None)
    assert "rank the images alike" in found["reason"]


@pytest.mark.parametrize(
    ("is_positive_N", "words"),
    [(np.ones(4, dtype=bool), "only one kind"), (np.arange(4) > 2, "at least two patients")],
)
def test_where_there_is_no_interval_the_reason_is_given(is_positive_N: NDArray, words: str) -> None:
    found = delong_difference(np.arange(4.0), np.arange(4.0)[::-1], is_positive_N)
    assert found["low"] is None
    assert words in found["reason"]


def test_a_score_that_is_not_a_number_is_refused_with_its_row() -> None:
    with pytest.raises(ValueError, match="score_N: row 1"):
        delong_difference(np.arange(4.0), np.array([0.0, np.nan, 1.0, 2.0]), np.array([True, False, True, False]))


def test_no_difference_is_found_as_often_as_said() -> None:
    """The networks are equally good, and share what disturbs them."""
    num, found = 500, 0
    for seed in range(num):
        first_N, second_N, is_positive_N, groups = cohort(num_patients=30, per_patient=6, seed=seed)
        found += delong_difference(first_N, second_N, is_positive_N, groups=groups)["p"] < 0.05
    assert 0.025 <= found / num <= 0.075, found / num
