"""A classifier on the encoder of an autoencoder, which may have learned from images without classes."""

from __future__ import annotations

import logging
from typing import Any

from torch import Tensor, nn

from scanlens.errors import ModelError
from scanlens.models.autoencoder import Encoder, check_size, pad_to_multiple
from scanlens.models.base import Network, initialize
from scanlens.models.standardize import Standardize
from scanlens.models.weights import State, check_fits, read_weights, weights_file

_log = logging.getLogger(__name__)


class EncoderClassifier(Network):
    """The encoder of `Autoencoder`, the mean over positions, dropout and one linear layer.

    Args:
        num_classes: K, at least 2 (from the data).
        in_channels: channels of the images (from the data).
        input_size: rows and columns of the square images, in pixels (from the data).
        input_mean: mean of the training split; the statistics of the file take its place if there is one.
        input_std: standard deviation of the training split, likewise.
        weights: the run folder or weights file of an autoencoder, which also decides the channels; "none" starts from
            random weights.
        channels: channels of all stages, the latent last; used with `weights: none` only. None means
            (32, 64, 128, 32), as the autoencoder has them.
        frozen: whether the encoder stays as it is and only the head learns.
        dropout: share of features dropped while training, in [0, 1).

    Raises:
        ModelError: the weights are absent, broken, or not those of an autoencoder for such images.
    """

    head_kind = "gap"

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        input_size: int,
        *,
        input_mean: list[float] | None = None,
        input_std: list[float] | None = None,
        weights: str = "none",
        channels: list[int] | None = None,
        frozen: bool = False,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        state = None if weights == "none" else _encoder_of(weights)
        if state is not None and channels is not None:
            _log.warning("model.channels has no effect: the encoder in model.weights decides them")
        self.channels = _channels_of(state) if state is not None else list(channels or (32, 64, 128, 32))
        check_size(input_size, num_stages=len(self.channels))
        self.standardize = Standardize(in_channels, mean=input_mean, std=input_std)
        self.encoder = Encoder(in_channels, self.channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.channels[-1], num_classes)
        self.feature_layer_name = f"encoder.{len(self.channels) - 1}.2"
        initialize(self)
        if state is not None:
            self._take_over(state, weights)
        self.is_frozen = frozen
        self.encoder.requires_grad_(not frozen)
        self.train()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits, logits_BK."""
        return self.classifier(self.dropout(self.embed(x_BCHW)))

    def embed(self, x_BCHW: Tensor) -> Tensor:
        """Mean over positions of each latent channel, z_BD, as the autoencoder gives it."""
        features = self.encoder(pad_to_multiple(self.standardize(x_BCHW), self.encoder.stride))
        return self.pool(features).flatten(start_dim=1)

    def train(self, mode: bool = True) -> EncoderClassifier:
        """As usual, except that a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.is_frozen:
            self.encoder.eval()
        return self

    def rebuild_arguments(self) -> dict[str, Any]:
        """See Network."""
        return super().rebuild_arguments() | {"weights": "none", "channels": self.channels}

    def _take_over(self, state: State, weights: str) -> None:
        ours = self.state_dict()
        expected = {name: ours[name] for name in ours if name.startswith(("encoder.", "standardize."))}
        file = weights_file(weights)
        check_fits(state, expected, source=file.name)
        self.load_state_dict(state, strict=False)
        self.weights_note = f"encoder from weights file {file.parent.name}/{file.name}; the head is new"


def _encoder_of(weights: str) -> State:
    state = {n: t for n, t in read_weights(weights).items() if n.startswith(("encoder.", "standardize."))}
    if "encoder.0.0.weight" not in state:
        raise ModelError(
            f"'{weights}' holds no encoder of an autoencoder. Give the run folder of a run with model=autoencoder."
        )
    return state


def _channels_of(state: State) -> list[int]:
    """Channels after each stage, read from the shapes of the convolutions."""
    convolutions = [f"encoder.{stage}.0.weight" for stage in range(len(state))]
    return [state[name].shape[0] for name in convolutions if name in state]
