"""Rules that make patients of images, by hand, and when validation may choose among them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanlens.evaluation.classification import evaluate_classification
from scanlens.evaluation.patient_rules import MEAN, PatientRule
from scanlens.evaluation.patients import MIXED, join_images, patient_level, positive_of
from scanlens.evaluation.rule_choice import LEAST_PROBABILITY, MIN_PATIENTS, candidates_of, choose_rule

MAX = PatientRule("max")
RULES = [
    MEAN,
    MAX,
    PatientRule("top_k", 2),
    PatientRule("top_k", 3),
    PatientRule("top_k", 0.1),
    PatientRule("top_k", 0.5),
]
THREE = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.5, 0.3, 0.2]])


@pytest.mark.parametrize(
    ("rule", "scores"),
    [
        (MEAN, (1.5 / 4, 1.5 / 4, 1.0 / 4)),
        (MAX, (0.7, 0.8, 0.6)),
        (PatientRule("top_k", 1), (0.7, 0.8, 0.6)),
        (PatientRule("top_k", 2), (0.6, 0.55, 0.4)),
        (PatientRule("top_k", 0.5), (0.6, 0.55, 0.4)),
        (PatientRule("top_k", 0.51), (1.4 / 3, 1.3 / 3, 0.9 / 3)),
        (PatientRule("top_k", 9), (1.5 / 4, 1.5 / 4, 1.0 / 4)),
        (PatientRule("top_k", 0.01), (0.7, 0.8, 0.6)),
    ],
)
def test_the_highest_of_each_class_are_averaged_and_the_row_is_divided_by_its_sum(
    rule: PatientRule, scores: tuple[float, float, float]
) -> None:
    np.testing.assert_allclose(rule.pool(THREE), np.array(scores) / sum(scores))


def test_of_two_classes_both_have_highest_images_unless_one_is_named_positive() -> None:
    rows = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.9, 0.1]])
    np.testing.assert_allclose(MAX.pool(rows), [0.9 / 1.7, 0.8 / 1.7])
    np.testing.assert_allclose(MAX.pool(rows, positive=1), [0.2, 0.8])
    np.testing.assert_allclose(MAX.pool(rows, positive=0), [0.9, 0.1])
    np.testing.assert_allclose(PatientRule("top_k", 2).pool(rows, positive=1), [0.5, 0.5])
    np.testing.assert_allclose(MEAN.pool(rows, positive=1), MEAN.pool(rows))


def test_a_share_of_thirty_images_is_not_rounded_up_by_floating_point() -> None:
    assert PatientRule("top_k", 0.1).num_used(30) == 3
    assert PatientRule("top_k", 0.1).num_used(31) == 4
    assert PatientRule("top_k", 0.1).num_used(1) == 1


@given(st.integers(1, 12), st.integers(2, 5), st.sampled_from(RULES), st.integers(0, 2**31), st.booleans())
def test_order_does_not_matter_and_one_image_is_its_own_patient(
    num_images: int, num_classes: int, rule: PatientRule, seed: int, has_ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.ones(num_classes), num_images)
    rows = rows[rng.integers(0, num_images, num_images)] if has_ties else rows
    pooled = rule.pool(rows)
    np.testing.assert_allclose(rule.pool(rows[rng.permutation(num_images)]), pooled, rtol=1e-12)
    assert pooled.sum() == pytest.approx(1)
    assert (pooled >= 0).all()
    np.testing.assert_allclose(rule.pool(rows[:1]), rows[0], rtol=1e-9)
    np.testing.assert_allclose(rule.pool(np.repeat(rows[:1], 7, axis=0)), rows[0], rtol=1e-9)


@pytest.mark.parametrize(("name", "k"), [("top_k", None), ("mean", 3), ("top_k", 0), ("top_k", 1.0), ("top_k", -0.1), ("median", None), ("top_k", True)])  # fmt: skip
def test_a_rule_that_makes_no_sense_is_refused(name: str, k: float | None) -> None:
    with pytest.raises(ValueError, match="patient rule"):
        PatientRule(name, k)  # type: ignore[arg-type]


def test_rules_say_what_they_do() -> None:
    said = [rule.words("slice") for rule in (MEAN, MAX, PatientRule("top_k", 3), PatientRule("top_k", 0.1))]
    assert said == [
        "mean of all slices", "highest slice", "mean of the 3 highest slices", "mean of the highest 10 % of slices"
    ]  # fmt: skip


# The choice


def patients_with_rare_signs(num: int, *, seed: int = 3) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Ten images each; of the ill, one shows it: the mean hides what the highest image tells."""
    rng = np.random.default_rng(seed)
    ill = np.repeat(np.arange(num) % 2, 10)
    sure = rng.uniform(0.01, 0.05, num * 10)
    sure[::10] = np.where(ill[::10] == 1, rng.uniform(0.9, 0.99, num), sure[::10])
    return np.stack([1 - sure, sure], axis=1), ill, [f"p{i // 10}" for i in range(num * 10)]


def test_where_few_images_show_it_the_highest_are_chosen_and_scores_are_the_log_losses_of_patients() -> None:
    rows, target, patients = patients_with_rare_signs(18)
    found = choose_rule(candidates_of("auto", [3, 0.1]), rows, target, patients, positive=1)
    assert found.rule in (MAX, PatientRule("top_k", 0.1)), "a tenth of ten images is the highest one"
    assert (found.num_patients, found.reason) == (18, "lowest log loss, by more than noise")
    scores = dict(found.scores)
    ill = rows.reshape(18, 10, 2)[:, :, 1]
    by_hand = [-math.log(p if i % 2 else 1 - p) for i, p in enumerate(ill.max(axis=1))]
    assert scores[MAX] == pytest.approx(np.mean(by_hand))
    by_hand = [-math.log(p if i % 2 else 1 - p) for i, p in enumerate(ill.mean(axis=1))]
    assert scores[MEAN] == pytest.approx(np.mean(by_hand))
    assert found.as_dict()["candidates"][0] == {"name": "mean", "k": None, "val_log_loss": scores[MEAN]}


