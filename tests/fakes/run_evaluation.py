"""The contents of an evaluation.json, from predictions, in the documented form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSES = ["glioma", "meningioma", "pituitary", "no_tumor"]


def classification_evaluation(
    targets: NDArray[np.int64], probabilities: NDArray[np.floating], num_patients: int
) -> dict[str, Any]:
    """Metrics of these predictions, four slices a patient, with made-up intervals."""
    patient_targets = targets[::4]
    patient_probabilities = probabilities.reshape(num_patients, 4, -1).mean(axis=1)
    split: dict[str, Any] = {
        "slice": _metrics(targets, probabilities, num_patients, "image", widen=0.03),
        "patient": _metrics(patient_targets, patient_probabilities, num_patients, "patient", widen=0.05),
        "patient_reason": None,
    }
    return {
        "schema_version": 1,
        "task": "classification",
        "class_names": CLASSES,
        "splits": {"val": split, "test": split},
        "best_epoch": 9,
        "monitor": {"name": "val/auroc", "value": 0.9412},
        "localization": {
            "hires_cam": _pointing(0.76, 0.11),
            "grad_cam": _pointing(0.71, 0.13),
        },
        "nearest_neighbor": {"accuracy": 0.594, "balanced_accuracy": 0.571},
    }


def _pointing(rate: float, widen: float) -> dict[str, Any]:
    return {
        "num_images": 38,
        "num_patients": 17,
        "num_blank": 1,
        "num_wrong": 9,
        "num_not_drawn": 0,
        "hit_rate": _with_interval(rate, widen),
        "chance": 0.061,
        "excess": _with_interval(rate - 0.061, widen),
        "p_value": 1e-9,
    }


def _metrics(
    targets: NDArray[np.int64], probabilities: NDArray[np.floating], num_patients: int, unit: str, *, widen: float
) -> dict[str, Any]:
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((len(CLASSES), len(CLASSES)), dtype=int)
    np.add.at(confusion, (targets, predicted), 1)
    curves = {name: _roc(targets == k, probabilities[:, k]) for k, name in enumerate(CLASSES)}
    aurocs = {
        name: float(np.trapezoid(c["true_positive_rate"], c["false_positive_rate"])) for name, c in curves.items()
    }
    recall = np.diag(confusion) / confusion.sum(axis=1)
    precision = np.diag(confusion) / np.maximum(confusion.sum(axis=0), 1)
    truth = np.eye(len(CLASSES))[targets]
    values = {
        "auroc": float(np.mean(list(aurocs.values()))),
        "auprc": 0.871,
        "accuracy": float((targets == predicted).mean()),
        "balanced_accuracy": float(recall.mean()),
        "log_loss": float(-np.log(probabilities[np.arange(len(targets)), targets]).mean()),
        "brier": float(((probabilities - truth) ** 2).sum(axis=1).mean()),
        "ece": 0.0412,
    }
    return {
        "num_images": len(targets),
        "num_patients": num_patients,
        "unit": unit,
        "counts": {name: int((targets == k).sum()) for k, name in enumerate(CLASSES)},
        "metrics": {name: _with_interval(value, widen) for name, value in values.items()},
        "per_class": {
            name: {
                "num": int((targets == k).sum()),
                "auroc": _with_interval(aurocs[name], widen),
                "auprc": _with_interval(0.85, widen),
                "sensitivity": _with_interval(float(recall[k]), widen),
                "specificity": _with_interval(0.943, widen),
                "precision": _with_interval(float(precision[k]), widen),
                "f1": _with_interval(float(2 * recall[k] * precision[k] / max(recall[k] + precision[k], 1e-9)), widen),
            }
            for k, name in enumerate(CLASSES)
        },
        "confusion": confusion.tolist(),
        "roc": curves,
        "interval": {
            "method": "Percentiles of a bootstrap",
            "level": 0.95,
            "num_resamples": 2000,
            "resampled": "patients",
        },
        "baseline": {
            "method": "most frequent class, or random order",
            "majority_class": "glioma",
            "accuracy": 0.25,
            "balanced_accuracy": 0.25,
            "auroc": 0.5,
        },
    }


def _with_interval(value: float, widen: float) -> dict[str, Any]:
    return {
        "value": value,
        "low": max(0.0, value - widen),
        "high": min(1.0, value + widen) if value <= 1 else value + widen,
        "reason": None,
    }


def _roc(is_class: NDArray[np.bool_], scores: NDArray[np.floating]) -> dict[str, list[float]]:
    order = np.argsort(-scores, kind="stable")
    hits = np.concatenate([[0], np.cumsum(is_class[order])]) / is_class.sum()
    false = np.concatenate([[0], np.cumsum(~is_class[order])]) / (~is_class).sum()
    return {"false_positive_rate": false.tolist(), "true_positive_rate": hits.tolist()}


def reconstruction_evaluation() -> dict[str, Any]:
    """Metrics of a network that rebuilds pictures."""
    metrics = {
        "mse": {"value": 0.00213, "low": 0.0019, "high": 0.0024, "reason": None},
        "psnr": {"value": 26.72, "low": 26.1, "high": 27.3, "reason": None},
        "ssim": {"value": 0.874, "low": 0.861, "high": 0.886, "reason": None},
        "anomaly_auroc": {"value": 0.81, "low": 0.72, "high": 0.89, "reason": None},
    }
    level = {"num_images": 96, "num_patients": 24, "unit": "image", "metrics": metrics, "normal_classes": ["no_tumor"]}
    split = {"slice": level, "patient": None, "patient_reason": "Reconstruction is judged image by image."}
    return {
        "schema_version": 1,
        "task": "reconstruction",
        "class_names": CLASSES,
        "splits": {"val": split, "test": split},
        "best_epoch": 11,
        "monitor": {"name": "val/loss", "value": 0.0021},
    }
