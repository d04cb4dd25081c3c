"""ImageNet weights for VGG-19, and how a backbone from elsewhere is fitted into a network."""

from __future__ import annotations

import importlib
import logging
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from scanlens.errors import ModelError
from scanlens.models.weights import State, check_fits, read_weights

CONNECT_TIMEOUT_S = 8.0  # to learn that there is no network
STALL_TIMEOUT_S = 30.0  # a download that brings nothing for this long is given up

_log = logging.getLogger(__name__)


class WeightsUnavailable(ModelError):
    """ImageNet weights can be had neither from torch hub's cache nor by download; the message says why."""


def imagenet_state(*, batch_norm: bool) -> State:
    """VGG-19's ImageNet weights by tensor name, from torch hub's cache or downloaded into it (548 MB, hash checked).

    Args:
        batch_norm: of the variant with batch norm.

    Raises:
        WeightsUnavailable: no network, no space, a broken file or a wrong hash; nothing half-written stays behind.
    """
    vgg = torchvision_vgg()
    weights = vgg.VGG19_BN_Weights.IMAGENET1K_V1 if batch_norm else vgg.VGG19_Weights.IMAGENET1K_V1
    file_name = weights.url.rsplit("/", 1)[-1]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file_name
    try:
        if not cached.is_file():
            _download(weights.url, cached)
        return read_weights(cached)
    except (OSError, RuntimeError, ModelError) as error:  # URLError is an OSError; a wrong hash is a RuntimeError
        reason = getattr(error, "reason", None) or error
        raise WeightsUnavailable(
            f"ImageNet weights could not be had ({reason}). Where there is no network, put torchvision's {file_name} into "
            "$TORCH_HOME/hub/checkpoints, or set model.weights to a weights file, a run folder, or none."
        ) from error


def torchvision_vgg() -> ModuleType:
    """torchvision's module of VGG networks, imported when first needed.

    Raises:
        ModelError: if torchvision is absent, or made for another version of torch.
    """
    try:
        return importlib.import_module("torchvision.models.vgg")
    except (ImportError, RuntimeError) as error:  # RuntimeError: its operators do not fit the installed torch
        raise ModelError(
            f"VGG-19 needs torchvision in the version that belongs to torch {torch.__version__} ({error}). "
            "Install both together: pip install torch torchvision."
        ) from error


def fit_backbone(state: State, expected: dict[str, Tensor], *, source: str) -> State:
    """The tensors of `state` whose names stand in `expected`, its first kernels made to fit the input channels.

    A first convolution trained on other channels is replaced by the mean of its kernels over those channels, times
    (their number / ours), so that an image with equal channels gives the same response as before.

    Args:
        state: tensors of the file, its head and anything else among them.
        expected: the tensors of our backbone, all under the prefix `features.`.
        source: name of the file, for messages.

    Raises:
        ModelError: if a tensor of the backbone is missing, unknown or of another shape.
    """
    backbone = {name: tensor for name, tensor in state.items() if name.startswith("features.")}
    first = "features.0.weight"
    if first in backbone and backbone[first].ndim == 4:
        backbone[first] = _kernels_for_channels(backbone[first], expected[first].shape[1])
    check_fits(backbone, expected, source=source)
    return backbone


def matching_layers(state: State, expected: dict[str, Tensor], *, prefix: str) -> State:
    """Tensors of those layers under `prefix` whose weight and bias both have the name and shape that are expected."""
    names = [name for name in expected if name.startswith(prefix)]
    fits = {name for name in names if name in state and state[name].shape == expected[name].shape}
    layers = {name.rpartition(".")[0] for name in names}
    whole = {layer for layer in layers if {f"{layer}.weight", f"{layer}.bias"} <= fits}
    return {name: state[name] for name in names if name.rpartition(".")[0] in whole}


def has_batch_norm(state: State) -> bool:
    """Whether VGG weights are of the variant with batch norm."""
    return any(name.startswith("features.") and name.endswith(".running_mean") for name in state)


def _kernels_for_channels(kernels_OIHW: Tensor, num_channels: int) -> Tensor:
    ours, theirs = num_channels, kernels_OIHW.shape[1]
    if ours == theirs:
        return kernels_OIHW
    return kernels_OIHW.mean(dim=1, keepdim=True).expand(-1, ours, -1, -1) * (theirs / ours)


def _download(url: str, target: Path) -> None:
    """torch hub's download: into a file beside the target, renamed when the hash in its name is confirmed."""
    _log.info("Downloading %s (548 MB) into torch hub's cache", target.name)
    _require_answer(url)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _socket_timeout(STALL_TIMEOUT_S):
        torch.hub.download_url_to_file(url, str(target), hash_prefix=target.stem.rpartition("-")[2], progress=False)


def _require_answer(url: str) -> None:
    """Raises within CONNECT_TIMEOUT_S if the server cannot be reached; socket timeouts do not bound name look-ups."""
    outcome: list[OSError | None] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "torch.hub"})
            urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT_S).close()
            outcome.append(None)
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True, name="imagenet-weights-probe")
    thread.start()
    thread.join(CONNECT_TIMEOUT_S)
    if not outcome:
        raise urllib.error.URLError(f"no answer within {CONNECT_TIMEOUT_S:g} s")
    if outcome[0] is not None:
        raise outcome[0]


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    former = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(former)
