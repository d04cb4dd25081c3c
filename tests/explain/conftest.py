"""Tiny networks and images for every test of explanations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fakes.tiny_networks import SIZE, make_network


@pytest.fixture
def network() -> Callable[[str], nn.Module]:
    """Make a seeded tiny network: "flatten", "gap", "mlp" or "autoencoder", in training mode."""

    return make_network


@pytest.fixture
def images() -> Callable[[int], Tensor]:
    """Make seeded images (B, 1, 16, 16) in [0, 1]."""

    def make(count: int) -> Tensor:
        return torch.rand(count, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(count))

    return make
