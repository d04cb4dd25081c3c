"""Tiny networks that keep the contract of scanlens networks: x in [0, 1], logits out, `feature_layer`, `head_kind`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

SIZE = 16
NUM_CLASSES = 3


class Classifier(nn.Module):
    """Features and a head, with a feature layer by name."""

    def __init__(self, features: nn.Sequential, head: nn.Module, head_kind: str, feature: int | None) -> None:
        super().__init__()
        self.features, self.head, self.head_kind = features, head, head_kind
        self._feature = feature

    @property
    def feature_layer(self) -> nn.Module | None:
        return None if self._feature is None else self.features[self._feature]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(self.features(x_BCHW))


class Autoencoder(nn.Module):
    """A convolutional encoder and decoder."""

    head_kind = "none"

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.Tanh(), nn.Conv2d(4, 2, 3, 2, 1), nn.Tanh())
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(2, 4, 4, 2, 1), nn.Tanh(), nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Sigmoid()
        )

    @property
    def feature_layer(self) -> nn.Module:
        return self.encoder[3]

    def encode(self, x_BCHW: Tensor) -> Tensor:
        return self.encoder(x_BCHW).flatten(1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.decoder(self.encoder(x_BCHW))


def make_flatten_net() -> Classifier:
    features = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(inplace=True),
    )
    head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(6 * 64, 8), nn.ReLU(), nn.Linear(8, NUM_CLASSES))
    return Classifier(features, head, "flatten", 5)


def make_gap_net() -> Classifier:
    features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, NUM_CLASSES))
    return Classifier(features, head, "gap", 4)


def make_mlp() -> Classifier:
    head = nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE, 8), nn.ReLU(), nn.Linear(8, NUM_CLASSES))
    return Classifier(nn.Sequential(nn.Identity()), head, "flatten", None)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "flatten": make_flatten_net,
    "gap": make_gap_net,
    "mlp": make_mlp,
    "autoencoder": Autoencoder,
}


def make_network(kind: str) -> nn.Module:
    """A seeded tiny network: "flatten", "gap", "mlp" or "autoencoder", in training mode."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return NETWORKS[kind]()


def make_vgg19_features(width: int = 2, *, is_inplace: bool = True) -> nn.Sequential:
    """The layers of VGG-19 with few channels: indices and geometry as in torchvision."""
    layers: list[nn.Module] = []
    channels = 3
    for repeats in (2, 2, 4, 4, 4):
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=is_inplace)]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)
