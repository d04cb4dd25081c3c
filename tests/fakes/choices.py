"""Choices of a run, made by hand: temperature 2, sets of at least three tenths, a threshold of 0.3 for images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scanlens.config import freeze
from scanlens.runs import Run

CALIBRATION: dict[str, Any] = {
    "method": "temperature", "num_classes": 2, "temperature": 2.0, "temperature_low": None, "temperature_high": None,
    "biases": [], "curves": [], "num_patients": 12, "reason": None,
}  # fmt: skip
SETS: dict[str, Any] = {
    "coverage": 0.9, "score": "lac", "is_by_class": False, "class_names": ["healthy", "ill"], "thresholds": [0.7, 0.7],
    "num_patients": [12, 12], "seed": 1, "notes": [],
}  # fmt: skip
REFERRAL: dict[str, Any] = {"aim": "risk", "target": 0.05, "threshold": 0.7, "share_referred": 0.2, "reason": None}
POINT: dict[str, Any] = {
    "rule": {"name": "sensitivity", "target": 0.95}, "positive": "ill", "unit": "image", "threshold": 0.3, "reason": None,
    "notes": [], "validation": None,
}  # fmt: skip


def evaluation(*, point: dict[str, Any] = POINT, **changed: Any) -> dict[str, Any]:
    return {
        "class_names": ["healthy", "ill"],
        "patient_rule": {"name": "mean", "k": None, "positive_class": None},
        "calibration": {"choice": {"calibrator": CALIBRATION}},
        "conformal": {"rule": SETS},
        "referral": {"rule": REFERRAL},
        "decisions": {"positive": "ill", "chosen": POINT | point, "compared": []},
        **changed,
    }


def run_with(folder: Path, judged: dict[str, Any] | None, **config: Any) -> Run:
    """A run folder as far as its choices are read; None leaves evaluation.json out."""
    names = ["healthy", "ill"] if judged is None else judged["class_names"]
    facts = {"class_names": names, "task": "classification"}
    freeze({"operating_point": {"positive": "auto"}, "facts": facts, **config}, folder)
    if judged is not None:
        (folder / "evaluation.json").write_text(json.dumps(judged), encoding="utf-8")
    return Run(folder)
