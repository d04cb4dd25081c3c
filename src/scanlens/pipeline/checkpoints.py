"""Checkpoints: written whole or not at all, checked before they are believed, the one before kept."""

from __future__ import annotations

import io
import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from scanlens.errors import ModelError
from scanlens.files import write_bytes
from scanlens.models.base import Network
from scanlens.models.weights import UNREADABLE, check_fits
from scanlens.runs import Run

log = logging.getLogger(__name__)
LAST, BEFORE, BEST = "last.ckpt", "before.ckpt", "best.ckpt"
PREFIX = "network."
NEEDED = ("state_dict", "loops", "optimizer_states", "lr_schedulers", "epoch", "global_step")


class WholeCheckpoints(TorchCheckpointIO):  # type: ignore[misc]
    """Writes to a temporary name, flushes to the disk, renames; the former `last.ckpt` stays as `before.ckpt`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write one checkpoint, on the process that writes."""
        target, buffer = Path(path), io.BytesIO()
        torch.save(checkpoint, buffer)
        if target.name == LAST and target.is_file():
            os.replace(target, target.with_name(BEFORE))
        write_bytes(target, buffer.getvalue())


def checkpoint_to_resume(run: Run, network: Network) -> tuple[Path, int] | None:
    """The last whole checkpoint and its step; a damaged one is told and passed over, since from an earlier one, or from none,
    training arrives at the same weights.

    Args:
        run: whose `checkpoints/` are looked into.
        network: what the weights have to fit.
    """
    for name in (LAST, BEFORE, BEST):
        path = run.checkpoints / name
        if not path.is_file():
            continue
        try:
            return path, _checked_step(path, network)
        except (ModelError, zipfile.BadZipFile, pickle.UnpicklingError, *UNREADABLE) as error:
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            log.warning("checkpoints/%s is damaged (%s); going on from an earlier state", name, reason)
    return None


def _checked_step(path: Path, network: Network) -> int:
    """The step of a checkpoint whose every byte is as it was written and whose weights are finite and of this network."""
    with zipfile.ZipFile(path) as packed:
        if (broken := packed.testzip()) is not None:
            raise ModelError(f"{broken} is not as it was written")
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if missing := [name for name in NEEDED if name not in content]:
        raise ModelError(f"it lacks {', '.join(missing)}")
    state = {k.removeprefix(PREFIX): v for k, v in content["state_dict"].items() if k.startswith(PREFIX)}
    check_fits(state, network.state_dict(), source=path.name)
    if any(value.is_floating_point() and not bool(torch.isfinite(value).all()) for value in state.values()):
        raise ModelError("its weights are not finite")
    return int(content["global_step"])
