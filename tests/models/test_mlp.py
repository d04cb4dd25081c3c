"""The baseline perceptron."""

import pytest
import torch

from scanlens.errors import ModelError
from scanlens.models.mlp import MLP


def test_parameters_are_counted_by_hand():
    # 784*256+256 + 256*128+128 + 128*10+10
    assert sum(p.numel() for p in MLP(10, 1, 28).parameters()) == 200960 + 32896 + 1290


def test_without_hidden_layers_it_is_logistic_regression():
    torch.manual_seed(0)
    network = MLP(3, 1, 4, hidden_sizes=[], input_mean=[0.5], input_std=[0.5])
    x_BCHW = torch.rand(2, 1, 4, 4)
    expected = ((x_BCHW - 0.5) / 0.5).flatten(1) @ network.classifier.weight.T + network.classifier.bias
    torch.testing.assert_close(network(x_BCHW), expected)


def test_gradient_times_input_at_the_explained_layer_sums_to_the_logit_of_a_linear_network():
    network = MLP(2, 1, 4, hidden_sizes=[])
    stored = []
    with torch.no_grad():
        network.classifier.weight.normal_()
    hook = network.feature_layer.register_forward_hook(lambda module, inputs, output: stored.append(output))
    logits_BK = network(torch.rand(1, 1, 4, 4, requires_grad=True))
    hook.remove()
    (gradient,) = torch.autograd.grad(logits_BK[0, 1], stored[0])
    assert (gradient * stored[0]).sum().item() == pytest.approx(logits_BK[0, 1].item(), rel=1e-5)


def test_it_has_no_convolution_to_show():
    assert MLP(2, 1, 8).first_conv is None


def test_hidden_layer_without_units_is_refused():
    with pytest.raises(ModelError, match="hidden_sizes"):
        MLP(2, 1, 8, hidden_sizes=[16, 0])
