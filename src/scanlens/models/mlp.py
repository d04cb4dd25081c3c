"""A multilayer perceptron: the baseline that convolutional networks are compared with."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from scanlens.errors import ModelError
from scanlens.models.base import Network, initialize
from scanlens.models.standardize import Standardize


class MLP(Network):
    """Flattened pixels, hidden layers with ReLU and dropout, one linear layer to the classes.

    It has no convolution, so its layer worth explaining is the standardized image itself: HiResCAM there is the
    gradient times the input, and one cell of the map is one pixel.

    Args:
        num_classes: K, at least 2 (from the data).
        in_channels: channels of the images (from the data).
        input_size: rows and columns of the square images, in pixels (from the data).
        input_mean: mean of the training split, one number per channel; None leaves intensities as they are.
        input_std: standard deviation of the training split, likewise.
        hidden_sizes: units of each hidden layer; an empty list makes logistic regression.
        dropout: share of hidden units dropped while training, in [0, 1).
    """

    feature_layer_name = "standardize"
    head_kind = "flatten"

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        input_size: int,
        *,
        input_mean: list[float] | None = None,
        input_std: list[float] | None = None,
        hidden_sizes: list[int] | tuple[int, ...] = (256, 128),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if any(size < 1 for size in hidden_sizes):
            raise ModelError(f"hidden_sizes must be positive, got {list(hidden_sizes)}.")
        self.standardize = Standardize(in_channels, mean=input_mean, std=input_std)
        sizes = [in_channels * input_size**2, *hidden_sizes]
        layers: list[nn.Module] = [nn.Flatten()]
        for num_inputs, num_outputs in pairwise(sizes):
            layers += [nn.Linear(num_inputs, num_outputs), nn.ReLU(), nn.Dropout(dropout)]
        self.hidden = nn.Sequential(*layers)
        self.classifier = nn.Linear(sizes[-1], num_classes)
        initialize(self)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits, logits_BK."""
        return self.classifier(self.embed(x_BCHW))

    def embed(self, x_BCHW: Tensor) -> Tensor:
        """The last hidden layer, z_BD."""
        return self.hidden(self.standardize(x_BCHW))
