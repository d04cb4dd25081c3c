"""A record of a case with round numbers, to be changed in one place by a test."""

from __future__ import annotations

import copy
from typing import Any

_MEASURED = {
    "level_for": 0.5, "level_against": -0.25, "share": 0.02, "evidence_for": 30.0, "evidence_against": 10.0, "share_for": 0.75,
    "quadrant": {"name": "upper left", "share": 0.6}, "peak_yx": [9, 25], "outlined_px": 63, "outlined_mm2": None, "evidence_in_outline": 0.2,
}  # fmt: skip
_MAP = {
    "method": "hires_cam", "title": "HiResCAM", "legend": "what each position adds", "layer": "features.8", "unit": "log-odds",
    "placement_note": "", "explained": "no_tumor", "is_blank": False,
    "verdict": {
        "level": "WEAK", "reasons": ["Because of this."], "against": ["But."], "also": ["And."], "p_value": 0.08, "drop": 0.4,
        "margin": 1.3, "num_as_large": 1.0, "num_regions": 24.0,
    },
    "scale": 0.6, "npz": None, "measured": _MEASURED, "pointing_hit": 1.0,
    "resolution": {
        "cell_px": [2.0, 2.0], "cell_mm": None, "sees_px": [14.0, 14.0], "limit_of_detection_px": None,
        "limit_of_localization_px": None, "reason": "limits were not measured",
    },
}  # fmt: skip
_RECORD: dict[str, Any] = {
    "schema": "scanlens.case", "schema_version": 1, "notice": "Not for diagnosis.", "case": "test-00025",
    "image": {
        "pseudonym": "5333e1c04155", "pixels_sha256": None, "modality": None, "native_size_px": None, "spacing_mm": None,
        "network_size_px": [64.0, 64.0], "mm_per_px": None, "is_spacing_assumed_square": None, "is_phantom": False,
        "place_hwyx": None, "sides": None, "original": None, "original_reason": "the run kept no picture of the file",
    },
    "quality": {"status": "good", "reasons": [], "checks": [], "anomaly": None},
    "answer": {
        "predicted": "no_tumor", "reference": "glioma", "is_right": False, "is_calibrated": True, "calibration_error": None, "as_sure": None, "runner_up": "glioma",
        "selected_as": "worst miss",
        "classes": [
            {"class": "no_tumor", "stated": 0.8, "calibrated": 0.7}, {"class": "glioma", "stated": 0.2, "calibrated": 0.3},
        ],
    },
    "decision": {
        "positive": "tumor", "members": ["glioma"], "unit": "patient", "threshold": 0.4, "score": 0.1, "image_score": 0.12,
        "called": "negative", "distance_log_odds": -1.79, "num_images_of_patient": 4.0, "reason": None,
        "similar_scores": {
            "value": 0.1, "low": 0.02, "high": 0.3, "reason": None, "num": 30, "num_positive": 3, "num_patients": 12, "lowest": 0.08,
            "highest": 0.2,
        },
    },
    "uncertainty": {
        "set": ["no_tumor"], "aimed_coverage": 0.9, "measured_coverage": {"value": 0.88, "low": 0.8, "high": 0.94, "reason": None},
        "measured_coverage_of_class": None, "refer": False, "refers_all": False, "referral_reason": None, "entropy_nats": None,
        "mutual_information_nats": None, "members": None, "reason": None,
    },
    "maps": [_MAP],
    "runner_up_map": {"class": "glioma", "reason": "the map against the runner-up was not made"},
    "similar": {"same": [], "other": [], "num_searched": None, "num_compared": None, "reason": "similar training cases were not looked for"},
    "scan": None,
    "lesion_share": 0.03,
    "reveals_after_commit": False,
    "readers": None,
    "shortcuts": {"convicted": [], "reason": None},
    "model": {
        "name": "LeNet", "parameters": 1000.0, "run": "r", "data": "brain", "weights_sha256": None, "config_sha256": "0123456789ab",
        "commit": None, "has_local_changes": None, "seed": 1.0, "trained": "2026-01-31", "scanlens": "0.1.0", "written_by": "0.1.0",
        "packages": {"torch": "2.0"},
    },
    "tested_on": {
        "source": "Axial slices", "class_names": ["glioma", "no_tumor"], "num_images": {"train": 300.0}, "num_patients": {"test": 60.0},
        "patients_known": True, "train_counts": {"glioma": 200.0, "no_tumor": 100.0}, "is_external": False, "subgroups": ["sex"],
        "warnings": [], "intended_use": "For research.", "told": "Tested on 60 patients.", "sex": None, "age": None,
    },
    "operating_point": {
        "positive": "tumor", "unit": "patient", "chosen": {"rule": {"name": "sensitivity"}, "threshold": 0.4, "gap": [0.35, 0.45]},
        "test": {
            "sensitivity": {"value": 0.95, "low": 0.83, "high": 0.99, "reason": None},
            "npv": {"value": 17 / 19, "low": 0.69, "high": 0.97, "reason": None},
        }, "num_positive": 40.0, "num_missed": 2.0, "num_called_negative": 19.0,
        "num_negative": 20.0, "num_false_alarms": 3.0, "per_thousand": None, "reason": None,
        "at_prevalences": None, "missed_lesions": {"missed": None, "found": None, "reason": "no lesion of the test split is marked"},
    },
}  # fmt: skip


def record(**changes: Any) -> dict[str, Any]:
    """A copy, changed at places such as `decision__score=0.5`."""
    found = copy.deepcopy(_RECORD)
    for place, value in changes.items():
        *path, last = place.split("__")
        inner = found
        for name in path:
            inner = inner[int(name) if name.isdigit() else name]
        inner[int(last) if last.isdigit() else last] = value
    return found
