"""Where a cell of a layer lies on the image, found by watching the network run.

For every layer on the way, with kernel k, stride s, padding p and dilation d (all in cells of its input):

    receptive field += d * (k - 1) * jump;   start += (d * (k - 1) / 2 - p) * jump;   jump *= s

A layer of a type not named here counts as pointwise if it keeps the size (activations, normalization, drop-out).
A plain resize of the map is right only for networks padded everywhere; for an unpadded LeNet-5 it misplaces evidence
by up to a sixth of the image (Dumoulin & Visin 2016, "A guide to convolution arithmetic"; Araujo et al. 2019,
doi:10.23915/distill.00021).

Legend: B images, H rows and W columns of the image, h and w of the layer. Pixel r has its center at r.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from scanlens.explain.layers import Layer
from scanlens.explain.scope import untouched

Pair = tuple[float, float]
_TOLERANCE_CELLS = 1e-6
_NOTHING = object()  # never the output of a layer


@dataclass(frozen=True)
class Geometry:
    """Cells of a layer in pixels of the image, (row, column) each.

    Args:
        jump_yx: distance between neighboring cells, in pixels.
        start_yx: center of the first cell, in pixels.
        receptive_field_yx: side of the area that one cell sees, in pixels; None if not known.
        is_exact: False if the map is placed by plain resizing instead.
        note: why it is not exact, or "".
    """

    jump_yx: Pair
    start_yx: Pair
    receptive_field_yx: Pair | None
    is_exact: bool = True
    note: str = ""

    def moved(self, shift_yx: Pair) -> Geometry:
        """The same cells so many pixels further down and to the right."""
        down, right = self.start_yx[0] + shift_yx[0], self.start_yx[1] + shift_yx[1]
        return replace(self, start_yx=(down, right))


PIXELS = Geometry((1.0, 1.0), (0.0, 0.0), (1.0, 1.0))


@dataclass(frozen=True)
class _Window:
    """What a layer does along (row, column): kernel extent after dilation, stride, padding before the first cell."""

    extent_yx: Pair
    stride_yx: Pair
    padding_yx: Pair


@dataclass(frozen=True)
class _Step:
    name: str
    module: nn.Module
    in_hw: tuple[int, int] | None
    out_hw: tuple[int, int] | None
    follows: bool


@dataclass
class Trace:
    """The layers that ran up to the target layer, in order."""

    steps: list[_Step] = field(default_factory=list)
    is_closed: bool = False
    target_hw: tuple[int, int] | None = None

    def last_map_before_target(self) -> str | None:
        """The latest layer before the target whose map has more than one cell."""
        names = [step.name for step in self.steps[:-1] if step.out_hw and step.out_hw[0] * step.out_hw[1] > 1]
        return names[-1] if names else None


@contextmanager
def traced(model: nn.Module, layer: Layer) -> Iterator[Trace]:
    """Record the layers that run until the target layer has run; all hooks are removed on leaving."""
    trace = Trace()
    outputs: list[weakref.ref[Tensor] | None] = []

    def after(name: str, module: nn.Module, inputs: Sequence[object], output: object) -> None:
        if trace.is_closed:
            return
        if not list(module.children()):
            given = inputs[0] if inputs else _NOTHING
            sources = [index for index, ref in enumerate(outputs) if ref is not None and ref() is given]
            follows = not sources or sources[-1] == len(outputs) - 1
            trace.steps.append(_Step(name, module, _hw(given), _hw(output), follows))
            outputs.append(weakref.ref(output) if isinstance(output, Tensor) else None)
        if module is layer.module:
            trace.is_closed, trace.target_hw = True, _hw(output)

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if module is layer.module or not list(module.children()):
                handle = module.register_forward_hook(
                    lambda module, inputs, output, name=name: after(name, module, inputs, output)
                )
                hooks.callback(handle.remove)
        yield trace


def layer_geometry(model: nn.Module, x_BCHW: Tensor, layer: Layer) -> Geometry:
    """Geometry of one layer, by running the first image once.

    Args:
        model: any network; left as it was.
        x_BCHW: images of the size in question.
        layer: see `layers.find_layer`.
    """
    with untouched(model, x_BCHW[:1]) as x_1CHW, torch.no_grad(), traced(model, layer) as trace:
        model(x_1CHW)
    return geometry_of(trace, (x_BCHW.shape[2], x_BCHW.shape[3]))


def geometry_of(trace: Trace, image_hw: tuple[int, int]) -> Geometry:
    """Compose the recorded layers; plain resizing, with its reason in `note`, where they are no simple chain."""
    jump, start, field_px = [1.0, 1.0], [0.0, 0.0], [1.0, 1.0]
    current_hw: tuple[int, int] | None = image_hw
    for step in trace.steps:
        if not step.follows:
            return _resized(trace, image_hw, f"layer '{step.name}' starts a branch")
        if step.in_hw != current_hw:
            return _resized(trace, image_hw, f"the size changes outside of layers before '{step.name}'")
        window = _window_of(step)
        if window is None:
            return _resized(trace, image_hw, f"{type(step.module).__name__} '{step.name}' has no fixed window")
        for axis in (0, 1):
            field_px[axis] += (window.extent_yx[axis] - 1) * jump[axis]
            start[axis] += ((window.extent_yx[axis] - 1) / 2 - window.padding_yx[axis]) * jump[axis]
            jump[axis] *= window.stride_yx[axis]
        current_hw = step.out_hw
    if current_hw != trace.target_hw:
        return _resized(trace, image_hw, "the size changes outside of layers")
    return Geometry((jump[0], jump[1]), (start[0], start[1]), (field_px[0], field_px[1]))


def place(cells_Bhw: Tensor, geometry: Geometry, image_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Cells drawn where they look: bilinear between cell centers, nothing outside of what the cells stand for.

    A cell stands for the jump-wide tile around its center; pixels beyond the outermost tiles are not covered.

    Args:
        cells_Bhw: finite map at the resolution of the layer.
        geometry: of that layer.
        image_hw: size of the image in pixels.

    Returns:
        map_BHW (float32, 0 where not covered) and covered_HW (bool).
    """
    weights_Hh, rows_H = _axis_weights(cells_Bhw.shape[1], image_hw[0], geometry.start_yx[0], geometry.jump_yx[0])
    weights_Ww, columns_W = _axis_weights(cells_Bhw.shape[2], image_hw[1], geometry.start_yx[1], geometry.jump_yx[1])
    drawn_BHW = weights_Hh @ cells_Bhw.detach().cpu().double() @ weights_Ww.T
    return drawn_BHW.float(), rows_H[:, None] & columns_W[None, :]


