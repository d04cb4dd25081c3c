"""A Slurm of one machine for tests: a script with `start`, `stop` and `env`, named by SCANLENS_TEST_SLURM.

`env` prints `export NAME=VALUE ...`, in shell words. One that runs already is used as it is, and left running.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = "SCANLENS_TEST_SLURM"


@dataclass(frozen=True)
class RealSlurm:
    """A Slurm that takes jobs.

    Args:
        env: what processes need in their environment to reach it.
    """

    env: dict[str, str]

    def ask(self, *words: str) -> str:
        """What one of its programs prints."""
        environment = os.environ | self.env
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout

    def states(self, job: str) -> list[str]:
        """Every state in which a job, such as "17_0", ended or is, the first first."""
        return [
            line.split()[0] for line in self.ask("sacct", "-D", "-X", "-n", "-P", "-o", "State", "-j", job).splitlines()
        ]


def real_slurm() -> Iterator[RealSlurm]:
    """To be made a fixture of a module."""
    script = os.environ.get(SCRIPT)
    if not script:
        pytest.skip(f"no Slurm: {SCRIPT} names no script with start, stop and env")
    running = subprocess.run(["bash", script, "status"], capture_output=True, check=False).returncode == 0
    if not running:
        subprocess.run(["bash", script, "start"], check=True, timeout=120, capture_output=True)
    printed = subprocess.run(["bash", script, "env"], capture_output=True, text=True, check=True).stdout
    try:
        yield RealSlurm(dict(word.split("=", 1) for word in shlex.split(printed) if "=" in word))
    finally:
        if not running:
            subprocess.run(["bash", script, "stop"], check=False, timeout=120, capture_output=True)


def wait_until(is_so: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    """Fails if it is not so in time."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.3)


def programs(folder: Path, **bodies: str) -> dict[str, str]:
    """An environment in which shell scripts of these names come before all others."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in bodies.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
