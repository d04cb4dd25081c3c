"""LeNet-5 against the drawing: parameters counted by hand, shapes layer by layer."""

import pytest
import torch
from torch import nn

from scanlens.errors import ModelError
from scanlens.models.lenet import LeNet
from scanlens.models.summary import describe


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_parameters_are_those_of_the_drawing():
    # 6*(25+1) + 16*(6*25+1) + 120*(400+1) + 84*(120+1) + 10*(84+1)
    assert 156 + 2416 + 48120 + 10164 + 850 == 61706
    assert count(LeNet(10, 1, 28)) == 61706


def test_unpadded_network_on_32_pixels_has_the_parameters_of_the_padded_one_on_28():
    assert count(LeNet(10, 1, 32, padding=0)) == 61706


def test_shapes_through_the_layers_are_those_of_the_drawing():
    rows = describe(LeNet(10, 1, 28, activation="sigmoid"), 28, 1)
    shapes = [row.output_shape for row in rows if row.kind in ("Conv2d", "AvgPool2d", "Flatten", "Linear")]
    assert shapes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (400,), (120,), (84,), (10,)]


def test_logits_equal_the_same_network_written_out():
    torch.manual_seed(0)
    network = LeNet(3, 1, 28, input_mean=[0.4], input_std=[0.2], activation="sigmoid").eval()
    x_BCHW = torch.rand(2, 1, 28, 28)
    f, d = network.features, network.dense
    h = nn.functional.avg_pool2d(
        torch.sigmoid(nn.functional.conv2d((x_BCHW - 0.4) / 0.2, f.conv1.weight, padding=2)), 2
    )
    h = nn.functional.avg_pool2d(torch.sigmoid(nn.functional.conv2d(h, f.conv2.weight)), 2).flatten(1)
    h = torch.sigmoid(torch.sigmoid(h @ d.linear1.weight.T) @ d.linear2.weight.T)
    torch.testing.assert_close(network(x_BCHW), h @ network.classifier.weight.T)  # all biases start at zero


@pytest.mark.parametrize("size", [16, 17, 31, 64])
@pytest.mark.parametrize("padding", [0, 2])
def test_any_size_from_16_pixels_fits(size, padding):
    assert LeNet(4, 3, size, padding=padding)(torch.rand(2, 3, size, size)).shape == (2, 4)


def test_too_small_image_says_what_is_needed():
    with pytest.raises(ModelError, match="at least 16x16 pixels, got 8x8"):
        LeNet(10, 1, 8)


def test_max_pooling_and_width_are_settings():
    network = LeNet(10, 1, 28, pooling="max", width=2.0, batch_norm=True)
    kinds = {type(module) for module in network.modules()}
    assert nn.MaxPool2d in kinds
    assert nn.AvgPool2d not in kinds
    assert network.features.conv2.out_channels == 32


def test_layer_worth_explaining_is_the_second_activation():
    network = LeNet(10, 1, 28)
    assert network.feature_layer is network.features.activation2
    assert network.first_conv is network.features.conv1
    assert network.head_kind == "flatten"


def test_learns_to_tell_left_from_right():
    torch.manual_seed(0)
    target_B = torch.arange(64) % 2
    x_BCHW = 0.1 * torch.rand(64, 1, 16, 16)
    x_BCHW[target_B == 0, :, 4:12, 2:6] += 0.8
    x_BCHW[target_B == 1, :, 4:12, 10:14] += 0.8
    network = LeNet(2, 1, 16, input_mean=[0.15], input_std=[0.25])
    optimizer = torch.optim.AdamW(network.parameter_groups(lr=3e-3))
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x_BCHW), target_B).backward()
        optimizer.step()
    assert (network.eval()(x_BCHW).argmax(1) == target_B).all()
