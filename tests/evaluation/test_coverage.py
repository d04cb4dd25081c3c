"""95 % intervals hold the truth 93 to 97 times in 100, over made-up cohorts whose patients have 1 to 30 images."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from scanlens.evaluation.classification import evaluate_classification

METRICS = ("auroc", "accuracy", "balanced_accuracy", "sensitivity")
NUM_COHORTS = 300
LOWEST, HIGHEST = 0.93, 0.97
SIGNAL = 1.6


def truths() -> dict[str, float]:
    """Scores are N(SIGNAL, 1) for the ill and N(0, 1) for the healthy; the threshold lies half way."""
    right = float(norm.cdf(SIGNAL / 2))
    return {
        "auroc": float(norm.cdf(SIGNAL / np.sqrt(2))),
        "accuracy": right,
        "balanced_accuracy": right,
        "sensitivity": right,
    }


def intervals(num_patients: int, likeness: float, seed: int) -> dict[str, tuple[float, float]]:
    """Of one cohort: half its patients ill, 1 to 30 images each, scores correlated within a patient by `likeness`."""
    generator = np.random.default_rng([seed, num_patients])
    num_images_P = generator.integers(1, 31, size=num_patients)
    unit_N = np.repeat(np.arange(num_patients), num_images_P)
    target_N = unit_N % 2
    shared_N = generator.normal(size=num_patients)[unit_N]
    score_N = (
        SIGNAL * target_N + np.sqrt(likeness) * shared_N + np.sqrt(1 - likeness) * generator.normal(size=len(unit_N))
    )
    ill_N = norm.cdf(score_N - SIGNAL / 2)
    found = evaluate_classification(
        np.c_[1 - ill_N, ill_N],
        target_N,
        class_names=["healthy", "ill"],
        patients=[f"p{u}" for u in unit_N],
        seed=seed,
        num_resamples=400,
    )["slice"]
    named = {**found["metrics"], "sensitivity": found["per_class"]["ill"]["sensitivity"]}
    return {metric: (named[metric]["low"], named[metric]["high"]) for metric in METRICS}


@pytest.mark.slow
@pytest.mark.parametrize(("num_patients", "likeness"), [(100, 0.3), (100, 0.6), (60, 0.45), (30, 0.3), (30, 0.6)])
def test_intervals_hold_the_truth_as_often_as_they_say(num_patients: int, likeness: float) -> None:
    covered = dict.fromkeys(METRICS, 0)
    for seed in range(NUM_COHORTS):
        for metric, (low, high) in intervals(num_patients, likeness, seed).items():
            covered[metric] += low <= truths()[metric] <= high
    shares = {metric: round(count / NUM_COHORTS, 3) for metric, count in covered.items()}
    assert all(LOWEST <= share <= HIGHEST for share in shares.values()), (
        f"{num_patients} patients, {likeness}: {shares}"
    )