def shared_out(cells_Bhw: Tensor, geometry: Geometry, finer: Geometry, finer_hw: tuple[int, int]) -> Tensor:
    """Each cell's number divided among the finer cells around it, bilinearly, so that the sum stays.

    Args:
        cells_Bhw: map at the resolution of the coarser layer.
        geometry: of the coarser layer.
        finer: of the finer layer.
        finer_hw: number of its cells.

    Returns:
        The map at the resolution of the finer layer, float32; 0 for cells that lie under no coarser one.
    """
    shares = []
    for axis in (0, 1):
        jump = finer.jump_yx[axis]
        start = (geometry.start_yx[axis] - finer.start_yx[axis]) / jump
        weights, _ = _axis_weights(cells_Bhw.shape[1 + axis], finer_hw[axis], start, geometry.jump_yx[axis] / jump)
        shares.append(weights / weights.sum(dim=0).clamp(min=_TOLERANCE_CELLS))
    return (shares[0] @ cells_Bhw.detach().cpu().double() @ shares[1].T).float()


def _axis_weights(num_cells: int, size: int, start: float, jump: float) -> tuple[Tensor, Tensor]:
    position_S = (torch.arange(size, dtype=torch.float64) - start) / jump
    covered_S = (position_S >= -0.5 - _TOLERANCE_CELLS) & (position_S <= num_cells - 0.5 + _TOLERANCE_CELLS)
    held_S = position_S.clamp(0, num_cells - 1)
    weights_Sn = (1 - (held_S[:, None] - torch.arange(num_cells, dtype=torch.float64)).abs()).clamp(min=0)
    return weights_Sn * covered_S[:, None], covered_S


def _resized(trace: Trace, image_hw: tuple[int, int], reason: str) -> Geometry:
    h, w = trace.target_hw or image_hw
    jump = (image_hw[0] / h, image_hw[1] / w)
    start = ((jump[0] - 1) / 2, (jump[1] - 1) / 2)
    return Geometry(jump, start, None, is_exact=False, note=f"Placed by plain resizing, since {reason}.")


def _window_of(step: _Step) -> _Window | None:
    module = step.module
    if isinstance(module, nn.Conv2d):
        extent = _extent(module.kernel_size, module.dilation)
        padding = module.padding
        if isinstance(padding, str):
            padding = (int(extent[0] - 1) // 2, int(extent[1] - 1) // 2) if padding == "same" else (0, 0)
        return _Window(extent, _pair(module.stride), _pair(padding))
    if isinstance(module, nn.MaxPool2d):
        return _Window(_extent(module.kernel_size, module.dilation), _pair(module.stride), _pair(module.padding))
    if isinstance(module, nn.AvgPool2d):
        return _Window(_pair(module.kernel_size), _pair(module.stride), _pair(module.padding))
    if isinstance(module, nn.LPPool2d):
        return _Window(_pair(module.kernel_size), _pair(module.stride or module.kernel_size), (0, 0))
    if isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
        return _adaptive_window(step)
    if isinstance(module, nn.ConstantPad2d | nn.ReflectionPad2d | nn.ReplicationPad2d | nn.CircularPad2d):
        left, _, top, _ = module.padding
        return _Window((1, 1), (1, 1), (top, left))
    is_pointwise = step.in_hw is not None and step.in_hw == step.out_hw and not _has_window(module)
    return _Window((1, 1), (1, 1), (0, 0)) if is_pointwise else None


def _adaptive_window(step: _Step) -> _Window | None:
    """Adaptive pooling is ordinary pooling where the sizes divide."""
    if step.in_hw is None or step.out_hw is None or any(i % o for i, o in zip(step.in_hw, step.out_hw, strict=True)):
        return None
    size = (step.in_hw[0] / step.out_hw[0], step.in_hw[1] / step.out_hw[1])
    return _Window(size, size, (0, 0))


def _has_window(module: nn.Module) -> bool:
    """Whether a layer of unchanged size still mixes places, such as a transposed convolution."""
    return isinstance(module, nn.ConvTranspose2d | nn.Upsample | nn.Fold | nn.Unfold | nn.FractionalMaxPool2d)


def _extent(kernel: int | tuple[int, ...], dilation: int | tuple[int, ...]) -> Pair:
    kernel_yx, dilation_yx = _pair(kernel), _pair(dilation)
    return dilation_yx[0] * (kernel_yx[0] - 1) + 1, dilation_yx[1] * (kernel_yx[1] - 1) + 1


def _pair(value: int | tuple[int, ...]) -> Pair:
    return (float(value), float(value)) if isinstance(value, int) else (float(value[0]), float(value[1]))


def _hw(value: object) -> tuple[int, int] | None:
    if isinstance(value, Tensor) and value.ndim == 4:
        return value.shape[2], value.shape[3]
    return None
