"""Where a result comes from: code, packages, machine, seeds, time."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scanlens import __version__

PACKAGES = (
    "torch", "torchvision", "pytorch-lightning", "hydra-core", "torchmetrics", "grad-cam", "monai",
    "numpy", "scipy", "scikit-learn", "scikit-image", "pillow", "tifffile", "safetensors",
)  # fmt: skip
_NAMES_A_PLACE = re.compile(
    r"^\+*(data\.(root|file|folder|sidecar|labels|patients|boxes)(\.\w+)?|path|paths\.\w+|split\.file|model\.weights|run_dir)="
)
_LOOKS_LIKE_A_PLACE = re.compile(r"[/\\~]")


def collect(*, seed: int, num_processes: int, data_fingerprint: str, argv: Sequence[str]) -> dict[str, Any]:
    """What `provenance.json` holds at the start of a run; durations and warnings are added as it goes on."""
    return {
        "schema_version": 1,
        "scanlens": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shown_command(argv),
        "seed": seed,
        "git": _git_state(Path(__file__).resolve().parent),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": _hardware(),
        "num_processes": num_processes,
        "slurm": {name: os.environ[name] for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT") if name in os.environ},
        "data_fingerprint": data_fingerprint,
        "duration_s": {},
        "warnings": [],
        "stages": [],
    }


def shown_command(argv: Sequence[str]) -> str:
    """The command line with `...` in place of values that are, or look like, places on a disk: they may hold names of people.

    Of a run folder its own name is kept.
    """
    return " ".join([Path(argv[0]).name, *map(_shown_word, argv[1:])])


def _shown_word(word: str) -> str:
    key, equals, value = word.partition("=")
    if key in ("run", "runs", "folds"):
        return f"{key}{equals}{','.join(Path(one).name for one in value.split(','))}"
    is_private = _NAMES_A_PLACE.match(word) or _LOOKS_LIKE_A_PLACE.search(value)
    return f"{key}=..." if equals and is_private else word


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the checkout the code runs from; None for an installed wheel or where git is absent."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        if git("ls-files", "provenance.py") != "provenance.py":
            return None
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _hardware() -> dict[str, Any]:
    import torch

    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory_bytes / 2**30, 1),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if sys.platform == "linux" and info.is_file():
        named = re.search(r"^model name\s*:\s*(.+)$", info.read_text(errors="replace"), re.MULTILINE)
        if named:
            return named.group(1)
    return platform.processor() or platform.machine()
