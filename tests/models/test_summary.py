"""The table of layers, against numbers worked out by hand."""

import pytest
import torch
from torch import nn

from scanlens.models.lenet import LeNet
from scanlens.models.summary import describe


def test_multiply_adds_of_lenet_are_counted_by_hand():
    rows = describe(LeNet(10, 1, 28), 28, 1)
    work = [row.num_multiply_adds for row in rows if row.num_multiply_adds]
    assert work == [6 * 28 * 28 * 25, 16 * 10 * 10 * 6 * 25, 400 * 120, 120 * 84, 84 * 10]
    assert sum(row.num_parameters for row in rows) == 61706


def test_transposed_convolution_works_once_per_input_pixel():
    (row,) = describe(nn.Sequential(nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1)), 8, 2)
    assert row.output_shape == (3, 16, 16)
    assert row.num_multiply_adds == 2 * 8 * 8 * 3 * 16


def test_layer_used_twice_counts_its_parameters_once():
    layer = nn.Conv2d(1, 1, 1)
    assert [row.num_parameters for row in describe(nn.Sequential(layer, nn.ReLU(), layer), 4, 1)] == [2, 0, 0]


def test_network_is_left_as_it_was_even_when_it_fails():
    network = LeNet(10, 1, 28, dropout=0.5)
    network.features.eval()
    before = {name: module.training for name, module in network.named_modules()}
    describe(network, 28, 1)
    with pytest.raises(RuntimeError):
        describe(network, 40, 1)
    assert {name: module.training for name, module in network.named_modules()} == before
    assert not any(module._forward_hooks for module in network.modules())
    assert torch.is_grad_enabled()
