"""Memory of a process that is measured from outside."""

from __future__ import annotations

from pathlib import Path


def private_mib(pid: int) -> float:
    """Memory that belongs to this process alone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = [line.split()[1] for line in text.splitlines() if line.startswith("RssAnon:")]
    return int(found[0]) / 1024 if found else 0.0
