"""Taking a region out of an image, and asking a network about changed images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from scanlens.errors import ExplainError
from scanlens.explain.asking import margins_of, probabilities_of
from scanlens.explain.removal import removed


def disc(size: int, center: tuple[int, int], radius: float) -> torch.Tensor:
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (row - center[0]).square() + (column - center[1]).square() <= radius**2


@pytest.mark.parametrize("how", ["blur_noise", "inpaint"])
def test_a_bright_lesion_is_replaced_by_its_surroundings_and_nothing_else_changes(how: str) -> None:
    ramp = torch.linspace(0.2, 0.6, 40).expand(40, 40)
    lesion = disc(40, (18, 25), 5)
    x = torch.where(lesion, 1.0, ramp)[None, None]
    without = removed(x, lesion[None], how=how, seed=1)  # type: ignore[arg-type]
    assert torch.equal(without[0, 0][~lesion], x[0, 0][~lesion])
    assert (without[0, 0] - ramp)[lesion].abs().max() < 0.06


def test_the_noise_inside_is_as_strong_as_around_and_depends_on_the_seed_alone() -> None:
    noise = 0.05 * torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    x, region = (0.5 + noise)[None, None], disc(64, (30, 30), 12)[None]
    once, again, other = (removed(x, region, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    ratio = float(once[0, 0][region[0]].std() / x[0, 0][~region[0]].std())
    assert 0.7 < ratio < 1.2  # the fine detail of white noise is a little weaker than the noise


def test_an_image_without_a_region_stays_and_a_region_without_surroundings_is_refused() -> None:
    x = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))
    region = torch.zeros(2, 9, 7, dtype=torch.bool)
    assert torch.equal(removed(x, region, seed=0), x)
    with pytest.raises(ExplainError, match="nothing is left"):
        removed(x, ~region, seed=0)
    with pytest.raises(ExplainError, match="one region"):
        removed(x, region[:1], seed=0)
    with pytest.raises(ExplainError, match="blur_noise, inpaint"):
        removed(x, region, how="black", seed=0)  # type: ignore[arg-type]


def test_margins_are_log_odds_whatever_the_batch_and_the_network_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3)).train()
    x = torch.rand(5, 1, 4, 4)
    target = torch.tensor([0, 1, 2, 0, 1])
    p = network.eval()(x).double().softmax(dim=1)[torch.arange(5), target].detach()
    network.train()
    assert torch.allclose(margins_of(network, x, target, batch_size=2), torch.log(p / (1 - p)), atol=1e-5)
    assert torch.allclose(probabilities_of(network, x)[torch.arange(5), target], p, atol=1e-6)
    assert network.training
    with pytest.raises(ExplainError):
        margins_of(network, x, target[:4])
