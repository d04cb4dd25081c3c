"""One careful context in which a network may be differentiated without being changed.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def untouched(model: nn.Module, x_BCHW: Tensor) -> Iterator[Tensor]:
    """A private float32 copy of the images, inside a context that leaves the network exactly as it was.

    Inside: inference mode is left, gradients are on, automatic mixed precision is off, every submodule is in eval
    mode, parameters and buffers are float32 tensors that autograd can use. Parameters ask for no gradients: only what is
    explained does, so that nothing is kept of the layers before it. Afterwards, also when something raised:
    training flags, parameters, their `.grad` and `requires_grad`, and the random state of torch are what they were.

    Only one thread at a time may be inside, since modes, hooks and random state belong to the whole process; another
    thread that *trains* the same network meanwhile would see it in eval mode.

    Args:
        model: any network.
        x_BCHW: images, floating point, on any device, also born in inference mode.

    Raises:
        ExplainError: if the images are not a floating-point tensor of four axes with at least one image.
    """
    _check_images(x_BCHW)
    device = device_of(model, x_BCHW.device)
    with _ONE_AT_A_TIME, ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {"cpu", device.type}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(_parameters_kept(model))
        stack.enter_context(_modes_kept(model))
        stack.enter_context(_ordinary_float32(model))
        yield x_BCHW.detach().to(device=device, dtype=torch.float32, copy=True)


def device_of(model: nn.Module, otherwise: torch.device) -> torch.device:
    """Where the first parameter or buffer of the network lies, or `otherwise` if it has none."""
    for tensor in (*model.parameters(), *model.buffers()):
        return tensor.device
    return otherwise


def _check_images(x_BCHW: Tensor) -> None:
    if not isinstance(x_BCHW, Tensor) or x_BCHW.ndim != 4 or not x_BCHW.is_floating_point() or len(x_BCHW) == 0:
        came = f"{tuple(x_BCHW.shape)} of {x_BCHW.dtype}" if isinstance(x_BCHW, Tensor) else type(x_BCHW).__name__
        raise ExplainError(
            f"an explanation needs images as a floating-point tensor (B, C, H, W) with B >= 1; got {came}. "
            "Add a batch axis with x[None], or convert with x.float()."
        )


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    """Eval mode for every submodule, each flag put back one by one: `model.train()` would thaw frozen batch norms."""
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield
    finally:
        for module, was_training in flags:
            module.training = was_training


@contextmanager
def _parameters_kept(model: nn.Module) -> Iterator[None]:
    """No gradients of parameters; the same `.grad` objects and `requires_grad` flags afterwards, whatever a network does."""
    before = [(parameter, parameter.grad, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for parameter, _, required in before:
            if required and not parameter.is_inference():
                parameter.requires_grad_(False)
        yield
    finally:
        for parameter, gradient, required in before:
            if parameter.grad is not gradient:
                parameter.grad = gradient
            if parameter.requires_grad != required:
                parameter.requires_grad_(required)


@contextmanager
def _ordinary_float32(model: nn.Module) -> Iterator[None]:
    """Stand-ins for tensors that autograd or float32 images cannot meet: half precision, or born in inference mode."""
    swapped: list[tuple[dict, str, Tensor]] = []
    try:
        for module in model.modules():
            for name, parameter in list(module._parameters.items()):
                if parameter is not None and _needs_stand_in(parameter):
                    stand_in = nn.Parameter(_float32_copy(parameter), requires_grad=False)
                    swapped.append((module._parameters, name, parameter))
                    module._parameters[name] = stand_in
            for name, buffer in list(module._buffers.items()):
                if buffer is not None and _needs_stand_in(buffer):
                    swapped.append((module._buffers, name, buffer))
                    module._buffers[name] = _float32_copy(buffer)
        yield
    finally:
        for home, name, original in swapped:
            home[name] = original


def _needs_stand_in(tensor: Tensor) -> bool:
    return tensor.is_inference() or (tensor.is_floating_point() and tensor.dtype != torch.float32)


def _float32_copy(tensor: Tensor) -> Tensor:
    wanted = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to(dtype=wanted, copy=True)
