"""Networks whose weights are drawn anew from the top down: a map that stays the same does not depend on what was learned.

Adebayo et al. 2018, arXiv:1810.03292 (cascading randomization). Single draws are noisy, so several seeds belong to every
number; and what remains is compared with maps of different images, not with zero, since all maps of a network share
something.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from scanlens.explain.scope import untouched
from scanlens.seeds import derived_seed


def layers_from_top(model: nn.Module, x_BCHW: Tensor) -> list[str]:
    """Dotted names of the layers that have weights of their own, the one nearest to the output first.

    The order is that in which the first image goes through them, so it does not depend on how a network is written.

    Args:
        model: any network; left as it was.
        x_BCHW: images of the size in question.
    """
    model = getattr(model, "_orig_mod", model)
    names = {
        module: name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))
    }
    ran: list[str] = []
    hooks = [module.register_forward_hook(lambda one, *_: ran.append(names[one])) for module in names]
    try:
        with untouched(model, x_BCHW[:1]) as x_1CHW, torch.no_grad():
            model(x_1CHW)
    finally:
        for hook in hooks:
            hook.remove()
    return list(dict.fromkeys(reversed(ran)))


def depths(num_layers: int, most: int) -> list[int]:
    """How many layers, counted from the top, are randomized at each step: the top one, ... , all; at most `most` steps."""
    if num_layers < 1 or most < 1:
        return []
    if most == 1:
        return [num_layers]
    return sorted({round(depth) for depth in np.linspace(1, num_layers, min(most, num_layers))})


def cascade(
    model: nn.Module, layers: Sequence[str], steps: Sequence[int], *, seed: int
) -> Iterator[tuple[int, nn.Module]]:
    """A copy of the network with more and more of its weights drawn anew; the network itself is left as it was.

    Convolutions and linear layers get normally distributed weights with variance 2 / fan-in (He et al. 2015,
    arXiv:1502.01852) and biases of zero, normalizations their start values. A layer gets the same draw at every step.

    Args:
        model: any network.
        layers: see `layers_from_top`.
        steps: numbers of layers, ascending; see `depths`.
        seed: another one gives other weights.

    Yields:
        Each step with one and the same copy, changed in place: use it before asking for the next.
    """
    changed = copy.deepcopy(getattr(model, "_orig_mod", model))
    done = 0
    for depth in steps:
        for place in range(done, depth):
            _draw_anew(changed.get_submodule(layers[place]), seed=derived_seed(seed, place))
        done = max(done, depth)
        yield depth, changed


def _draw_anew(layer: nn.Module, *, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in layer.named_parameters(recurse=False):
            if parameter.ndim > 1:
                drawn = torch.randn(parameter.shape, generator=generator) * (2 / parameter[0].numel()) ** 0.5
                parameter.copy_(drawn)
            else:
                parameter.fill_(0.0 if "bias" in name else 1.0)
    reset = getattr(layer, "reset_running_stats", None)
    if callable(reset):
        reset()
