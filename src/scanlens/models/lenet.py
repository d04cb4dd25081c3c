"""LeNet-5, the network of the lecture."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from scanlens.errors import ModelError
from scanlens.models.base import Network, activation, initialize
from scanlens.models.standardize import Standardize


class LeNet(Network):
    """LeNet-5 as usually drawn: 5x5 convolution, pool, 5x5 convolution, pool, then 120, 84 and K units.

    For 28x28 gray images and K = 10: 28 -> (6, 28, 28) -> (6, 14, 14) -> (16, 10, 10) -> (16, 5, 5) -> 400 -> 120 -> 84
    -> 10, with 61,706 parameters. Larger images only widen the first dense layer.

    Where it differs from the paper: every map of the second convolution sees all six maps of the first, pooling has
    no weights, the output layer is linear with softmax in the loss instead of radial basis functions, and the default
    activation is ReLU, which trains faster. `activation: sigmoid` is the network as Dive into Deep Learning draws it,
    `activation: tanh` is nearest to the paper.

    Args:
        num_classes: K, at least 2 (from the data).
        in_channels: channels of the images (from the data).
        input_size: rows and columns of the square images, in pixels, at least 16 (from the data).
        input_mean: mean of the training split, one number per channel; None leaves intensities as they are.
        input_std: standard deviation of the training split, likewise.
        activation: after both convolutions and the first two dense layers.
        pooling: mean or maximum of 2x2 pixels.
        padding: rim of zeros around the image before the first convolution, in pixels; 2 keeps its size.
        dropout: share of dense units dropped while training, in [0, 1); the original has none.
        batch_norm: normalize after both convolutions, not in the original.
        width: factor on the numbers of maps and dense units (6, 16, 120, 84).

    References:
        LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition. Proc. IEEE 86, 1998.
        Zhang, Lipton, Li, Smola: Dive into Deep Learning, section 7.6.
    """

    feature_layer_name = "features.activation2"
    head_kind = "flatten"

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        input_size: int,
        *,
        input_mean: list[float] | None = None,
        input_std: list[float] | None = None,
        activation: Literal["sigmoid", "relu", "tanh"] = "relu",
        pooling: Literal["avg", "max"] = "avg",
        padding: int = 2,
        dropout: float = 0.0,
        batch_norm: bool = False,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        side = _side_after_features(input_size, padding)
        maps1, maps2, dense1, dense2 = (max(1, round(width * n)) for n in (6, 16, 120, 84))
        self.standardize = Standardize(in_channels, mean=input_mean, std=input_std)
        self.features = _features(in_channels, maps1, maps2, padding, activation, pooling, batch_norm)
        self.dense = _dense(maps2 * side**2, dense1, dense2, activation, dropout)
        self.classifier = nn.Linear(dense2, num_classes)
        initialize(self, gain_of=activation)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits, logits_BK."""
        return self.classifier(self.embed(x_BCHW))

    def embed(self, x_BCHW: Tensor) -> Tensor:
        """The last dense layer before the classifier, z_BD with D = 84."""
        return self.dense(self.features(self.standardize(x_BCHW)))


Activation = Literal["sigmoid", "relu", "tanh"]
Layers = OrderedDict[str, nn.Module]


def _features(
    in_channels: int, maps1: int, maps2: int, padding: int, kind: Activation, pooling: str, batch_norm: bool
) -> nn.Sequential:
    pool = nn.AvgPool2d if pooling == "avg" else nn.MaxPool2d
    layers: Layers = OrderedDict()
    layers["conv1"] = nn.Conv2d(in_channels, maps1, kernel_size=5, padding=padding)
    if batch_norm:
        layers["norm1"] = nn.BatchNorm2d(maps1)
    layers["activation1"] = activation(kind)
    layers["pool1"] = pool(2)
    layers["conv2"] = nn.Conv2d(maps1, maps2, kernel_size=5)
    if batch_norm:
        layers["norm2"] = nn.BatchNorm2d(maps2)
    layers["activation2"] = activation(kind)
    layers["pool2"] = pool(2)
    return nn.Sequential(layers)


def _dense(num_inputs: int, dense1: int, dense2: int, kind: Activation, dropout: float) -> nn.Sequential:
    layers: Layers = OrderedDict()
    layers["flatten"] = nn.Flatten()
    layers["linear1"] = nn.Linear(num_inputs, dense1)
    layers["activation1"] = activation(kind)
    layers["dropout1"] = nn.Dropout(dropout)
    layers["linear2"] = nn.Linear(dense1, dense2)
    layers["activation2"] = activation(kind)
    layers["dropout2"] = nn.Dropout(dropout)
    return nn.Sequential(layers)


def _side_after_features(input_size: int, padding: int) -> int:
    side = (input_size + 2 * padding - 4) // 2
    side = (side - 4) // 2
    if side < 1:
        raise ModelError(
            f"LeNet needs images of at least 16x16 pixels, got {input_size}x{input_size} with padding {padding}. "
            "Choose a larger preprocess size."
        )
    return side
