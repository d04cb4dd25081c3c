"""VGG-19, torchvision's, with a head that suits small data sets and blocks that can be frozen and thawed."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from scanlens.errors import ModelError, did_you_mean
from scanlens.models.base import Network, initialize, split_by_decay
from scanlens.models.pretrained import (
    WeightsUnavailable,
    fit_backbone,
    has_batch_norm,
    imagenet_state,
    matching_layers,
    torchvision_vgg,
)
from scanlens.models.standardize import IMAGENET_MEAN, IMAGENET_STD, Standardize
from scanlens.models.weights import State, read_weights, weights_file

NUM_BLOCKS = 5
MIN_SIZE = 32  # five times halved, one pixel is left
FROZEN_IF_PRETRAINED = 2
RESERVED_WEIGHTS = ("auto", "imagenet", "none")

_log = logging.getLogger(__name__)


class VGG19(Network):
    """VGG-19: sixteen 3x3 convolutions in five blocks, then a head of its own.

    Gray images are repeated to three channels after scaling to [0, 1]. Any other number of channels (MRI sequences)
    gets a first convolution of its own; with pretrained weights its kernels are the mean over red, green and blue,
    times 3 / channels. Pretrained networks of gray and RGB images standardize with the statistics the weights were
    trained with, all others with those of the training split.

    Where it differs from the paper: the default head averages the maps of the last ReLU and has one linear layer (0.5
    thousand weights a class instead of 120 million); the last max pool is left out before it, so that every cell of
    these maps counts alike and Grad-CAM is exact, on 14x14 instead of 7x7 cells for 224 pixels. The ReLUs are not in
    place, so that explanations read what they computed; from random weights batch norm is used, see `batch_norm`.

    Args:
        num_classes: K, at least 2 (from the data).
        in_channels: channels of the images (from the data).
        input_size: rows and columns of the square images, in pixels, at least 32 (from the data).
        input_mean: mean of the training split, one number per channel; None leaves intensities as they are.
        input_std: standard deviation of the training split, likewise.
        weights: "imagenet", "none", a .safetensors or .pth file, or the folder of a former run. "auto" is ImageNet's
            if torch hub has or gets them, else none with a warning. A head of the file is taken over if it fits.
        frozen_blocks: how many of the five blocks, counted from the input, start frozen; "auto" is 2 with pretrained
            weights (edges and textures stay as they are) and 0 without.
        batch_norm: after every convolution; "auto" is on for random weights (the plain network hardly learns from
            them on small data sets) and as the weights have it otherwise.
        head: "linear" (mean over positions, dropout, linear) or "original" (max pool, 7x7 positions, 4096-4096-K).
        dropout: share of units dropped before each linear layer but the first of the original head, in [0, 1).

    Attributes:
        frozen_blocks: how many blocks are frozen now.
        is_pretrained: whether weights were taken over.
        weights_note: where the initial weights came from.

    Raises:
        ModelError: torchvision is absent, the images are too small, or the weights are absent, broken or do not fit.

    References:
        Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition. ICLR 2015.
        He et al.: Delving deep into rectifiers (initialization). ICCV 2015.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        input_size: int,
        *,
        input_mean: list[float] | None = None,
        input_std: list[float] | None = None,
        weights: str = "auto",
        frozen_blocks: int | Literal["auto"] = "auto",
        batch_norm: bool | Literal["auto"] = "auto",
        head: Literal["linear", "original"] = "linear",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if input_size < MIN_SIZE:
            raise ModelError(
                f"VGG-19 needs images of at least {MIN_SIZE}x{MIN_SIZE} pixels, got {input_size}x{input_size}. "
                "Choose a larger preprocess size."
            )
        start = _start(weights, batch_norm)
        self.weights_note = start.note
        self.has_batch_norm = start.has_batch_norm
        self.repeats_gray = in_channels == 1
        num_channels = 3 if self.repeats_gray else in_channels
        self.standardize = Standardize(num_channels, mean=input_mean, std=input_std)
        self.features = _random_features(num_channels, batch_norm=self.has_batch_norm, has_last_pool=head == "original")
        self.pool = nn.AdaptiveAvgPool2d(1 if head == "linear" else 7)
        self.classifier = _linear_head(num_classes, dropout) if head == "linear" else _dense_head(num_classes, dropout)
        self.head_kind = "gap" if head == "linear" else "flatten"
        self.feature_layer_name = f"features.{_last_relu(self.features)}"
        if start.state is not None:
            self._take_over(start.state, source=start.source)
        self.set_frozen_blocks(start.frozen_blocks if frozen_blocks == "auto" else frozen_blocks)
        if start.is_fallback and self.frozen_blocks > 0:
            _log.warning("frozen_blocks=%d freezes random weights; set model.frozen_blocks=0", self.frozen_blocks)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits, logits_BK."""
        return self.classifier[-1](self.embed(x_BCHW))

    def embed(self, x_BCHW: Tensor) -> Tensor:
        """What the last linear layer sees, z_BD: D = 512 with the linear head, 4096 with the original one."""
        if self.repeats_gray and x_BCHW.shape[1] == 1:
            x_BCHW = x_BCHW.expand(-1, 3, -1, -1)
        z_BD = self.pool(self.features(self.standardize(x_BCHW))).flatten(start_dim=1)
        return self.classifier[:-1](z_BD)

    def blocks(self) -> list[list[nn.Parameter]]:
        """The parameters of the five blocks, from the input upwards."""
        return [[p for module in block for p in module.parameters()] for block in self._block_modules()]

    def set_frozen_blocks(self, num_blocks: int) -> None:
        """Freezes exactly the lowest `num_blocks` blocks and thaws the others; their batch norms keep their statistics.

        Args:
            num_blocks: 0 (everything learns) to 5 (only the head learns).
        """
        if not 0 <= num_blocks <= NUM_BLOCKS:
            raise ModelError(f"frozen_blocks must be between 0 and {NUM_BLOCKS}, got {num_blocks}.")
        self.frozen_blocks = num_blocks
        for index, parameters in enumerate(self.blocks()):
            for parameter in parameters:
                parameter.requires_grad_(index >= num_blocks)
        self.train(self.training)

    def train(self, mode: bool = True) -> VGG19:
        """As usual, except that frozen blocks stay in evaluation mode."""
        super().train(mode)
        for block in self._block_modules()[: self.frozen_blocks]:
            for module in block:
                module.eval()
        return self

    def parameter_groups(self, lr: float, block_decay: float = 1.0) -> list[dict[str, Any]]:
        """Groups for a torch optimizer: the head at `lr`, block 5 at `lr * block_decay`, block 4 at its square ..."""
        if not 0 < block_decay <= 1:
            raise ModelError(f"block_decay must lie in (0, 1], got {block_decay}. 1 gives all blocks the same rate.")
        groups = split_by_decay(self.classifier.named_parameters(), lr=lr, name="head")
        for depth, block in enumerate(reversed(self._block_modules()), start=1):
            named = [pair for module in block for pair in module.named_parameters()]
            groups += split_by_decay(named, lr=lr * block_decay**depth, name=f"block{NUM_BLOCKS + 1 - depth}")
        return groups

    def rebuild_arguments(self) -> dict[str, Any]:
        """See Network: what "auto" was settled to; the weights themselves come from the run's file."""
        return super().rebuild_arguments() | {
            "weights": "none",
            "frozen_blocks": self.frozen_blocks,
            "batch_norm": self.has_batch_norm,
        }

    def _block_modules(self) -> list[list[nn.Module]]:
        blocks: list[list[nn.Module]] = [[]]
        for module in self.features:
            blocks[-1].append(module)
            if isinstance(module, nn.MaxPool2d):
                blocks.append([])
        return blocks[:NUM_BLOCKS]

    def _take_over(self, state: State, *, source: str) -> None:
        """Copies a backbone, the statistics it was trained with, and a head if it fits."""
        ours = self.state_dict()
        expected = {name: tensor for name, tensor in ours.items() if name.startswith("features.")}
        chosen = fit_backbone(state, expected, source=source)
        if "standardize.mean_C" in state and state["standardize.mean_C"].shape == self.standardize.mean_C.shape:
            chosen |= {name: state[name] for name in ("standardize.mean_C", "standardize.std_C")}
        elif self.standardize.mean_C.numel() == 3:
            chosen |= {
                "standardize.mean_C": torch.tensor(IMAGENET_MEAN),
                "standardize.std_C": torch.tensor(IMAGENET_STD),
            }
        head = matching_layers(state, ours, prefix="classifier.")
        last = f"classifier.{len(self.classifier) - 1}.weight"
        self.weights_note += "; its head too" if last in head else "; the head is new"
        self.load_state_dict(chosen | head, strict=False)


