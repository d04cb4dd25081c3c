"""The project's commands, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def run_command(
    words: list[str], *, cwd: Path, timeout_s: float = 300, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python <words>` in `cwd`, with its output as text; never raises on a non-zero status."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("RUN_ID", "PYTHONWARNINGS")}
    environment = inherited | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | (env or {})
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def train(
    *overrides: str, cwd: Path, timeout_s: float = 300, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python train.py <overrides>` in `cwd`."""
    return run_command([str(REPOSITORY / "train.py"), *overrides], cwd=cwd, timeout_s=timeout_s, env=env)
