"""Entropy and mutual information by hand, and confidences that order the same errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from fakes.planted import singles
from scanlens.evaluation.selective import compare_confidences, risk_coverage
from scanlens.evaluation.uncertainty import entropy, together


def test_members_that_contradict_each_other_are_unsure_of_the_network_alone() -> None:
    """Each is certain, of the other class: the mean is (1/2, 1/2), and its entropy log 2 is all disagreement."""
    found = together([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert found.probabilities_NK.tolist() == [[0.5, 0.5]]
    assert found.entropy_N == pytest.approx([math.log(2)])
    assert found.mutual_information_N == pytest.approx([math.log(2)])


def test_members_that_agree_have_no_mutual_information() -> None:
    found = together([[[0.7, 0.2, 0.1]]] * 3)
    by_hand = -(0.7 * math.log(0.7) + 0.2 * math.log(0.2) + 0.1 * math.log(0.1))
    assert found.entropy_N == pytest.approx([by_hand])
    assert found.mutual_information_N == pytest.approx([0], abs=1e-12)
    assert found.mutual_information_N[0] >= 0


def test_mutual_information_is_the_mean_divergence_from_the_mean() -> None:
    """Independent formula: the Kullback-Leibler divergence of each member from the mean, averaged."""
    members_MNK = np.random.default_rng(1).dirichlet([1, 1, 1], size=(5, 40))
    mean_NK = members_MNK.mean(axis=0)
    divergence_N = (members_MNK * np.log(members_MNK / mean_NK)).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(together(members_MNK).mutual_information_N, divergence_N, atol=1e-12)


def test_entropy_is_0_for_certainty_and_log_k_for_none() -> None:
    assert entropy(np.array([[1.0, 0.0], [0.5, 0.5]])) == pytest.approx([0, math.log(2)])


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="at least two members"):
        together([[[0.5, 0.5]]])
    with pytest.raises(ValueError, match="row 1"):
        together([[[0.5, 0.5], [0.9, 0.9]]] * 2)


def test_a_given_confidence_replaces_the_probability() -> None:
    """Of four answers the one error is stated with the highest probability, but given the least confidence."""
    stated_NK = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    target_N = np.array([1, 0, 0, 0])
    how = {"groups": singles(target_N), "seed": 0, "num_resamples": 0}
    plain = risk_coverage(stated_NK, target_N, **how)
    better = risk_coverage(stated_NK, target_N, confidence_N=[-3.0, 2, 1, 0], **how)
    assert plain.aurc["value"] == pytest.approx((1 + math.log(4)) / 4)
    assert better.aurc["value"] == pytest.approx(0.25 + 0.75 * math.log(0.75))
    compared = compare_confidences(
        {"plain": stated_NK.max(axis=1), "given": [-3.0, 2, 1, 0]}, stated_NK.argmax(axis=1) != target_N, **how
    )
    assert compared["plain"]["gain"]["value"] == 0
    assert compared["given"]["gain"]["value"] == pytest.approx(plain.aurc["value"] - better.aurc["value"])
    with pytest.raises(ValueError, match="confidence_N: row 1"):
        risk_coverage(stated_NK, target_N, confidence_N=[1, np.nan, 1, 1], **how)


def test_a_gain_is_paired_and_its_interval_tells_knowledge_from_noise() -> None:
    generator = np.random.default_rng(0)
    is_wrong_N = generator.random(300) < 0.3
    knows = 0.4 * generator.standard_normal(300) - is_wrong_N
    noise = {name: generator.standard_normal(300) for name in ("first", "other")}
    found = compare_confidences(
        noise | {"knows": knows}, is_wrong_N, groups=singles(np.zeros(300, np.int64)), seed=0, num_resamples=300
    )
    assert found["knows"]["gain"]["low"] > 0.05
    assert found["other"]["gain"]["low"] < 0 < found["other"]["gain"]["high"]
    json.dumps(found, allow_nan=False)
