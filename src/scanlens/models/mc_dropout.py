"""Predictions with dropout left on: samples of what the network might have been.

Legend of axes: M passes, K classes; C channels, H rows, W columns.

References:
    Gal & Ghahramani 2016, arXiv:1506.02142 (dropout at prediction as an approximation of a Bayesian network).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from scanlens.errors import ModelError
from scanlens.seeds import derived_seed

_STREAM = 50
_KINDS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def dropouts(network: nn.Module) -> list[nn.Module]:
    """The layers that drop something while training; those with probability 0 do not count."""
    return [module for module in network.modules() if isinstance(module, _KINDS) and module.p > 0]


def check_has_dropout(network: nn.Module) -> None:
    """Refuse a network without dropout.

    Raises:
        ModelError: it has none.
    """
    if not dropouts(network):
        raise ModelError(
            f"uncertainty.mc_passes asks for predictions with dropout left on, and {type(network).__name__} has no dropout: "
            "every pass would say the same. Set model.dropout above 0 where the model has it, or uncertainty.mc_passes=0."
        )


def mc_probabilities(network: nn.Module, x_CHW: Tensor, *, passes: int, seed: int, index: int) -> Tensor:
    """Probabilities p_MK (float64) of one image in `passes` passes, each with units dropped by lot.

    What is dropped is a function of (seed, index, passes) on one kind of device, so neither the batch nor the order of
    images matters. Everything else, such as batch normalization, stays as for prediction.

    Args:
        network: on any device; its modes and the state of random numbers are the same afterwards.
        x_CHW: one image in [0, 1].
        passes: M, at least 2.
        seed: of the run.
        index: place of the image in the data set.

    Raises:
        ModelError: the network has no dropout.
    """
    check_has_dropout(network)
    device = next(network.parameters()).device
    copies_MCHW = x_CHW.to(device).expand(passes, *x_CHW.shape)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _dropout_on(network):
        torch.manual_seed(derived_seed(seed, _STREAM, index))
        with torch.inference_mode():
            return network(copies_MCHW).double().softmax(dim=1).cpu()


@contextmanager
def _dropout_on(network: nn.Module) -> Iterator[None]:
    """Everything as for prediction but dropout; each module gets its former mode back."""
    former = {module: module.training for module in network.modules()}
    network.eval()
    for module in dropouts(network):
        module.training = True
    try:
        yield
    finally:
        for module, mode in former.items():
            module.training = mode