def test_below_the_least_number_of_patients_the_mean_stays_and_scores_are_told() -> None:
    rows, target, patients = patients_with_rare_signs(MIN_PATIENTS - 2)
    found = choose_rule(candidates_of("auto", [3]), rows, target, patients, positive=1)
    assert found.rule == MEAN
    assert "10 validation patients with a class, at least 12" in found.reason
    assert dict(found.scores)[MAX] < dict(found.scores)[MEAN]


def test_patients_that_all_have_one_image_cannot_choose() -> None:
    rows, target, _ = patients_with_rare_signs(2)
    found = choose_rule(candidates_of("auto", [3]), rows, target, [f"p{i}" for i in range(20)])
    assert (found.rule, found.num_patients) == (MEAN, 20)
    assert "0 validation patients with a class and several images" in found.reason


@pytest.mark.parametrize("num", [0, 3])
def test_without_known_patients_the_mean_stays(num: int) -> None:
    found = choose_rule(candidates_of("auto", [3]), np.full((num, 2), 0.5), np.zeros(num, np.int64), [None] * num)
    assert (found.rule, found.num_patients, found.scores) == (MEAN, 0, ())


def test_within_noise_the_mean_stays_in_nineteen_of_twenty_data_sets() -> None:
    taken = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        target = np.repeat(np.arange(24) % 2, 6)
        chance = rng.beta(4, 4, 144)  # nothing to see: every rule is as good in truth, up to its sharpness
        rows = np.stack([1 - chance, chance], axis=1)
        patients = [f"p{i // 6}" for i in range(144)]
        taken += choose_rule(candidates_of("auto", [3, 0.1]), rows, target, patients).rule != MEAN
    assert taken <= 0.05 * 300


def test_a_sure_miss_costs_no_more_than_the_clip() -> None:
    rows, target, patients = patients_with_rare_signs(18)
    rows[0] = [0.0, 1.0]
    found = choose_rule(candidates_of("auto", [3]), rows, target, patients, positive=1)
    others = [-math.log(p if i % 2 else 1 - p) for i, p in enumerate(rows.reshape(18, 10, 2)[:, :, 1].max(axis=1)) if i]
    assert dict(found.scores)[MAX] == pytest.approx((sum(others) - math.log(LEAST_PROBABILITY)) / 18)


def test_a_rule_that_is_set_is_taken_as_it_is() -> None:
    rows, target, patients = patients_with_rare_signs(18)
    assert choose_rule(candidates_of("max", [3]), rows, target, patients).rule == MAX
    assert choose_rule(candidates_of("top_k", [3]), rows, target, patients).reason == "as set"
    assert choose_rule(candidates_of("top_k", [3, 5]), rows, target, patients).rule.name == "top_k"


# Patients with images of several classes


def test_one_positive_image_makes_the_patient_positive_if_asked_for() -> None:
    rows = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.5, 0.5], [0.9, 0.1]])
    target, patients = np.array([0, 1, 0, 0, 1, 1]), ["x", "x", "y", "y", "z", "z"]
    known = join_images(rows, target, patients, rule=MAX)
    np.testing.assert_array_equal(known.target_P, [MIXED, 0, 1])
    level, _ = patient_level(rows, target, patients, rule=MAX, positive=1)
    assert level is not None
    np.testing.assert_array_equal(level.target_P, [1, 0, 1])
    np.testing.assert_allclose(level.probabilities_PK, [[0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])
    assert level.num_mixed == 0
    off, _ = patient_level(rows, target, patients, rule=MAX)
    assert off is not None
    assert (off.patients, off.num_mixed) == (["y", "z"], 1)


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (["no_tumor", "tumor"], "auto", 1),
        (["glioma", "No tumor"], "auto", 0),
        (["normal", "pneumonia"], "auto", 1),
        (["a", "b"], "b", 1),
        (["a", "b", "c"], None, None),
    ],
)
def test_the_positive_class_is_the_one_beside_the_class_that_means_nothing(
    names: list[str], wanted: str | None, found: int | None
) -> None:
    assert positive_of(names, wanted) == found


@pytest.mark.parametrize(
    ("names", "wanted", "words"),
    [
        (["a", "b", "c"], "b", "there are 3"),
        (["a", "b"], "auto", "cannot be told"),
        (["normal", "healthy"], "auto", "cannot be told"),
        (["a", "b"], "c", "'c' is none of them"),
    ],
)
def test_a_positive_class_that_cannot_be_is_refused(names: list[str], wanted: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        positive_of(names, wanted)


def test_the_judgement_of_patients_uses_the_rule_and_that_of_images_does_not() -> None:
    rows, target, patients = patients_with_rare_signs(18)
    common = {"class_names": ["no", "yes"], "patients": patients, "seed": 1, "num_resamples": 0}
    by_mean = evaluate_classification(rows, target, **common)
    by_max = evaluate_classification(rows, target, **common, patient_rule=MAX, positive=1)
    assert by_mean["slice"] == by_max["slice"]
    assert by_mean["patient"]["per_class"]["yes"]["sensitivity"]["value"] == 0
    assert by_max["patient"]["per_class"]["yes"]["sensitivity"]["value"] == 1
