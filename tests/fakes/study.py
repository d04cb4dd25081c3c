"""Finished runs of several seeds and folds in the documented layout, made without training anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fakes.run_folder import write_json
from scanlens.evaluation.classification import evaluate_classification
from scanlens.files import write_csv

CLASSES = ["glioma", "no_tumor"]
NUM_PATIENTS, NUM_SLICES = 24, 2
STAGES = ["prepare", "fit", "judge", "report"]


def write_study(folder: Path, *, seeds: Sequence[int], folds: int | None) -> Path:
    """A folder as `scanlens folds folds=... seeds=[...]` leaves it, but for the files that gathering writes.

    Args:
        folder: is made.
        seeds: of the trainings, all on the split of seed 1.
        folds: of each seed; None for single runs.
    """
    for seed in seeds:
        for fold in range(folds) if folds is not None else [None]:
            name = f"seed_{seed}" + ("" if fold is None else f"/{fold}")
            _write_run(folder / name, seed=seed, folds=folds, fold=fold)
    return folder


def _write_run(run: Path, *, seed: int, folds: int | None, fold: int | None) -> None:
    run.mkdir(parents=True)
    rows = [_row(index, folds or 4, fold or 0) for index in range(NUM_PATIENTS * NUM_SLICES)]
    tested = [row for row in rows if row["split"] == "test"]
    probability = _probabilities(tested, seed=seed, fold=fold or 0)
    write_csv(run / "split.csv", list(rows[0]), rows)
    predicted = [
        {
            "case": f"test-{row['index']:05d}",
            **{key: row[key] for key in ("id", "patient", "target")},
            "predicted": CLASSES[int(ill < 0.5)],
            "prob_glioma": float(ill),
            "prob_no_tumor": float(1 - ill),
        }
        for row, ill in zip(tested, probability, strict=True)
    ]
    write_csv(run / "predictions" / "test.csv", list(predicted[0]), predicted)
    judged = evaluate_classification(
        np.stack([probability, 1 - probability], axis=1),
        np.array([CLASSES.index(row["target"]) for row in tested]),
        class_names=CLASSES,
        patients=[row["patient"] for row in tested],
        seed=seed,
        num_resamples=40,
    )
    evaluation = {"task": "classification", "best_epoch": 3, "nearest_neighbor": None, "splits": {"test": judged}}
    write_json(run / "evaluation.json", evaluation)
    provenance = {"stages": STAGES, "git": {"commit": "a"}, "duration_s": {"fit": 1.5}, "data_fingerprint": "b"}
    write_json(run / "provenance.json", provenance)
    config = _config(run, seed=seed, folds=folds, fold=fold, num_patients=len(tested) // NUM_SLICES)
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")


def _row(index: int, folds: int, fold: int) -> dict[str, Any]:
    number = index // NUM_SLICES
    patient = f"patient-{number:03d}"
    part = {fold: "test", (fold + 1) % folds: "val"}.get(number // 2 % folds, "train")
    name = f"{patient}/{index % NUM_SLICES}"
    return {
        "index": index,
        "id": name,
        "patient": patient,
        "group": patient,
        "target": CLASSES[number % 2],
        "split": part,
    }


def _probabilities(tested: Sequence[dict[str, Any]], *, seed: int, fold: int) -> np.ndarray:
    """(N,) of glioma: right in most cases, otherwise so for each seed and fold."""
    is_ill = np.array([row["target"] == "glioma" for row in tested])
    noise = np.random.default_rng([seed, fold]).normal(0, 1.2, len(tested))
    return np.round(1 / (1 + np.exp(-(np.where(is_ill, 1, -1) + noise))), 9)


def _config(run: Path, *, seed: int, folds: int | None, fold: int | None, num_patients: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "run_dir": str(run),
        "fold": fold or 0,
        "folds": folds,
        "data": {"name": "fakes"},
        "callbacks": {"bootstrap_resamples": 40, "positive_class": None},
        "split": {"folds": folds, "fold": fold or 0, "seed": 1, "file": None},
        "facts": {
            "task": "classification",
            "class_names": CLASSES,
            "num_patients": {"train": 0, "val": 0, "test": num_patients},
            "model_summary": {"name": "LeNet", "parameters": 10},
        },
    }
