"""Weights on disk: tensors only, written whole or not at all, and checked before they touch a network.

Nothing here unpickles objects: `.safetensors` holds tensors by design, and `.pt`, `.pth`, `.ckpt` files are read by
`torch.load(weights_only=True)`, which refuses everything else.
"""

from __future__ import annotations

import os
import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from scanlens.errors import ModelError
from scanlens.files import write_bytes

RUN_WEIGHTS = "weights.safetensors"  # the name in a run folder
MAX_BYTES = 4 * 2**30  # VGG-19 with its original head has 0.57e9
TORCH_SUFFIXES = (".pth", ".pt", ".ckpt")
UNREADABLE = (  # what torch.load(weights_only=True) raises on rubbish, besides UnpicklingError
    RuntimeError, EOFError, OSError, LookupError, ValueError, TypeError, AttributeError, AssertionError, struct.error,
)  # fmt: skip

State = dict[str, Tensor]


def save_weights(path: str | os.PathLike[str], model: nn.Module, *, metadata: Mapping[str, str] | None = None) -> None:
    """Writes all parameters and buffers of a network as safetensors; a reader never sees half a file.

    Args:
        path: the file to write; its folder is made if absent.
        model: any module; it may lie on a GPU.
        metadata: entries for the header, which go with the file wherever it is copied.
    """
    state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(Path(path), to_bytes(state, metadata={"format": "pt", **(metadata or {})}))


def read_metadata(file: Path) -> dict[str, str]:
    """The entries in the header of a safetensors file, which the library bounds to 100 MB; no tensor is read.

    Other kinds of weights files have none.

    Raises:
        ModelError: if the file is broken.
    """
    if file.suffix != ".safetensors":
        return {}
    try:
        with safe_open(file, framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _broken(file, error) from error


def load_weights(path: str | os.PathLike[str], model: nn.Module) -> None:
    """Fills a network with saved weights; every name and shape must agree, else nothing is changed.

    Args:
        path: a weights file, or a run folder that holds `weights.safetensors`.
        model: a network built with the settings of the run that wrote the file.

    Raises:
        ModelError: if the file is absent, broken or not finite, or belongs to another network; names file and key.
    """
    file = weights_file(path)
    state = read_weights(file)
    check_fits(state, model.state_dict(), source=file.name)
    model.load_state_dict(state)


def read_weights(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> State:
    """All tensors of a weights file by name, on the CPU, each of them finite.

    Args:
        path: `.safetensors`, `.pth`, `.pt` or `.ckpt` file, or a run folder. A dictionary with the entry `state_dict`
            is opened; a leading `network.`, `model.` or `module.` that all names share is dropped.
        max_bytes: a larger file is refused before it is read.

    Raises:
        ModelError: with the name of the file and, where it applies, of the tensor.
    """
    file = weights_file(path)
    size = file.stat().st_size
    if size > max_bytes:
        raise ModelError(f"Weights file '{file}' has {size:,} bytes, more than the {max_bytes:,} that are read.")
    state = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    _check_finite(state, file)
    return state


def weights_file(path: str | os.PathLike[str]) -> Path:
    """The file that a setting such as `weights: outputs/<RUN_ID>` means.

    Raises:
        ModelError: if it does not exist, or its suffix is unknown.
    """
    given = Path(path).expanduser()
    file = given / RUN_WEIGHTS if given.is_dir() else given
    if not file.is_file():
        raise ModelError(
            f"There is no weights file '{file}'. Give a .safetensors or .pth file, or the folder of a finished run."
        )
    if file.suffix != ".safetensors" and file.suffix not in TORCH_SUFFIXES:
        raise ModelError(f"Weights file '{file}' must end in .safetensors, {', '.join(TORCH_SUFFIXES)}.")
    return file


def check_fits(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, source: str) -> None:
    """Refuses tensors that lack an expected name, bring an unknown one, or differ in shape.

    Raises:
        ModelError: names up to three tensors of each kind.
    """
    missing = [name for name in expected if name not in state]
    unknown = [name for name in state if name not in expected]
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in expected
        if name in state and state[name].shape != expected[name].shape
    ]
    complaints = [
        f"{label}: {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        for label, names in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if names
    ]
    if complaints:
        raise ModelError(
            f"The weights in '{source}' belong to another network; {'; '.join(complaints)}. "
            "Use the model settings of the run that wrote them."
        )


def _read_safetensors(file: Path) -> State:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise _broken(file, error) from error


def _broken(file: Path, error: Exception) -> ModelError:
    return ModelError(f"Weights file '{file}' is broken or cut short ({error}). Copy or train it again.")


def _read_torch(file: Path) -> State:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # of pickles of another protocol, which are refused in our words
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"Weights file '{file}' is broken, or holds more than tensors, which is not loaded because it could run "
            "code. Save its state_dict() alone, best as .safetensors."
        ) from error
    except UNREADABLE as error:
        raise ModelError(f"Weights file '{file}' is broken or cut short. Copy or train it again.") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"Weights file '{file}' must hold a dictionary of tensors. Save the network's state_dict().")
    strangers = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if strangers:
        raise ModelError(f"Weights file '{file}' holds '{strangers[0]}', which is no tensor. Save state_dict() alone.")
    return _without_prefix({str(name): tensor for name, tensor in content.items()})


def _without_prefix(state: State) -> State:
    for prefix in ("network.", "model.", "module."):
        if all(name.startswith(prefix) for name in state):
            return {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _check_finite(state: State, file: Path) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"Weights file '{file}': tensor '{name}' holds NaN or infinite values. The training that wrote it "
                "diverged; use an earlier checkpoint or a smaller learning rate."
            )
