"""What is lost when images get worse: signs, pairing, and the numbers of the plain judgement at strength 0."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import softmax

from fakes.planted import drawn
from scanlens.evaluation.classification import evaluate_classification
from scanlens.evaluation.robustness import Answers, JudgedImages, robustness_point


def of_pairs(target_N: np.ndarray, *, num_resamples: int = 200) -> JudgedImages:
    return JudgedImages(
        target_N=target_N,
        class_names=["a", "b", "c"],
        patients=[f"p{n // 2}" for n in range(len(target_N))],
        groups=[f"p{n // 2}" for n in range(len(target_N))],
        seed=0,
        num_resamples=num_resamples,
    )


def answers(stated_NK: np.ndarray) -> Answers:
    return Answers(stated_NK, stated_NK)


def test_what_is_lost_is_the_difference_of_the_metrics_and_above_0_for_worse() -> None:
    logits_NK, target_N = drawn(120)
    noise_NK = 3 * np.random.default_rng(1).standard_normal(logits_NK.shape)
    plain, worse = answers(softmax(logits_NK, axis=1)), answers(softmax(logits_NK + noise_NK, axis=1))
    images = of_pairs(target_N)
    start = robustness_point(plain, plain, images, is_plain=True)
    found = robustness_point(worse, plain, images)
    for metric in ("auroc", "balanced_accuracy"):
        assert found["loss"][metric]["value"] == pytest.approx(start[metric]["value"] - found[metric]["value"])
        assert found["loss"][metric]["low"] > 0
    assert found["loss"]["log_loss"]["value"] == pytest.approx(found["log_loss"]["value"] - start["log_loss"]["value"])
    assert found["loss"]["log_loss"]["low"] > 0
    changed = (worse.stated_NK.argmax(axis=1) != plain.stated_NK.argmax(axis=1)).mean()
    assert found["changed"]["value"] == pytest.approx(changed)
    json.dumps([start, found], allow_nan=False)


def test_without_a_change_nothing_is_lost_and_the_numbers_are_those_of_the_evaluation() -> None:
    logits_NK, target_N = drawn(60)
    plain, images = answers(softmax(logits_NK, axis=1)), of_pairs(target_N)
    start = robustness_point(plain, plain, images, is_plain=True)
    judged = evaluate_classification(
        plain.stated_NK, target_N, class_names=["a", "b", "c"], patients=images.patients, seed=0, num_resamples=200
    )["slice"]["metrics"]
    assert start["auroc"] == judged["auroc"]
    assert start["log_loss"] == judged["log_loss"]
    assert start["changed"]["value"] == 0
    assert [one["value"] for one in start["loss"].values()] == [0, 0, 0]
    same = robustness_point(answers(plain.stated_NK.copy()), plain, images)
    assert [one["value"] for one in same["loss"].values()] == [0, 0, 0]


def test_ranking_is_of_the_stated_and_losses_of_the_calibrated_probabilities() -> None:
    logits_NK, target_N = drawn(60)
    stated_NK, calibrated_NK = softmax(3 * logits_NK, axis=1), softmax(logits_NK[:, [1, 0, 2]], axis=1)
    one = Answers(stated_NK, calibrated_NK)
    found = robustness_point(one, one, of_pairs(target_N, num_resamples=0), is_plain=True)
    of_target_N = calibrated_NK[np.arange(60), target_N]
    assert found["log_loss"]["value"] == pytest.approx(-np.log(of_target_N).mean())
    recalls = [(stated_NK.argmax(axis=1) == k)[target_N == k].mean() for k in range(3)]
    assert found["balanced_accuracy"]["value"] == pytest.approx(np.mean(recalls))
