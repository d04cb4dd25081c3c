"""First filters and feature maps are the numbers of the network, unharmed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from scanlens.errors import ExplainError
from scanlens.explain.filters import feature_maps, first_filters


def test_first_filters_are_a_copy_of_the_first_convolution(network):
    model = network("flatten")
    filters = first_filters(model)
    assert filters.shape == (4, 1, 3, 3)
    assert np.array_equal(filters, model.features[0].weight.detach().numpy())
    filters[:] = 0
    assert model.features[0].weight.abs().sum() > 0


def test_a_network_without_convolution_has_no_filters(network):
    with pytest.raises(ExplainError, match="no convolution"):
        first_filters(network("mlp"))


def test_feature_maps_are_what_leaves_the_layer_before_the_in_place_relu(network, images):
    model, x = network("flatten"), images(1)
    maps = feature_maps(model, x, "features.1")
    model.eval()
    with torch.no_grad():
        expected = model.features[:2](x)[0].numpy()
    assert np.allclose(maps, expected, atol=1e-6)
    assert maps.min() < 0
    assert feature_maps(model, x).shape == (6, 8, 8)
    assert not model.training


def test_feature_maps_are_of_one_image_and_of_a_layer_with_places(network, images):
    with pytest.raises(ExplainError, match="one image"):
        feature_maps(network("flatten"), images(2))
    with pytest.raises(ExplainError, match="not feature maps"):
        feature_maps(network("flatten"), images(1), "head.0")
    with pytest.raises(ExplainError, match="no layer"):
        feature_maps(nn.Sequential(nn.Conv2d(1, 1, 1)), images(1), "features")
