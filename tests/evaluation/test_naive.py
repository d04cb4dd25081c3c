"""The interval that takes images for independent, beside the honest one."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.classification import evaluate_classification
from scanlens.evaluation.intervals import wilson
from scanlens.evaluation.naive import design_effect, naive_interval

NAMES = ["healthy", "ill"]


def test_copies_of_one_image_add_nothing() -> None:
    """Ten equal slices a patient: ten times fewer independent images than the naive interval believes."""
    generator = np.random.default_rng(0)
    target_P = np.arange(60) % 2
    ill_P = 1 / (1 + np.exp(-(target_P - 0.5) - generator.normal(size=60)))
    probabilities_NK, target_N = np.repeat(np.c_[1 - ill_P, ill_P], 10, axis=0), np.repeat(target_P, 10)
    patients = [f"p{p}" for p in range(60) for _ in range(10)]
    honest = evaluate_classification(probabilities_NK, target_N, class_names=NAMES, patients=patients, seed=0)
    for metric in ("auroc", "accuracy"):
        naive = naive_interval(probabilities_NK, target_N, class_names=NAMES, metric=metric, seed=0)
        found = design_effect(honest["slice"]["metrics"][metric], naive, metric=metric, num_images=600)
        assert found is not None
        assert found.factor == pytest.approx(10, rel=0.25), metric
        assert found.num_independent == pytest.approx(60, rel=0.25)
        assert found.low < found.naive_low < found.value < found.naive_high < found.high


def test_the_naive_interval_of_a_share_is_wilsons() -> None:
    predicted = np.arange(50) < 40
    probabilities_NK = np.c_[~predicted, predicted].astype(float)
    target_N = np.ones(50, dtype=np.int64)
    target_N[:5] = 0
    found = naive_interval(probabilities_NK, target_N, class_names=NAMES, metric="accuracy", seed=0, num_resamples=0)
    assert (found["low"], found["high"]) == wilson(35, 50)


def test_without_an_interval_there_is_no_design_effect() -> None:
    absent = {"value": 0.9, "low": None, "high": None, "reason": "no interval"}
    assert design_effect(absent, {"value": 0.9, "low": 0.8, "high": 1.0}, metric="auroc", num_images=5) is None
