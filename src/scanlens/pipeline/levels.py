"""The levels at which a test is judged: images (slices) and patients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEVELS = ("slice", "patient")


def levels_of(judged: Mapping[str, Any], task: str) -> dict[str, Mapping[str, Any]]:
    """Level to metric to its value and interval, of the judgement of one test."""
    if task != "reconstruction":
        return {level: judged[level]["metrics"] for level in LEVELS if judged.get(level)}
    anomaly = {f"anomaly_{name}": judged["anomaly"][name] for name in ("auroc", "auprc")} if "anomaly" in judged else {}
    return {"slice": {**judged["metrics"], **anomaly}}
