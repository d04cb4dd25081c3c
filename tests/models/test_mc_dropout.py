"""Passes with dropout on: by image, not by batch or order, and without a trace."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scanlens.errors import ModelError
from scanlens.models.lenet import LeNet
from scanlens.models.mc_dropout import mc_probabilities
from scanlens.models.mlp import MLP


def network() -> MLP:
    torch.manual_seed(0)
    return MLP(3, 1, 8, hidden_sizes=[16, 8], dropout=0.5).eval()


def images() -> Tensor:
    return torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


class OneUnit(nn.Module):
    """Drops its only input half of the time; doubled, it is the logit of the first class."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.weight = nn.Dropout(0.5), nn.Parameter(torch.tensor([[1.0], [0.0]]))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.drop(x_BCHW.flatten(1)) @ self.weight.T


def test_a_dropped_unit_gives_the_two_outcomes_that_it_must() -> None:
    """Logit 0 if dropped, 2 if kept (dropout doubles what it keeps): probabilities 1/2 and 1 / (1 + exp(-2))."""
    found = mc_probabilities(OneUnit(), torch.ones(1, 1, 1), passes=400, seed=1, index=0)[:, 0]
    kept = torch.isclose(found, torch.sigmoid(torch.tensor(2.0)).double(), atol=1e-6)
    dropped = torch.isclose(found, torch.tensor(0.5).double())
    assert bool((kept | dropped).all())
    assert float(kept.double().mean()) == pytest.approx(0.5, abs=0.1)


def test_passes_depend_on_seed_and_image_index_alone() -> None:
    model, x_BCHW = network(), images()
    how = {"passes": 6, "seed": 1}
    forward = {i: mc_probabilities(model, x_BCHW[i], index=i, **how) for i in range(4)}
    torch.rand(7)
    backward = {i: mc_probabilities(model, x_BCHW[i], index=i, **how) for i in reversed(range(4))}
    assert all(torch.equal(forward[i], backward[i]) for i in range(4))
    assert not torch.equal(forward[0], mc_probabilities(model, x_BCHW[0], index=9, **how))
    assert not torch.equal(forward[0], mc_probabilities(model, x_BCHW[0], index=0, passes=6, seed=2))
    assert float(forward[0].std(dim=0).max()) > 0.01
    torch.testing.assert_close(forward[0].sum(dim=1), torch.ones(6, dtype=torch.float64))


@pytest.mark.parametrize("raises", [False, True])
def test_modes_and_random_numbers_are_as_before(raises: bool) -> None:
    model = network()
    model.hidden[3].train()
    modes = [module.training for module in model.modules()]
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    if raises:
        with pytest.raises(RuntimeError):
            mc_probabilities(model, torch.rand(1, 5, 5, generator=torch.Generator()), passes=3, seed=1, index=0)
    else:
        mc_probabilities(model, images()[0], passes=3, seed=1, index=0)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.rand(3), expected)


def test_batch_normalization_stays_as_for_prediction() -> None:
    torch.manual_seed(0)
    model = LeNet(3, 1, 28, dropout=0.5, batch_norm=True).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mc_probabilities(model, torch.rand(1, 28, 28), passes=4, seed=1, index=0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_network_without_dropout_is_refused_with_the_way_out() -> None:
    with pytest.raises(ModelError, match=r"LeNet has no dropout.*Set model.dropout above 0"):
        mc_probabilities(LeNet(3, 1, 28), torch.rand(1, 28, 28), passes=4, seed=1, index=0)
