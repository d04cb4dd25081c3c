"""Weights files compared by what they hold: their headers name the run that wrote them."""

from __future__ import annotations

from pathlib import Path

import torch

from scanlens.models.weights import read_weights


def assert_same_tensors(first: Path, second: Path) -> None:
    """Every tensor of two weights files is the same, bit by bit."""
    one, other = read_weights(first), read_weights(second)
    assert list(one) == list(other)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