@dataclass(frozen=True, slots=True)
class _Start:
    """Where the weights begin: a state to take over or None, and what "auto" settings become with it."""

    state: State | None
    source: str
    note: str
    has_batch_norm: bool
    frozen_blocks: int
    is_fallback: bool = False


def _start(weights: str, batch_norm: bool | Literal["auto"]) -> _Start:
    if weights == "none":
        return _from_scratch(batch_norm, note="")
    if weights in ("auto", "imagenet"):
        try:
            state = imagenet_state(batch_norm=batch_norm is True)
        except WeightsUnavailable as error:
            if weights == "imagenet":
                raise
            note = f"trained from scratch, which costs accuracy: {error}"
            _log.warning("VGG-19 is %s", note)
            return _from_scratch(batch_norm, note=note, is_fallback=True)
        return _pretrained(state, "ImageNet weights", batch_norm)
    if not Path(weights).expanduser().exists():
        raise ModelError(
            "weights must be auto, imagenet, none, an existing weights file or a run folder, "
            f"got '{weights}'. {did_you_mean(weights, RESERVED_WEIGHTS)}"
        )
    file = weights_file(weights)
    return _pretrained(read_weights(file), f"weights file {file.parent.name}/{file.name}", batch_norm)


def _from_scratch(batch_norm: bool | Literal["auto"], *, note: str, is_fallback: bool = False) -> _Start:
    wants_norm = batch_norm is True or batch_norm == "auto"
    return _Start(None, "", note, has_batch_norm=wants_norm, frozen_blocks=0, is_fallback=is_fallback)


