"""Operating points that were chosen before, applied to other images."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from scanlens.errors import RunError
from scanlens.evaluation.binary_view import Predictions
from scanlens.evaluation.decisions import apply_decisions, evaluate_decisions
from scanlens.evaluation.threshold_rules import Argmax, ExpectedCost, TargetSensitivity, Youden, rule_from

NAMES = ["no_tumor", "tumor"]


def split(seed: int, *, num: int = 60, has_patients: bool = True, shift: float = 0.0) -> Predictions:
    generator = np.random.default_rng(seed)
    target_N = np.repeat(np.arange(num) % 2, 2)
    score_N = 1 / (1 + np.exp(-(generator.normal(0, 1, 2 * num) + 2.0 * target_N - 1 + shift)))
    patients = [f"p{place // 2}" for place in range(2 * num)] if has_patients else [None] * (2 * num)
    return Predictions(np.stack([1 - score_N, score_N], axis=1), target_N, patients)


def chosen(**settings: Any) -> dict[str, Any]:
    found = evaluate_decisions(split(1), split(2), class_names=NAMES, positive="tumor", **settings)
    return json.loads(json.dumps(found))


@pytest.mark.parametrize("rule", [None, Youden(), ExpectedCost(5, 1, 0.1), Argmax()])
def test_on_the_same_images_everything_is_as_it_was(rule: Any) -> None:
    stored = chosen(rule=rule)
    assert json.loads(json.dumps(apply_decisions(stored, split(2), class_names=NAMES))) == stored


def test_on_other_images_the_threshold_stays() -> None:
    stored = chosen()
    found = apply_decisions(stored, split(3, shift=1.0), class_names=NAMES)
    assert found["chosen"]["threshold"] == stored["chosen"]["threshold"]
    assert found["chosen"]["validation"] == stored["chosen"]["validation"]
    other = split(3, shift=1.0)
    score_P = np.asarray(other.probabilities_NK)[:, 1].reshape(-1, 2).mean(axis=1)
    is_ill_P = np.asarray(other.target_N)[::2] == 1
    is_called_P = score_P >= stored["chosen"]["threshold"]
    rates = found["chosen"]["test"]
    assert rates["true_positives"] == (is_called_P & is_ill_P).sum()
    assert rates["specificity"]["value"] == pytest.approx((~is_called_P & ~is_ill_P).sum() / (~is_ill_P).sum())
    assert rates["specificity"]["value"] < stored["chosen"]["test"]["specificity"]["value"]


def test_a_threshold_of_patients_needs_patients_and_one_of_images_does_without() -> None:
    found = apply_decisions(chosen(), split(3, has_patients=False), class_names=NAMES)
    assert list(found) == ["reason"]
    assert found["reason"].startswith("the threshold was chosen for patients, and here no patient is known")
    alone = evaluate_decisions(
        split(1, has_patients=False), split(2, has_patients=False), class_names=NAMES, positive="tumor"
    )
    assert apply_decisions(alone, split(3), class_names=NAMES)["unit"] == "image"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("chosen", "threshold"), "high"),
        (("chosen", "threshold"), 1.5),
        (("chosen", "threshold"), None),
        (("chosen", "rule"), {"name": "guess"}),
        (("chosen", "rule"), {"name": "sensitivity", "goal": 1}),
        (("chosen", "unit"), "hospital"),
        (("chosen", "positive"), "no_tumor"),
        (("chosen", "validation"), {"sensitivity": 1}),
        (("compared",), None),
        (("chosen",), []),
    ],
)
def test_what_judging_does_not_write_is_refused(path: tuple[str, ...], value: Any) -> None:
    stored = copy.deepcopy(chosen())
    part = stored
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(RunError, match="Judge the run again"):
        apply_decisions(stored, split(3), class_names=NAMES)


@pytest.mark.parametrize("rule", [TargetSensitivity(0.8), Youden(), ExpectedCost(3, 1, 0.25), Argmax()])
def test_rules_are_read_back(rule: Any) -> None:
    assert rule_from(json.loads(json.dumps(rule.as_dict()))) == rule
