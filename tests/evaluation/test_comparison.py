"""Networks on the same images: equal ones are not told apart, better ones are, patients count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from scanlens.evaluation.comparison import COMPARED, Difference, bootstrap_p, compare_networks, weighted_metric
from scanlens.evaluation.intervals import percentile_interval
from scanlens.evaluation.metrics import classification_metrics
from scanlens.evaluation.resampling import PatientGroups, bootstrap, group_patients


def softmax(logits_NK: NDArray) -> NDArray:
    return np.exp(logits_NK) / np.exp(logits_NK).sum(axis=1, keepdims=True)


def study(
    signals: dict[str, float], *, num_classes: int = 3, num_patients: int = 60, per_patient: int = 4, seed: int = 0
) -> tuple[dict[str, NDArray], NDArray, PatientGroups]:
    """Networks of given signal; what makes a patient hard is hard for all of them."""
    generator = np.random.default_rng(seed)
    target_N = np.repeat(np.arange(num_patients) % num_classes, per_patient)
    shared_NK = np.repeat(generator.normal(size=(num_patients, num_classes)), per_patient, axis=0)
    found = {}
    for name, signal in signals.items():
        logits_NK = shared_NK + 0.5 * generator.normal(size=shared_NK.shape)
        logits_NK[np.arange(len(target_N)), target_N] += signal
        found[name] = softmax(logits_NK)
    patients = [f"p{p}" for p in range(num_patients) for _ in range(per_patient)]
    return found, target_N, group_patients(patients, target_N)


def compared(
    signals: dict[str, float], *, metric: str = "auroc", pairs: str = "all", **changes: int
) -> list[Difference]:
    probabilities, target_N, groups = study(signals, **changes)
    return compare_networks(probabilities, target_N, groups, metric=metric, pairs=pairs, seed=0, num_resamples=500)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", COMPARED)
@pytest.mark.parametrize("num_classes", [2, 3])
def test_the_value_is_that_of_the_metrics_and_the_better_network_is_found(metric: str, num_classes: int) -> None:
    probabilities, target_N, groups = study({"weak": 0.3, "strong": 3.0}, num_classes=num_classes)
    (found,) = compare_networks(probabilities, target_N, groups, metric=metric, seed=0, num_resamples=500)
    names = [str(k) for k in range(num_classes)]
    weak, strong = (
        classification_metrics(probabilities[n], target_N, class_names=names).overall[metric].value
        for n in ("weak", "strong")
    )
    assert weak is not None
    assert strong is not None
    assert found.value == pytest.approx(strong - weak)
    assert (found.first, found.second, found.better) == ("strong", "weak", "strong")
    assert found.low is not None
    assert found.high is not None
    assert found.low < strong - weak < found.high
    assert found.p is not None
    assert found.p < 0.01


def test_a_network_and_its_copy_differ_by_nothing() -> None:
    probabilities, target_N, groups = study({"one": 1.0})
    (found,) = compare_networks(
        {"one": probabilities["one"], "copy": probabilities["one"]}, target_N, groups, metric="auroc", seed=0
    )
    assert (found.value, found.low, found.p, found.better) == (0.0, None, None, None)
    assert "all resamples give the same value" in str(found.reason)


def test_pairs_are_all_or_with_the_first_and_p_is_corrected_for_as_many() -> None:
    signals = {"a": 1.0, "b": 1.1, "c": 1.2}
    every, first = compared(signals), compared(signals, pairs="first")
    assert [(one.first, one.second) for one in every] == [("b", "a"), ("c", "a"), ("c", "b")]
    assert [(one.first, one.second) for one in first] == [("b", "a"), ("c", "a")]
    assert [one.value for one in first] == [one.value for one in every[:2]]
    lowest = min(every, key=lambda one: one.p or 1.0)
    assert lowest.p is not None
    assert lowest.p_adjusted == pytest.approx(min(1.0, 3 * lowest.p))


def test_the_test_is_the_one_known_for_the_metric_and_delong_agrees_with_the_bootstrap() -> None:
    (auroc,) = compared({"a": 1.0, "b": 1.4}, num_classes=2, num_patients=120)
    assert auroc.test.startswith("DeLong")
    assert auroc.check is not None
    assert auroc.check["value"] == pytest.approx(auroc.value)
    assert [auroc.check["low"], auroc.check["high"]] == pytest.approx([auroc.low, auroc.high], abs=0.01)
    assert auroc.p == pytest.approx(auroc.check["p_of_bootstrap"], abs=0.1)
    (accuracy,) = compared({"a": 1.0, "b": 1.4}, metric="accuracy")
    assert accuracy.test.startswith("McNemar")
    (macro,) = compared({"a": 1.0, "b": 1.4})
    assert (macro.test, macro.check) == ("bootstrap of patients", None)


def test_the_p_value_is_the_level_at_which_the_interval_touches_zero() -> None:
    difference_R = np.random.default_rng(0).normal(0.8, 0.5, size=20_000)
    p_value = bootstrap_p(difference_R, num_patients=12)
    touching = percentile_interval(difference_R, num_patients=12, level=1 - p_value)
    assert touching.low == pytest.approx(0.0, abs=0.01)
    assert bootstrap_p(-difference_R, num_patients=12) == pytest.approx(p_value)
    far_R = np.random.default_rng(0).normal(5.0, 1.0, size=2000)
    assert bootstrap_p(far_R, num_patients=10**6) == pytest.approx(5.7e-7, rel=0.5)


def test_shared_difficulty_drops_out_of_the_difference() -> None:
    """Apart, the two intervals are far wider than the one of the difference."""
    probabilities, target_N, groups = study({"a": 1.0, "b": 1.3})
    (found,) = compare_networks(probabilities, target_N, groups, metric="log_loss", seed=0)
    alone = bootstrap(
        lambda w: {"m": weighted_metric("log_loss", probabilities["a"], target_N)(w)}, groups, num_resamples=500, seed=0
    )["m"]
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low < 0.7 * math.sqrt(2) * 2 * 1.96 * float(alone.std())


def test_equal_networks_are_told_apart_as_rarely_as_said() -> None:
    rates = {}
    for metric in ("auroc", "accuracy", "balanced_accuracy"):
        found = 0
        for seed in range(150):
            probabilities, target_N, groups = study({"a": 1.0, "b": 1.0}, num_classes=2, num_patients=40, seed=seed)
            (one,) = compare_networks(probabilities, target_N, groups, metric=metric, seed=0, num_resamples=200)
            found += one.better is not None
        rates[metric] = found / 150
    assert all(rate <= 0.085 for rate in rates.values()), rates
    assert sum(rates.values()) > 0.02, rates


def test_what_cannot_be_compared_is_refused() -> None:
    probabilities, target_N, groups = study({"a": 1.0, "b": 1.0})
    with pytest.raises(ValueError, match="metric: expected one of auroc"):
        compare_networks(probabilities, target_N, groups, metric="ece", seed=0)
    with pytest.raises(ValueError, match="at least two networks"):
        compare_networks({"a": probabilities["a"]}, target_N, groups, metric="auroc", seed=0)
    with pytest.raises(ValueError, match="row 3 leaves"):
        compare_networks({**probabilities, "c": probabilities["a"] * 2}, target_N, groups, metric="auroc", seed=0)