def _pretrained(state: State, source: str, batch_norm: bool | Literal["auto"]) -> _Start:
    found = has_batch_norm(state)
    if batch_norm != "auto" and batch_norm != found:
        raise ModelError(
            f"The {source} are of VGG-19 with{'' if found else 'out'} batch norm, but batch_norm is {batch_norm}. "
            "Set model.batch_norm=auto."
        )
    return _Start(state, source, f"backbone from {source}", has_batch_norm=found, frozen_blocks=FROZEN_IF_PRETRAINED)


def _random_features(in_channels: int, *, batch_norm: bool, has_last_pool: bool) -> nn.Sequential:
    """torchvision's layers with He's initialization and without operations in place."""
    vgg = torchvision_vgg()
    with torch.device("meta"):  # the original head is never made: 120 million numbers
        build = vgg.vgg19_bn if batch_norm else vgg.vgg19
        layers = list(build(weights=None, init_weights=False).features)
        layers[0] = nn.Conv2d(in_channels, layers[0].out_channels, kernel_size=3, padding=1)
    layers = [nn.ReLU() if isinstance(layer, nn.ReLU) else layer for layer in layers]
    features = nn.Sequential(*(layers if has_last_pool else layers[:-1])).to_empty(device="cpu")
    initialize(features)
    return features


def _linear_head(num_classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(dropout), _last_linear(512, num_classes))


def _dense_head(num_classes: int, dropout: float) -> nn.Sequential:
    """The layers of the paper, at the places where torchvision has them."""
    hidden = nn.Sequential(
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(dropout),
    )
    initialize(hidden)
    return hidden.append(_last_linear(4096, num_classes))


def _last_linear(num_inputs: int, num_classes: int) -> nn.Linear:
    """Near zero, as torchvision draws it, so that training starts from even probabilities."""
    layer = nn.Linear(num_inputs, num_classes)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


def _last_relu(features: nn.Sequential) -> int:
    return max(index for index, layer in enumerate(features) if isinstance(layer, nn.ReLU))
