"""Rows of results.csv: every number with its interval, and of how many it is."""

from __future__ import annotations

from typing import Any

from scanlens.report.result_rows import COLUMNS, result_rows


def entry(value: float | None, low: float | None = None, high: float | None = None, reason: str | None = None) -> dict:
    return {"value": value, "low": low, "high": high, "reason": reason}


SLICE = {
    "num_images": 40,
    "num_patients": 10,
    "metrics": {"auroc": entry(0.9, 0.8, 0.95), "ece": entry(0.1, reason="no interval")},
    "per_class": {"ill": {"num": 15, "auroc": entry(0.7, 0.6, 0.8), "recall": entry(None, reason="none")}},
    "baseline": {"majority_class": "well", "accuracy": 0.6, "auprc_per_class": {"ill": 0.4}},
    "interval": {"level": 0.9},
}
EVALUATION: dict[str, Any] = {
    "splits": {"test": {"slice": SLICE, "patient": None}},
    "decisions": {
        "positive": "ill",
        "unit": "patient",
        "interval": {"level": 0.95},
        "chosen": {
            "rule": {"name": "sensitivity"},
            "threshold": 0.3,
            "validation": {"true_positives": 5},
            "test": {"true_positives": 4, "sensitivity": entry(0.8, 0.5, 0.9)},
            "net_benefit": entry(0.2, 0.1, 0.3),
            "missed_images": [[1, 2]],
        },
        "compared": [{"rule": {"name": "youden"}, "threshold": 0.4, "test": {"sensitivity": entry(0.6)}}],
    },
    "calibration": {"change": {"before": {"log_loss": entry(0.5, 0.4, 0.6), "curve": [1, 2]}, "num_changed": 3}},
    "referral": {"outcome": {"referred": entry(0.25), "num": {"images": 40}}, "curve": {"aurc": entry(0.1), "risk": [1]}},
    "subgroups": {
        "sex": {
            "metric": "auroc",
            "groups": [{"name": "f", "num_images": 18, "num_patients": 4, "metrics": {"auroc": entry(0.8)}}],
            "gap": {"value": 0.1, "low": None, "high": None},
        }
    },
    "localization": {"grad_cam": {"num_images": 7, "num_patients": 5, "hit_rate": entry(0.4, 0.2, 0.6), "chance": 0.03}},
}  # fmt: skip


def found(part: str) -> dict[tuple[object, ...], dict[str, object]]:
    rows = [row for row in result_rows(EVALUATION) if row["part"] == part]
    return {(row["split"], row["class"], row["metric"]): row for row in rows}


def test_every_row_has_every_column() -> None:
    rows = result_rows(EVALUATION)
    assert {tuple(row) for row in rows} == {COLUMNS}
    assert len(rows) == len(
        {tuple(row[name] for name in ("part", "split", "level", "class", "metric")) for row in rows}
    )


def test_a_metric_says_of_how_many_it_is_and_what_its_interval_covers() -> None:
    row = found("performance")["test", None, "auroc"]
    expected = {"value": 0.9, "low": 0.8, "high": 0.95, "interval": 0.9, "num_images": 40, "num_patients": 10}
    assert {key: row[key] for key in expected} == expected
    bare = found("performance")["test", None, "ece"]
    assert (bare["interval"], bare["reason"]) == (None, "no interval")
    of_class = found("performance")["test", "ill", "auroc"]
    assert (of_class["num_of_class"], of_class["value"]) == (15, 0.7)
    assert found("performance")["test", "ill", "recall"]["reason"] == "none"


def test_thresholds_calibration_groups_and_maps_are_rows_too() -> None:
    chosen = found("threshold (sensitivity, chosen)")
    assert chosen["val", "ill", "threshold"]["value"] == 0.3
    assert chosen["val", "ill", "true_positives"]["value"] == 5
    assert chosen["test", "ill", "sensitivity"]["interval"] == 0.95
    assert chosen["test", "ill", "sensitivity"]["level"] == "patient"
    assert chosen["test", "ill", "net_benefit"]["low"] == 0.1
    assert found("threshold (youden)")["test", "ill", "sensitivity"]["value"] == 0.6
    assert found("calibration").keys() == {("test", None, "before.log_loss"), ("test", None, "num_changed")}
    assert found("referral").keys() == {("test", None, "referred"), ("test", None, "aurc")}
    assert found("subgroup sex")["test", None, "f: auroc"]["num_patients"] == 4
    assert found("subgroup sex")["test", None, "largest gap: auroc"]["value"] == 0.1
    assert found("pointing grad_cam")["test", None, "hit_rate"]["num_images"] == 7
    assert found("baseline").keys() == {("test", None, "accuracy"), ("test", None, "auprc_per_class.ill")}


def test_an_evaluation_without_anything_has_no_rows() -> None:
    assert result_rows({}) == []
    assert result_rows({"splits": {"test": {}}, "decisions": {"reason": "no class"}, "subgroups": None}) == []
