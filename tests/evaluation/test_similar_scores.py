"""How often it was so where the score was about the same: counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.intervals import wilson
from scanlens.evaluation.resampling import group_patients
from scanlens.evaluation.similar_scores import LEAST_SIMILAR, similar_scores

NUM = 40
SCORES = np.full(NUM, 0.5)
TRUTH = np.arange(NUM) % 4 == 0  # one of four


def everybody_alone(num: int = NUM):
    return group_patients([f"p{n}" for n in range(num)], np.zeros(num, dtype=np.int64))


def test_counts_and_interval_are_those_of_the_nearest() -> None:
    found = similar_scores(1, SCORES, TRUTH, everybody_alone(), num=20)
    # the first twenty others: 0, 2, 3, ... 20; positive: 0, 4, 8, 12, 16, 20
    assert (found["num"], found["num_positive"], found["num_patients"]) == (20, 6, 20)
    assert found["value"] == pytest.approx(0.3)
    assert (found["low"], found["high"]) == pytest.approx(wilson(6, 20))
    assert (found["lowest"], found["highest"]) == (0.5, 0.5)


def test_the_own_patient_does_not_count() -> None:
    patients = ["own"] * 20 + [f"p{n}" for n in range(20)]
    groups = group_patients(patients, np.zeros(NUM, dtype=np.int64))
    found = similar_scores(3, SCORES, np.arange(NUM) < 20, groups)
    assert (found["num"], found["num_positive"], found["value"]) == (20, 0, 0.0)


def test_near_is_a_matter_of_log_odds() -> None:
    scores = np.concatenate(
        [[0.01], np.full(15, 0.02), np.full(15, 0.2)]
    )  # 0.02 is 0.70 away in log-odds, 0.2 is 3.2 away
    truth = np.concatenate([[True], np.zeros(15, bool), np.ones(15, bool)])
    found = similar_scores(0, scores, truth, everybody_alone(31))
    assert (found["num"], found["num_positive"], found["highest"]) == (15, 0, 0.02)


def test_where_few_are_near_the_nearest_ten_are_told_with_their_range() -> None:
    scores = np.concatenate([[0.5], np.full(4, 0.5), np.full(20, 0.999)])
    found = similar_scores(0, scores, np.arange(25) >= 5, everybody_alone(25))
    assert (found["num"], found["num_positive"], found["is_near"]) == (10, 6, False)
    assert (found["lowest"], found["highest"]) == (0.5, 0.999)


def test_too_few_others_give_no_share_and_a_reason() -> None:
    found = similar_scores(0, np.full(10, 0.5), np.ones(10, bool), everybody_alone(10))
    assert found["value"] is None
    assert found["num"] == 0
    assert f"only 9 test images of others are there, and {LEAST_SIMILAR} are needed" in found["reason"]


def test_scores_of_0_and_1_are_near_their_like() -> None:
    scores = np.concatenate([np.zeros(12), np.ones(12)])
    found = similar_scores(0, scores, scores == 1, everybody_alone(24))
    assert (found["num"], found["num_positive"], found["highest"]) == (11, 0, 0.0)


@pytest.mark.parametrize("scores", [np.full(NUM, 1.5), np.full(NUM, np.nan), np.full(3, 0.5)])
def test_no_probabilities_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"score_N|is_positive_N"):
        similar_scores(0, scores, TRUTH, everybody_alone())
