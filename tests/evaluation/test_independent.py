"""Differences between samples that share nobody."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.independent import independent_difference
from scanlens.evaluation.intervals import wilson


def share(successes: int, trials: int) -> dict[str, float | None]:
    low, high = wilson(successes, trials)
    return {"value": successes / trials, "low": low, "high": high, "reason": None}


def test_the_published_example_of_newcombe() -> None:
    """Newcombe 1998, table II, (a): 56/70 less 48/80, method 10."""
    found = independent_difference(share(56, 70), share(48, 80))
    assert found["value"] == pytest.approx(0.2)
    assert (found["low"], found["high"]) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))


def test_the_other_way_round_is_the_same_with_another_sign() -> None:
    one, other = share(9, 10), share(3, 30)
    there, back = independent_difference(one, other), independent_difference(other, one)
    assert (there["value"], there["low"], there["high"]) == pytest.approx((-back["value"], -back["high"], -back["low"]))


def test_intervals_hold_the_true_difference_as_often_as_they_say() -> None:
    generator = np.random.default_rng(4)
    first, second = generator.binomial(40, 0.9, 2000), generator.binomial(60, 0.7, 2000)
    found = [independent_difference(share(a, 40), share(b, 60)) for a, b in zip(first, second, strict=True)]
    assert np.mean([one["low"] <= 0.2 <= one["high"] for one in found]) == pytest.approx(0.95, abs=0.02)


def test_what_is_not_known_gives_a_reason() -> None:
    known, unknown = share(5, 10), {"value": None, "low": None, "high": None, "reason": "one class only"}
    assert independent_difference(known, unknown) == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "one class only",
    }
    found = independent_difference(known, {"value": 0.25, "low": None, "high": None, "reason": "x"})
    assert (found["value"], found["low"]) == (0.25, None)
    assert "no interval" in found["reason"]
