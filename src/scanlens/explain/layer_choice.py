"""Which layer is explained: the one that was named, the network's own, or the last one that suits, found by watching.

A layer suits if it has more than one cell, follows a convolution, runs once in a pass, is not overwritten by an
operation in place, does not merely pool or resize, and if everything that the network says goes through it. VGG-19's
`features.35` is such a layer (ReLU, 14x14 cells); `features.36`, the usual choice of tutorials, pools to 7x7.

Legend: B images, C channels, H rows, W columns; h, w cells of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scanlens.errors import ExplainError
from scanlens.explain.geometry import Geometry, geometry_of, traced
from scanlens.explain.layers import Layer, find_layer, reading

_FINER = 1.5
_MAX_STRETCH = 1.5  # cells more oblong than this are no places of an image, but another order of axes
_RESIZING = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.LPPool2d,
    nn.FractionalMaxPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.Upsample,
)


@dataclass
class _Seen:
    """One module in one pass, in the order in which they ended."""

    layer: Layer
    output: Tensor
    version: int
    is_once: bool = True

    @property
    def key(self) -> tuple[int, int]:
        """The same for those that hand on the same tensor unchanged."""
        return id(self.output), self.version

    @property
    def is_overwritten(self) -> bool:
        return self.output._version != self.version


def has_own_layer(model: nn.Module) -> bool:
    """Whether the network names a feature layer."""
    return isinstance(getattr(model, "feature_layer", None), nn.Module)


def has_convolution(model: nn.Module) -> bool:
    """Whether there are feature maps to explain at all."""
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


def check_layer(model: nn.Module, name: str | None) -> None:
    """Refuse a name that does not exist, and a network in which there is nothing to choose from.

    Raises:
        ExplainError: see `layers.find_layer`.
    """
    if name is not None or has_own_layer(model) or not has_convolution(model):
        find_layer(model, name)


def layer_for(model: nn.Module, name: str | None, x_BCHW: Tensor) -> Layer:
    """The layer of that name, the network's own, or the last one that suits images like the first of these.

    To be called inside of `scope.untouched`.

    Raises:
        ExplainError: if there is none.
    """
    if name is not None or has_own_layer(model) or not has_convolution(model):
        return find_layer(model, name)
    suiting = _suiting(model, x_BCHW[:1])
    for seen in reversed(suiting):
        if _carries_everything(model, seen.layer, x_BCHW[:1]):
            return seen.layer
    raise ExplainError(
        f"{type(model).__name__} names no feature layer, and none was found: a layer is needed that has more than one "
        "cell, runs once in a pass, is not overwritten in place, and that everything goes through. Set explain.layer to "
        "the dotted name of a layer, or use explain=integrated_gradients or explain=occlusion, which need none."
    )


def finer_layer(model: nn.Module, layer: Layer, x_BCHW: Tensor) -> Layer:
    """The last layer before this one whose cells are smaller: what the network saw before it last shrank its maps.

    To be called inside of `scope.untouched`.

    Raises:
        ExplainError: if there is none.
    """
    x_1CHW = x_BCHW[:1]
    own, own_hw = _placed(model, layer, x_1CHW)
    for seen in reversed(_suiting(model, x_1CHW, until=layer)):
        if seen.output.shape[2] <= own_hw[0] or seen.output.shape[3] <= own_hw[1]:
            continue  # as many cells cannot be finer; spares a pass
        if is_finer(_placed(model, seen.layer, x_1CHW)[0], own) and _carries_everything(model, seen.layer, x_1CHW):
            return seen.layer
    raise ExplainError(
        f"{type(model).__name__} has no layer before '{layer.name}' with finer cells that everything goes through, so "
        "there is nothing to fuse. Use explain=hires_cam."
    )


def is_finer(one: Geometry, other: Geometry) -> bool:
    """Whether the cells of one layer are smaller than those of another, by half at least, along both axes."""
    return all(_FINER * fine <= coarse for fine, coarse in zip(one.jump_yx, other.jump_yx, strict=True))


def _placed(model: nn.Module, layer: Layer, x_1CHW: Tensor) -> tuple[Geometry, tuple[int, int]]:
    """Geometry of a layer and the number of its cells."""
    image_hw = (x_1CHW.shape[2], x_1CHW.shape[3])
    with torch.no_grad(), traced(model, layer) as trace:
        model(x_1CHW.clone())
    return geometry_of(trace, image_hw), trace.target_hw or image_hw


def _suiting(model: nn.Module, x_1CHW: Tensor, until: Layer | None = None) -> list[_Seen]:
    """Candidates in the order in which they ended, up to but without `until`."""
    seen = _watched(model, x_1CHW)
    first_conv = next((i for i, one in enumerate(seen) if isinstance(one.layer.module, nn.Conv2d)), len(seen))
    last = next((i for i, one in enumerate(seen) if until is not None and one.layer.module is until.module), len(seen))
    made_by = _makers(seen)
    return [
        one
        for i, one in enumerate(seen[:last])
        if i >= first_conv
        and made_by.get(one.key) is one
        and not one.is_overwritten
        and _is_map(one.output, (x_1CHW.shape[2], x_1CHW.shape[3]))
    ]


def _watched(model: nn.Module, x_1CHW: Tensor) -> list[_Seen]:
    """Every module that gave a tensor; the outputs are held, so that none can take the place of another."""
    seen: list[_Seen] = []

    def after(name: str, module: nn.Module, output: object) -> None:
        if isinstance(output, Tensor):
            earlier = [one for one in seen if one.layer.module is module]
            for one in earlier:
                one.is_once = False
            seen.append(_Seen(Layer(name, module), output, output._version, is_once=not earlier))

    with ExitStack() as hooks, torch.no_grad():
        for name, module in model.named_modules():
            if name:
                handle = module.register_forward_hook(lambda m, _, output, name=name: after(name, m, output))
                hooks.callback(handle.remove)
        model(x_1CHW.clone())
    return seen


def _makers(seen: Sequence[_Seen]) -> dict[tuple[int, int], _Seen]:
    """Who stands for each output: the first to give it that runs once; nobody if all it does is to pool or to resize.

    Containers, and layers that do nothing, hand on what another has made; a block stands for the ReLU that it uses twice.
    """
    resized = {one.key for one in seen if isinstance(one.layer.module, _RESIZING)}
    makers: dict[tuple[int, int], _Seen] = {}
    for one in seen:
        if one.is_once and one.key not in resized:
            makers.setdefault(one.key, one)
    return makers


def _is_map(output: Tensor, image_hw: tuple[int, int]) -> bool:
    """Whether these are places of the image: (B, C, h, w), more than one, none smaller than a pixel, about square."""
    if output.ndim != 4:
        return False
    h, w = output.shape[2:]
    if h * w <= 1 or h > image_hw[0] or w > image_hw[1]:
        return False
    stretch = (image_hw[0] / h) / (image_hw[1] / w)
    return 1 / _MAX_STRETCH <= stretch <= _MAX_STRETCH


def _carries_everything(model: nn.Module, layer: Layer, x_1CHW: Tensor) -> bool:
    """Whether the output depends on the image through this layer only: with the layer cut off, no gradient arrives."""
    x_1CHW = x_1CHW.detach().clone().requires_grad_()
    with reading(layer):
        output = model(x_1CHW.clone())
    if not isinstance(output, Tensor) or not output.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(output.sum(), x_1CHW, allow_unused=True)
    return gradient is None
