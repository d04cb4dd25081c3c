"""Sets of classes: ranks computed by hand, and promises kept in simulation, also where patients have many images."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.special import softmax

from fakes.planted import drawn, patients_of, singles
from scanlens.errors import RunError
from scanlens.evaluation.conformal import ConformalSets, fit_conformal, num_needed, scores_of
from scanlens.evaluation.conformal_check import judge_sets
from scanlens.evaluation.resampling import PatientGroups, group_patients

NAMES = ["a", "b", "c"]


def fitted(stated_NK: np.ndarray, target_N: np.ndarray, groups: PatientGroups, **settings) -> ConformalSets:
    names = NAMES[: stated_NK.shape[1]]
    return fit_conformal(stated_NK, target_N, class_names=names, groups=groups, **{"seed": 0, **settings})


@pytest.mark.parametrize(("num", "coverage"), [(9, 0.9), (19, 0.9), (20, 0.9), (57, 0.8), (199, 0.95)])
def test_the_threshold_has_the_usual_rank(num: int, coverage: float) -> None:
    logits_NK, target_N = drawn(num)
    stated_NK = softmax(logits_NK, axis=1)
    rank = math.ceil(round((num + 1) * coverage, 9))
    expected = np.sort(1 - stated_NK[np.arange(num), target_N])[rank - 1]
    assert fitted(stated_NK, target_N, singles(target_N), coverage=coverage).thresholds == (expected,) * 3


def test_patients_weigh_the_same_however_many_images_they_have() -> None:
    """Nine patients; the one with 91 images has the lowest scores, and still only one ninth of the weight."""
    positive_N = np.r_[np.full(91, 0.99), np.linspace(0.9, 0.2, 8)]
    target_N = np.ones(99, dtype=np.int64)
    groups = group_patients(["many"] * 91 + [f"p{n}" for n in range(8)], target_N)
    stated_NK = np.stack([1 - positive_N, positive_N], axis=1)
    assert fitted(stated_NK, target_N, groups, coverage=0.8).thresholds[0] == pytest.approx(1 - positive_N[-2])
    assert fitted(stated_NK, target_N, groups, coverage=0.9).thresholds[0] == pytest.approx(0.8)


def test_too_few_patients_give_sets_of_everything_and_say_how_many_are_needed() -> None:
    logits_NK, target_N = drawn(80)
    stated_NK = softmax(logits_NK, axis=1)
    rule = fitted(stated_NK, target_N, patients_of(target_N, 10))
    assert rule.sets(stated_NK).all()
    assert rule.notes == (
        "Every set holds all classes: 9 patients of validation are needed for this promise, 8 are there.",
    )
    assert [num_needed(coverage) for coverage in (0.5, 0.8, 0.9, 0.95, 0.99)] == [1, 4, 9, 19, 99]


def test_a_class_absent_from_validation_is_in_every_set() -> None:
    logits_NK, target_N = drawn(400)
    kept = target_N != 2
    rule = fitted(softmax(logits_NK[kept], axis=1), target_N[kept], singles(target_N[kept]), is_by_class=True)
    sets_NK = rule.sets(softmax(logits_NK, axis=1))
    assert sets_NK[:, 2].all()
    assert not sets_NK[:, 0].all()
    assert (
        "holds 'c': 9 patients of validation with this class are needed for this promise, 0 are there" in rule.notes[0]
    )


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize("num", [9, 15, 40, 150])
def test_the_promise_is_kept_on_average(score: str, num: int) -> None:
    """Over 400 validation sets: not below nominal, nor above by more than the rank allows, 1/(n + 1)."""
    held = []
    for seed in range(400):
        logits_NK, target_N = drawn(num + 200, seed=seed)
        stated_NK = softmax(2 * logits_NK, axis=1)
        rule = fitted(stated_NK[:num], target_N[:num], singles(target_N[:num]), score=score, seed=seed)
        held.append(rule.sets(stated_NK[num:])[np.arange(200), target_N[num:]].mean())
    error = float(np.std(held)) / math.sqrt(len(held))
    assert 0.9 - 4 * error <= np.mean(held) <= 0.9 + 1 / (num + 1) + 4 * error


def test_the_promise_is_kept_for_patients_of_many_alike_images_where_pooled_images_break_it() -> None:
    """Patients with many images are the easy ones: images weighing the same would promise from easy patients."""
    held, pooled = [], []
    for seed in range(100):
        generator = np.random.default_rng(seed)
        is_hard_P = generator.random(60) < 0.5
        positive_P = np.where(is_hard_P, generator.uniform(0.05, 0.6, 60), generator.uniform(0.6, 1, 60))
        patient_N = np.repeat(np.arange(60), np.where(is_hard_P, 1, 12))
        positive_N = np.clip(positive_P[patient_N] + generator.normal(0, 0.02, len(patient_N)), 0, 1)
        stated_NK, target_N = np.stack([1 - positive_N, positive_N], axis=1), np.ones(len(positive_N), dtype=np.int64)
        old = patient_N < 30
        groups = group_patients([str(p) for p in patient_N[old]], target_N[old])
        new = group_patients([str(p) for p in patient_N[~old]], target_N[~old])
        for results, fit_groups in ((held, groups), (pooled, singles(target_N[old]))):
            rule = fitted(stated_NK[old], target_N[old], fit_groups)
            judged = judge_sets(rule.sets(stated_NK[~old]), target_N[~old], class_names=NAMES[:2], groups=new)
            results.append(judged.coverage["value"])
    error = float(np.std(held)) / math.sqrt(100)
    assert np.mean(held) >= 0.9 - 3 * error
    assert np.mean(pooled) < 0.7


def test_promises_by_class_are_kept_for_each_class_where_one_for_all_is_not() -> None:
    held, one_for_all = np.zeros(2), np.zeros(2)
    for seed in range(100):
        generator = np.random.default_rng(seed)
        target_N = (generator.random(700) < 0.15).astype(np.int64)
        positive_N = np.clip(generator.normal(0.2 + 0.25 * target_N, 0.1), 0.01, 0.99)
        stated_NK = np.stack([1 - positive_N, positive_N], axis=1)
        for total, by_class in ((held, True), (one_for_all, False)):
            rule = fitted(stated_NK[:200], target_N[:200], singles(target_N[:200]), is_by_class=by_class)
            sets_NK = rule.sets(stated_NK[200:])
            total += [sets_NK[target_N[200:] == k, k].mean() / 100 for k in range(2)]
    assert held == pytest.approx([0.91, 0.91], abs=0.02)
    assert one_for_all[1] < 0.7


def test_adaptive_scores_are_those_computed_by_hand() -> None:
    draw = np.random.default_rng(3).random((1, 1)).item()
    found = scores_of(np.array([[0.2, 0.5, 0.3]]), score="aps", seed=3)
    np.testing.assert_allclose(found, [[0.8 + 0.2 * draw, 0.5 * draw, 0.5 + 0.3 * draw]])
    assert (scores_of(np.array([[0.25, 0.75]]), score="lac", seed=3) == [[0.75, 0.25]]).all()


def test_equal_probabilities_are_all_in_the_set_or_none() -> None:
    stated_NK = np.full((30, 3), 1 / 3)
    target_N = np.arange(30) % 3
    assert fitted(stated_NK, target_N, singles(target_N)).sets(stated_NK).all()


@pytest.mark.parametrize("score", ["lac", "aps"])
def test_a_rule_comes_back_from_json_and_gives_the_same_sets(score: str) -> None:
    logits_NK, target_N = drawn(60)
    stated_NK = softmax(logits_NK, axis=1)
    rule = fitted(stated_NK, target_N, singles(target_N), score=score, is_by_class=True, coverage=0.95)
    read = ConformalSets.from_dict(json.loads(json.dumps(rule.as_dict(), allow_nan=False)))
    assert read == rule
    assert (read.sets(stated_NK) == rule.sets(stated_NK)).all()


@pytest.mark.parametrize("change", [{"score": "x"}, {"coverage": 2}, {"thresholds": [0.1]}, {"thresholds": None}])
def test_a_file_that_is_no_rule_is_refused(change: dict) -> None:
    rule = ConformalSets(0.9, "lac", False, ("a", "b"), (0.5, None), (9, 3), 0)
    with pytest.raises(RunError, match="Judge the run again"):
        ConformalSets.from_dict({**rule.as_dict(), **change})


def test_sets_are_judged_by_patient_and_by_image() -> None:
    """Patient p: four images, all held; patient q: one image, not held."""
    sets_NK = np.array([[1, 0], [1, 1], [1, 0], [1, 0], [0, 0]], dtype=bool)
    target_N = np.array([0, 0, 0, 0, 1])
    found = judge_sets(
        sets_NK, target_N, class_names=["a", "b"], groups=group_patients(["p"] * 4 + ["q"], target_N)
    ).as_dict()
    assert found["coverage"]["value"] == pytest.approx(0.5)
    assert found["coverage_of_images"]["value"] == pytest.approx(0.8)
    assert found["mean_size"]["value"] == pytest.approx(1.0)
    assert (found["single"]["value"], found["empty"]["value"], found["everything"]["value"]) == (0.6, 0.2, 0.2)
    assert found["single_right"]["value"] == 1.0
    assert found["sizes"] == [1, 3, 1]
    assert found["per_class"]["b"]["coverage"]["value"] == 0.0
    json.dumps(found, allow_nan=False)


def test_a_class_absent_from_test_has_a_reason_and_no_number() -> None:
    found = judge_sets(np.ones((3, 2), dtype=bool), [0, 0, 0], class_names=["a", "b"], groups=singles(np.zeros(3, int)))
    assert found.coverage["value"] == 1.0
    assert found.per_class["b"]["coverage"]["reason"] == "nothing of class 'b' here"
    assert found.single_right["reason"] == "no set has a single class"


def test_mistakes_are_named() -> None:
    stated_NK, target_N = np.array([[0.5, 0.5], [np.nan, 0.5]]), np.array([0, 1])
    with pytest.raises(ValueError, match="row 1"):
        fitted(stated_NK, target_N, singles(target_N))
    good_NK = np.full((2, 2), 0.5)
    with pytest.raises(ValueError, match=r"Did you mean 'aps'"):
        fitted(good_NK, target_N, singles(target_N), score="raps")
    with pytest.raises(ValueError, match=r"such as 0\.9, got 90"):
        fitted(good_NK, target_N, singles(target_N), coverage=90)
    with pytest.raises(ValueError, match="true or false"):
        judge_sets(good_NK, target_N, class_names=["a", "b"], groups=singles(target_N))
