"""Whether maps point at lesions more often than chance."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from scipy.stats import binomtest

from scanlens.evaluation.intervals import wilson
from scanlens.evaluation.pointing import chance_p_value, localization_summary


def test_equal_areas_give_the_binomial_test() -> None:
    expected = binomtest(12, 40, 0.1, alternative="greater").pvalue
    assert chance_p_value(12, np.full(40, 0.1)) == pytest.approx(expected)


def test_unequal_areas_give_the_sum_over_all_outcomes() -> None:
    shares = np.array([0.1, 0.5, 0.25, 0.7])
    outcomes = np.array(list(itertools.product([0, 1], repeat=4)))
    chance = np.where(outcomes == 1, shares, 1 - shares).prod(axis=1)
    for hits in range(5):
        assert chance_p_value(hits, shares) == pytest.approx(chance[outcomes.sum(axis=1) >= hits].sum())


def test_fractions_of_hits_count_down() -> None:
    shares = np.full(10, 0.2)
    assert chance_p_value(3.7, shares) == chance_p_value(3, shares)


def test_the_summary_counts_hits_blank_maps_and_chance() -> None:
    found = localization_summary(
        [1.0] * 15 + [0.0] * 5, [0.05] * 10 + [0.15] * 10, patients=[None] * 20, num_blank=2, seed=0
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["num_images"], found["num_hits"], found["num_blank"], found["num_patients"]) == (20, 15, 2, None)
    assert found["hit_rate"]["value"] == 0.75
    assert (found["hit_rate"]["low"], found["hit_rate"]["high"]) == pytest.approx(wilson(15, 20))
    assert found["chance"] == pytest.approx(0.1)
    assert found["excess"]["value"] == pytest.approx(0.65)
    assert 0 < found["excess"]["low"] < 0.65 < found["excess"]["high"]
    assert found["p_value"] < 1e-8


def test_pointing_at_random_is_not_called_better_than_chance() -> None:
    generator = np.random.default_rng(1)
    p_values = []
    for _ in range(200):
        shares = generator.uniform(0.02, 0.3, size=50)
        p_values.append(chance_p_value(float((generator.random(50) < shares).sum()), shares))
    assert np.mean(np.array(p_values) < 0.05) <= 0.08


def test_slices_of_a_patient_that_hit_together_widen_the_interval() -> None:
    hits = np.repeat(np.arange(20) % 2, 5).astype(float).tolist()
    patients = [f"p{i // 5}" for i in range(100)]
    grouped = localization_summary(hits, [0.1] * 100, patients=patients)
    alone = localization_summary(hits, [0.1] * 100, patients=[None] * 100)
    for name in ("hit_rate", "excess"):
        ratio = (grouped[name]["high"] - grouped[name]["low"]) / (alone[name]["high"] - alone[name]["low"])
        assert 1.7 < ratio < 2.7


def test_no_image_with_a_mask_gives_nulls_and_a_reason() -> None:
    found = localization_summary([], [], patients=[])
    assert found["num_images"] == 0
    assert found["hit_rate"] == {"value": None, "low": None, "high": None, "reason": "no image with a lesion mask"}
    assert found["p_value"] is found["chance"] is None


@pytest.mark.parametrize(
    ("hits", "shares", "num_blank", "words"),
    [
        ([1.0, 2.0], [0.1, 0.1], 0, "hits: row 1 is 2.0"),
        ([1.0, 0.0], [0.1, 0.0], 0, "empty mask"),
        ([1.0, 0.0], [0.1, 0.2], 2, "num_blank: expected 0 to 1"),
        ([1.0, 0.0], [0.1], 0, "area_shares: expected one entry"),
    ],
)
def test_impossible_input_is_refused(hits: list[float], shares: list[float], num_blank: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        localization_summary(hits, shares, patients=[None] * len(hits), num_blank=num_blank)
