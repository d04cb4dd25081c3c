"""The comparison in words, table, LaTeX and page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scanlens.files import read_csv
from scanlens.report.comparison import console_comparison, difference_table, headline, run_table
from scanlens.report.comparison_page import render, write_comparison

METRICS = ("auroc", "auprc", "balanced_accuracy", "accuracy", "log_loss", "brier", "ece")


def run(name: str, model: str, value: float, *, parameters: int, seconds: float) -> dict[str, Any]:
    metric = {"value": value, "low": value - 0.04, "high": value + 0.04, "reason": None}
    return {
        "name": name,
        "model": model,
        "num_folds": 1,
        "metrics": {"slice": dict.fromkeys(METRICS, metric), "patient": dict.fromkeys(METRICS, metric)},
        "nearest_neighbor": {"accuracy": 0.5, "balanced_accuracy": 0.45},
        "parameters": parameters,
        "training_s": 61.0,
        "seconds_per_image": seconds,
        "memory_mib": 12.4,
    }


def difference(
    value: float, low: float, high: float, p: float, *, better: str | None, first: str = "v"
) -> dict[str, Any]:
    return {"first": first, "second": "l", "value": value, "low": low, "high": high, "reason": None, "p": p / 3, "p_adjusted": p,
            "test": "bootstrap of patients", "better": better, "check": None}  # fmt: skip


def content(*found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "metric": "auroc",
        "lower_is_better": False,
        "class_names": ["a_b", "c"],
        "level": "patient",
        "num_images": 96,
        "num_patients": 24,
        "runs": [
            run("l", "lenet", 0.9, parameters=1000, seconds=0.001),
            run("v", "vgg19", 0.93, parameters=360_000, seconds=0.025),
            run("m", "mlp", 0.7, parameters=500, seconds=0.0005),
        ],
        "differences": {"slice": list(found), "patient": list(found)},
        "interval": {"num_resamples": 2000, "resampled": "patients"},
        "warnings": ["m and l learned from different images."],
        "notes": ["seconds: measured"],
        **changes,
    }


WORSE = difference(-0.2, -0.3, -0.1, 0.01, better="l", first="m")


def test_a_better_network_is_named_with_effect_interval_p_and_price() -> None:
    found = headline(content(difference(0.03, 0.001, 0.07, 0.04, better="v"), WORSE))
    assert found == (
        "vgg19 is better than lenet by 0.03 AUROC (0.00 to 0.07; p=0.04 after correction for 2 comparisons) "
        "at 360 times the parameters and 25 times the time per image."
    )


def test_the_first_run_may_be_the_better_one_and_the_cheaper_one() -> None:
    found = headline(content(difference(-0.03, -0.07, -0.01, 0.004, better="l"), WORSE))
    assert found.startswith("lenet is better than vgg19 by 0.03 AUROC (0.01 to 0.07; p=0.004 after")
    assert found.endswith("at 1/360 of the parameters and 1/25 of the time per image.")


def test_networks_that_cannot_be_told_apart_are_said_to_be_so() -> None:
    found = headline(content(difference(0.03, -0.02, 0.07, 0.3, better=None), WORSE))
    assert found == (
        "vgg19 and lenet cannot be told apart: difference 0.03 AUROC (-0.02 to 0.07, interval includes 0; p=0.30 after "
        "correction for 2 comparisons)."
    )
    barely = headline(content(difference(0.03, 0.01, 0.07, 0.06, better=None), WORSE))
    assert "(0.01 to 0.07, interval leaves out 0; p=0.06 after correction" in barely


def test_runs_of_one_network_are_named_by_their_run() -> None:
    given = content(difference(0.03, -0.02, 0.07, 0.3, better=None), WORSE)
    for one in given["runs"]:
        one["model"] = "vgg19"
    assert headline(given).startswith("v and l cannot be told apart")


def test_where_less_is_better_the_lowest_run_is_spoken_of() -> None:
    given = content(difference(0.03, -0.02, 0.07, 0.3, better=None), WORSE, metric="log_loss", lower_is_better=True)
    assert headline(given) == (
        "lenet is better than mlp by 0.20 log loss".replace("lenet", "lenet")
        + " (0.10 to 0.30; p=0.01 after correction for 2 "
        "comparisons) at 2 times the parameters and 2 times the time per image."
    )


def test_tables_hold_costs_and_the_anchor_without_learning() -> None:
    given = content(difference(0.03, 0.001, 0.07, 0.04, better="v"), WORSE)
    heads, rows = run_table(given, "slice")
    by_name = {row[0]: dict(zip(heads, row, strict=True)) for row in rows}
    assert by_name["v"]["Time per image"] == "25 ms"
    assert by_name["v"]["AUROC"] == "0.93 (0.89 to 0.97)"
    assert by_name["v"]["Training"] == "1 min 01 s"
    assert by_name["1-nearest neighbor"]["Balanced accuracy"] == "0.45"
    assert "1-nearest neighbor" not in [row[0] for row in run_table(given, "patient")[1]]
    assert difference_table(given, "slice")[1][0][:5] == ["v less l", "0.030", "0.001 to 0.070", "0.01", "0.04"]


def test_page_table_and_latex_are_written_and_the_page_is_self_contained(tmp_path: Path) -> None:
    given = content(difference(0.03, 0.001, 0.07, 0.04, better="v"), WORSE)
    page = write_comparison(given, tmp_path).read_text(encoding="utf-8")
    assert page == render(given)
    assert page.count("<svg") == 4
    assert not re.search(r"<script|https?://(?!www\.w3\.org)|style=", page)
    assert "learned from different images" in page
    row = read_csv(tmp_path / "comparison.csv")[2]
    assert (row["run"], row["level"], row["auroc"], row["auroc_low"], row["seconds_per_image"]) == (
        "v", "patient", "0.93", "0.89", "0.025",
    )  # fmt: skip
    text = (tmp_path / "comparison.tex").read_text(encoding="utf-8")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert not re.search(r"(?<!\\)[%_#](?! needs)", text.replace("% needs", ""))


def test_the_console_shows_the_asked_metric_and_every_warning() -> None:
    text = console_comparison(content(difference(0.03, 0.001, 0.07, 0.04, better="v"), WORSE))
    assert text.splitlines()[0] == "96 images of 24 patients, per patient"
    assert "warning: m and l learned from different images." in text
    assert all(len(line) <= 130 for line in text.splitlines() if not line.startswith("vgg19 is better"))


@pytest.mark.parametrize("attack", ["<script>alert(1)</script>", "a&b"])
def test_names_of_runs_are_escaped(attack: str) -> None:
    given = content(difference(0.03, 0.001, 0.07, 0.04, better="v"), WORSE)
    given["runs"][2]["name"] = attack
    page = render(given)
    assert attack not in page


def test_the_page_shows_performance_against_explanation() -> None:
    gap = difference(0.03, -0.04, 0.1, 0.4, better=None)
    given = content(gap)
    for one, hits in zip(given["runs"], (0.5, 0.9, None), strict=True):
        near = None if hits is None else {"value": hits, "low": hits - 0.1, "high": hits + 0.05, "reason": None}
        lost = {"value": 1.5, "low": 1.0, "high": 2.0, "reason": None}
        one["explanations"] = near and {"title": "HiResCAM", "chance_near": 0.05, "hit_near": near, "removal": lost}
    given["runs"][2]["name"] = "<b>m"
    page = render(given)
    assert 'id="frontier"' in page
    assert "chart-frontier-hit-near" in page
    assert "chart-frontier-removal" in page
    assert "<b>m" not in page
    assert "it needs scanlens explain" in render(content(gap))
