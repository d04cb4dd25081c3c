"""Results as tables: plain lists and mappings, every cell already in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.patients import patient_rule
from scanlens.report.sentences import baseline, localization, rebuilt
from scanlens.report.words import (
    NOT_ASSESSED,
    interval,
    joined,
    number,
    percent,
    point,
    reason,
    whole,
)

Cell = dict[str, str]
METRICS = (
    ("auroc", "AUROC", "ranking; 0.5 is chance, 1 is perfect"),
    ("auprc", "AUPRC", "precision over sensitivity; chance is the share of the class"),
    ("balanced_accuracy", "Balanced accuracy", "mean sensitivity of the classes"),
    ("accuracy", "Accuracy", "share of right answers"),
    ("log_loss", "Log loss", "0 is perfect; lower is better"),
    ("brier", "Brier score", "squared error of probabilities; lower is better"),
    ("ece", "Calibration error", "stated against observed (ECE); lower is better"),
)
CLASS_METRICS = (
    ("auroc", "AUROC"),
    ("auprc", "AUPRC"),
    ("sensitivity", "Sensitivity"),
    ("specificity", "Specificity"),
    ("precision", "Precision"),
    ("f1", "F1"),
)
RECONSTRUCTION = (
    ("ssim", "SSIM", "structural similarity; 1 is perfect", 3),
    ("psnr", "PSNR", "decibels; higher is better", 1),
    ("mse", "Mean squared error", "lower is better", 5),
)


def cell(metric: object, digits: int = 3) -> Cell:
    """Value and interval of a metric; why it has no value (reason), or a remark on the value it has."""
    bounds = interval(metric, digits)
    missing = point(metric) is None
    why = reason(metric)
    return {
        "value": number(point(metric), digits),
        "interval": bounds,
        "reason": why if missing else "",
        "remark": "" if missing else why,
    }


def metric_table(run: RunFolder) -> dict[str, Any]:
    """Test metrics per image and per patient, beside validation and the baselines."""
    test, validation = run.split("test"), run.split("val")
    image, patient = mapping(test.get("slice")), mapping(test.get("patient"))
    blind, neighbor = baseline(test), mapping(run.evaluation.get("nearest_neighbor"))
    sources = (image, patient, mapping(validation.get("slice")))
    rows: list[dict[str, Any]] = []
    for key, label, hint in METRICS:
        cells = [cell(mapping(source.get("metrics")).get(key)) for source in sources]
        cells += [_baseline(blind, "ece_by_chance" if key == "ece" else key), _baseline(neighbor, key)]
        rows.append({"label": label, "hint": hint, "cells": cells})
    heads = [
        ("Test, per image", f"n = {whole(image.get('num_images'))}" if image else NOT_ASSESSED),
        ("Test, per patient", f"n = {whole(patient.get('num_patients'))}" if patient else NOT_ASSESSED),
        ("Validation, per image", "chose the weights"),
        (
            "Without looking",
            f"always {blind['majority_class']}, or at random" if blind.get("majority_class") else "per image",
        ),
        ("1-nearest neighbor", "copies the most similar training image"),
    ]
    notes = [
        f"{row['label']}, {head.lower()}: {one['remark']}."
        for row in rows
        for (head, _), one in zip(heads, row["cells"], strict=True)
        if one["remark"]
    ]
    if said := patient_rule(run):
        notes.insert(0, said)
    if not patient:
        notes.append(
            f"Per patient: {NOT_ASSESSED}" + (f", {test['patient_reason']}" if test.get("patient_reason") else "") + "."
        )
    if blind.get("method"):
        notes.append(f"Without looking: {blind['method']}.")
    return {"heads": heads, "rows": rows, "note": _interval_note(patient or image), "notes": notes}


def class_table(metrics: Mapping[str, Any], class_names: list[str]) -> list[dict[str, Any]]:
    """One row a class, in the written order."""
    per_class = mapping(metrics.get("per_class"))
    rows = []
    for name in class_names:
        one = mapping(per_class.get(name))
        rows.append(
            {"name": name, "num": whole(one.get("num")), "cells": [cell(one.get(key), 2) for key, _ in CLASS_METRICS]}
        )
    return rows


def reconstruction_table(run: RunFolder) -> list[dict[str, Any]]:
    """Test and validation metrics of a network that rebuilds pictures."""
    judged = [rebuilt(run.split(name)) for name in ("test", "val")]
    rows = [
        {"label": label, "hint": hint, "cells": [cell(metrics.get(key), digits) for metrics, _ in judged]}
        for key, label, hint, digits in RECONSTRUCTION
    ]
    normal = joined([str(one) for one in sequence(judged[0][1].get("normal_classes"))])
    cells = [
        cell(one.get("auroc")) | ({"reason": str(one["reason"])} if one.get("reason") else {}) for _, one in judged
    ]
    return [
        *rows,
        {
            "label": "Anomaly AUROC",
            "hint": f"unusual error, to either side, ranks images that are not {normal or 'normal'}; 0.5 is chance",
            "cells": cells,
        },
    ]


def localization_table(run: RunFolder) -> list[dict[str, str | Cell]]:
    """How often the peak of a map lies in the marked lesion, beside the share of the picture that the lesion takes."""
    return [
        {
            "name": one["title"],
            "left_out": one["left_out"],
            "hit": cell(one["hit_rate"], 2),
            "chance": number(point(one["chance"]), 2),
            "excess": cell(one["excess"], 2),
            "p_value": number(one["p_value"], 3),
            "num": whole(one["num"]),
            "blank": whole(one["num_blank"]),
        }
        for one in localization(run)
    ]


def _baseline(values: Mapping[str, Any], key: str) -> Cell:
    """A baseline states few metrics: a dash where it has none, "not assessed" where there is no baseline at all."""
    found = cell(values.get(key))
    return found | {"value": "–"} if values and values.get(key) is None else found


def _interval_note(metrics: Mapping[str, Any]) -> str:
    how = mapping(metrics.get("interval"))
    if not how:
        return f"Intervals: {NOT_ASSESSED}."
    drawn = (
        f" {whole(how['num_resamples'])} resamples of {how.get('resampled') or 'images'}."
        if finite(how.get("num_resamples"))
        else ""
    )
    method = str(how.get("method") or "method not stated").rstrip(".")
    note = f" {how['note']}" if how.get("note") else ""
    return f"Brackets: {percent(how.get('level', 0.95))} interval. {method[:1].upper()}{method[1:]}.{drawn}{note}"
