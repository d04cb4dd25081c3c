"""A small complete run folder in the documented layout, made without training anything."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from fakes.run_evaluation import CLASSES, classification_evaluation, reconstruction_evaluation
from scanlens.report.pictures import display_scale, feature_maps_png, filters_png, overlay_png, save_map, scan_png

SIZE = 96
METHODS = [
    {
        "name": "hires_cam",
        "title": "HiResCAM",
        "legend": "HiResCAM: gradient times activation of each cell, exact for this head",
        "unit": "log-odds per cell",
        "layer": "features.4",
        "cell_px": [4.0, 4.0],
        "sees_px": [16.0, 16.0],
        "placement_note": "",
    },
    {
        "name": "grad_cam",
        "title": "Grad-CAM",
        "legend": "Grad-CAM: channel weights from mean gradients",
        "unit": "log-odds per cell",
        "layer": "features.4",
        "cell_px": [4.0, 4.0],
        "sees_px": [16.0, 16.0],
        "placement_note": "",
    },
]


def write_run_folder(folder: Path, *, task: str = "classification", num_patients: int = 24, seed: int = 7) -> Path:
    """Write the folder and return it.

    Args:
        folder: is made.
        task: "classification" or "reconstruction".
        num_patients: of the test split, each with four slices.
        seed: of all numbers and pictures.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    is_classification = task == "classification"
    (folder / "config.yaml").write_text(yaml.safe_dump(_config(task, num_patients), sort_keys=False), encoding="utf-8")
    write_json(folder / "provenance.json", _provenance())
    _write_rows(folder / "metrics.csv", _epochs(rng, is_classification))
    _write_rows(folder / "quarantine.csv", [{"id": "glioma/smith_john_007.png", "reason": "truncated file"}])
    targets, probabilities = _predictions(rng, num_patients)
    if is_classification:
        rows = _prediction_rows(targets, probabilities)
        _write_rows(folder / "predictions" / "test.csv", rows)
        _write_rows(folder / "predictions" / "val.csv", rows)
    evaluation = (
        classification_evaluation(targets, probabilities, num_patients)
        if is_classification
        else reconstruction_evaluation()
    )
    write_json(folder / "evaluation.json", evaluation)
    _write_explanations(folder / "explanations", rng, targets, probabilities, is_classification)
    return folder


def write_json(path: Path, value: Any) -> None:
    """Write `value` where a run would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def brain(rng: np.random.Generator, *, has_lesion: bool) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A slice that looks like an axial head MRI, (SIZE, SIZE) in [0, 1], and the mask of its lesion."""
    y, x = (np.indices((SIZE, SIZE)) - (SIZE - 1) / 2) / (SIZE / 2)
    wave = 0.012 * np.sin(3 * np.arctan2(y, x) + rng.uniform(0, 6))
    radius = np.hypot(x / 0.72, y / 0.88) + wave
    picture = np.zeros((SIZE, SIZE))
    picture[radius < 1.0] = 0.62
    picture[radius < 0.93] = 0.10
    folds = np.sin(22 * x + 3 * np.sin(9 * y + rng.uniform(0, 6))) * np.sin(19 * y + 4 * np.sin(8 * x))
    brain_area = radius < 0.86
    picture[brain_area] = (0.42 + 0.07 * folds)[brain_area]
    picture[radius < 0.60] = (0.55 + 0.02 * folds)[radius < 0.60]
    for side in (-1, 1):
        picture[np.hypot((x - side * 0.13) / 0.09, (y + 0.05 * side * x) / 0.26) < 1] = 0.16
    center_y, center_x = rng.uniform(-0.42, 0.42), rng.choice([-1, 1]) * rng.uniform(0.22, 0.36)
    distance = np.hypot(y - center_y, x - center_x) / rng.uniform(0.11, 0.17)
    lesion = (distance < 1 + 0.08 * np.sin(3 * np.arctan2(y - center_y, x - center_x))) & has_lesion
    picture = np.where(lesion, 0.80 - 0.12 * distance, picture)
    smooth = _blurred(picture * (1 + 0.12 * x), 1.0)
    noisy = np.hypot(smooth + rng.normal(0, 0.022, smooth.shape), rng.normal(0, 0.022, smooth.shape))
    return np.clip(noisy, 0, 1).astype(np.float32), lesion


def _blurred(picture: NDArray[np.floating], sigma: float) -> NDArray[np.floating]:
    frequency = np.fft.fftfreq(SIZE)
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (frequency[:, None] ** 2 + frequency[None] ** 2))
    return np.real(np.fft.ifft2(np.fft.fft2(picture) * kernel))


def _config(task: str, num_patients: int) -> dict[str, Any]:
    counts = {
        name: {"train": n, "val": n // 5, "test": num_patients}
        for name, n in zip(CLASSES, (320, 210, 260, 130), strict=True)
    }
    return {
        "run_id": "2026-01-31_10-20-30_4711",
        "seed": 1,
        "data": {
            "name": "brain_tumor_mri",
            "root": "/home/jane_doe/scans",
            "size": SIZE,
            "source": {"_target_": "scanlens.data.FolderSource"},
        },
        "model": {"_target_": "scanlens.models.lenet.LeNet", "activation": "relu", "pooling": "average"},
        "task": {"_target_": f"scanlens.tasks.{task}"},
        "optim": {"_target_": "torch.optim.AdamW", "lr": 0.001, "weight_decay": 0.01},
        "balance": {"name": "class_weights"},
        "augment": {"rotation_deg": 15, "flip": False},
        "trainer": {"max_epochs": 12, "accelerator": "cpu"},
        "monitor": "auto",
        "report": {"_target_": "scanlens.report.page.ReportWriter", "enabled": True, "max_cases": 12},
        "facts": {
            "class_names": CLASSES,
            "task": task,
            "in_channels": 1,
            "input_size": [SIZE, SIZE],
            "color": "gray",
            "num_images": {"train": 920, "val": 184, "test": 4 * num_patients},
            "counts": {split: {name: counts[name][split] for name in CLASSES} for split in ("train", "val", "test")},
            "num_patients": {"train": 230, "val": 46, "test": num_patients},
            "patients_known": True,
            "groups": "patient",
            "num_quarantined": 1,
            "source_about": "Axial head MRI slices in class folders",
            "is_phantom": False,
            "monitor": {"name": "val/auroc", "mode": "max"},
            "model_summary": {
                "name": "LeNet-5",
                "parameters": 431080,
                "trainable": 431080,
                "weights_note": "from scratch",
            },
            "chosen": [
                "data       brain_tumor_mri, 4 classes",
                "model      LeNet-5, gray, 96 x 96 px",
                "balance    class weights of the training split",
            ],
            "warnings": [],
        },
    }


def _provenance() -> dict[str, Any]:
    return {
        "created": "2026-01-31T10:24:42+00:00",
        "command": "train.py model=lenet data=brain_tumor_mri data.root=/home/jane_doe/scans",
        "seed": 1,
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "packages": {"torch": "2.15.0", "pytorch-lightning": "2.6.6", "numpy": "2.4.0"},
        "python": "3.11.9",
        "platform": "Linux x86_64",
        "hardware": {"cpu": "Example CPU", "cores": 2, "memory_gib": 24.0, "gpu": None},
        "num_processes": 1,
        "data_fingerprint": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "duration_s": {"prepare": 4.2, "fit": 192.4, "predict": 3.1, "explain": 12.7},
        "warnings": [],
    }


def _epochs(rng: np.random.Generator, is_classification: bool) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for epoch in range(12):
        fall = np.exp(-epoch / 4)
        row: dict[str, object] = {"epoch": epoch, "step": (epoch + 1) * 29, "train/loss": round(0.12 + 1.2 * fall, 4)}
        row["val/loss"] = round(0.35 + 0.95 * fall + 0.012 * max(0, epoch - 8) + rng.normal(0, 0.015), 4)
        if is_classification:
            row |= {"val/auroc": round(0.965 - 0.35 * fall + rng.normal(0, 0.006), 4)}
            row |= {"val/balanced_accuracy": round(0.87 - 0.5 * fall + rng.normal(0, 0.012), 4)}
        else:
            row |= {"val/ssim": round(0.9 - 0.4 * fall, 4)}
        rows.append({**row, "lr": f"{1e-3 * (1 - epoch / 12):.6g}"})
    return rows


def _predictions(rng: np.random.Generator, num_patients: int) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Classes and probabilities of four slices of each patient."""
    targets = np.repeat(np.arange(num_patients) % len(CLASSES), 4)
    logits = rng.normal(0, 1.0, (len(targets), len(CLASSES)))
    logits += 1.1 * np.repeat(
        rng.normal(0, 1.0, (num_patients, len(CLASSES))), 4, axis=0
    )  # slices of a patient err together
    logits[np.arange(len(targets)), targets] += 2.6
    odds = np.exp(logits)
    return targets, odds / odds.sum(axis=1, keepdims=True)


def _prediction_rows(targets: NDArray[np.int64], probabilities: NDArray[np.floating]) -> list[dict[str, object]]:
    return [
        {
            "case": f"test-{i:05d}",
            "id": f"{CLASSES[target]}/doe_jane_{i // 4:03d}_{i % 4}.png",
            "patient": f"doe_jane_{i // 4:03d}",
            "target": CLASSES[target],
            "predicted": CLASSES[int(row.argmax())],
            **{f"prob_{name}": f"{p:.9g}" for name, p in zip(CLASSES, row, strict=True)},
        }
        for i, (target, row) in enumerate(zip(targets, probabilities, strict=True))
    ]


def _write_explanations(
    folder: Path,
    rng: np.random.Generator,
    targets: NDArray[np.int64],
    probabilities: NDArray[np.floating],
    is_classification: bool,
) -> None:
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    misses = [int(i) for i in np.argsort(-confidence) if predicted[i] != targets[i]][:2]
    hits = [int(i) for i in np.argsort(-confidence) if predicted[i] == targets[i]][:3]
    blank = next(i for i in range(len(targets)) if targets[i] == len(CLASSES) - 1 and i not in misses + hits)
    chosen = [(i, "best hit") for i in hits] + [(i, "worst miss") for i in misses] + [(blank, "per class")]
    scans = {i: brain(rng, has_lesion=bool(targets[i] != len(CLASSES) - 1)) for i, _ in chosen}
    methods = (
        METHODS
        if is_classification
        else [{"name": "residual", "legend": "squared residual", "unit": "squared gray level", "layer": ""}]
    )
    maps = {
        (i, m["name"]): _map(rng, scans[i][1], is_blank=i == blank, misses=i in misses)
        for i, _ in chosen
        for m in methods
    }
    scales = {m["name"]: display_scale([maps[i, m["name"]] for i, _ in chosen]) for m in methods}
    cases = []
    for i, why in chosen:
        scan, lesion = scans[i]
        case = f"test-{i:05d}"
        scan_png(scan, folder / f"{case}_scan.png")
        cases.append(
            {
                "case": case,
                "split": "test",
                "reason": why,
                "target": CLASSES[targets[i]],
                "predicted": CLASSES[predicted[i]] if is_classification else None,
                "explained": CLASSES[predicted[i]] if is_classification else None,
                "probabilities": dict(zip(CLASSES, probabilities[i].tolist(), strict=True))
                if is_classification
                else {},
                "scan": f"{case}_scan.png",
                "maps": [
                    _write_map(folder, case, m["name"], scan, maps[i, m["name"]], lesion, scales[m["name"]])
                    for m in methods
                ],
                "mask_area_share": float(lesion.mean()) if lesion.any() else None,
            }
        )
    index = {"schema_version": 1, "methods": [{**m, "scale": scales[m["name"]]} for m in methods], "cases": cases}
    write_json(
        folder / "cases.json", {**index, "blank_maps": len(methods), "note": "The predicted class is explained."}
    )
    filters_png(rng.normal(0, 0.2, (6, 1, 5, 5)), folder / "filters.png")
    scan = scans[chosen[0][0]][0]
    blurred = [_blurred(scan, s) for s in (0.6, 1.2, 2.0)]
    feature_maps_png(
        np.stack([scan, *blurred, np.abs(scan - blurred[1]), np.abs(scan - blurred[2])]), folder / "feature_maps.png"
    )


def _map(rng: np.random.Generator, lesion: NDArray[np.bool_], *, is_blank: bool, misses: bool) -> NDArray[np.float32]:
    y, x = np.indices((SIZE, SIZE)) / SIZE
    if is_blank:
        return np.zeros((SIZE, SIZE), dtype=np.float32)
    at = np.argwhere(lesion).mean(axis=0) / SIZE if lesion.any() and not misses else rng.uniform(0.3, 0.7, 2)
    bump = np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 0.012)
    against = np.exp(-((y - rng.uniform(0.3, 0.7)) ** 2 + (x - (1 - at[1])) ** 2) / 0.02)
    strength = 0.5 if misses else 1.0
    return (strength * (1.6 * bump - 0.7 * against) + 0.03 * _blurred(rng.normal(0, 1, (SIZE, SIZE)), 4)).astype(
        np.float32
    )


def _write_map(
    folder: Path,
    case: str,
    method: str,
    scan: NDArray[np.float32],
    evidence: NDArray[np.float32],
    lesion: NDArray[np.bool_],
    scale: float,
) -> dict[str, Any]:
    stem = f"{case}_{method}"
    covered = np.zeros((SIZE, SIZE), dtype=bool)
    covered[4:-4, 4:-4] = True
    save_map(folder / f"{stem}.npz", map=evidence, cells=evidence[::8, ::8], covered=covered, scan=scan)
    mask = lesion if lesion.any() else None
    overlay_png(scan, evidence, scale=scale, covered_HW=covered, mask_HW=mask, path=folder / f"{stem}.png")
    is_blank = not evidence.any()
    peak = np.unravel_index(int(evidence.argmax()), evidence.shape)
    return {
        "method": method,
        "npz": f"{stem}.npz",
        "overlay": f"{stem}.png",
        "is_blank": is_blank,
        "max_abs": float(np.abs(evidence).max()),
        "peak_yx": None if is_blank else [float(v) for v in peak],
        "pointing_hit": float(lesion[peak]) * (not is_blank) if lesion.any() else None,
    }


def _write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
