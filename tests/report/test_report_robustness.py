"""Worse images and uncertainty on the page: what the sentences say and the charts show."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from scanlens.report.robustness_chart import robustness_chart
from scanlens.report.robustness_sentences import robustness_sentences
from scanlens.report.uncertainty import orders_chart, uncertainty_sentences


def entry(value: float | None, low: float | None = None, high: float | None = None) -> dict:
    return {"value": value, "low": low, "high": high, "reason": None}


def step(
    strength: float, auroc: float, *, lost: dict, changed: float = 0.0, sensitivity: float = 0.9, more: dict
) -> dict:
    return {
        "strength": strength,
        "auroc": entry(auroc, auroc - 0.1, min(1, auroc + 0.1)),
        "balanced_accuracy": entry(auroc - 0.1),
        "log_loss": entry(0.5),
        "ece": entry(0.1),
        "changed": entry(changed),
        "sensitivity": entry(sensitivity, sensitivity - 0.1, sensitivity + 0.05),
        "loss": {"auroc": lost, "balanced_accuracy": lost, "log_loss": more},
    }


NONE = entry(0.0)
START = step(0.0, 0.9, lost=NONE, more=NONE)
CONTENT = {
    "positive": "tumor",
    "unit": "patient",
    "resampled": "patients",
    "plain": START,
    "kinds": {
        "noise": {
            "title": "noise",
            "unit": "%",
            "shown": 100,
            "about": "sd",
            "points": [
                START,
                step(0.04, 0.85, lost=entry(0.05, -0.01, 0.09), more=entry(0.1, -0.1, 0.2)),
                step(0.08, 0.78, lost=entry(0.12, 0.05, 0.2), changed=0.4, sensitivity=0.6, more=entry(0.3, 0.1, 0.5)),
            ],
        },
        "blur": {
            "title": "blur",
            "unit": "px",
            "shown": 1,
            "about": "sigma",
            "points": [START, step(1.5, 0.89, lost=entry(0.01, -0.02, 0.05), changed=0.1, more=entry(0.0, -0.1, 0.1))],
        },
    },
}


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def label(svg: str | None) -> str:
    assert svg is not None
    ElementTree.fromstring(svg)
    assert " style=" not in svg
    found = re.search(r'aria-label="([^"]*)"', svg)
    assert found is not None
    return plain(found.group(1))


def test_costs_are_told_from_the_strength_at_which_they_are_sure() -> None:
    assert list(map(plain, robustness_sentences(CONTENT))) == [
        "AUROC falls below 0.80 at noise of 8 % (0.78).",
        "Noise of 8 % costs 0.120 (0.050 to 0.200) of AUROC.",
        "At no strength tried is AUROC lost beyond what the choice of patients explains: blur.",
        "Most answers change with noise of 8 %: 40 % of images get another one.",
        "At the chosen threshold the sensitivity for 'tumor' (90 % per patient) falls furthest with noise of 8 %: to 60 % (50 % to "
        "65 %).",
        "Calibrated probabilities get worse with noise; most with noise of 8 %: the log loss rises by 0.30 (0.10 to 0.50).",
    ]


def test_without_numbers_there_is_no_chart_and_hardly_a_sentence() -> None:
    assert robustness_chart({}) is None
    assert robustness_chart({"kinds": {"noise": {"points": []}}}) is None
    assert orders_chart({}) is None
    assert uncertainty_sentences({}) == []


def test_the_small_multiples_show_every_kind_and_equal_numbers_give_equal_bytes() -> None:
    svg = robustness_chart(CONTENT)
    assert label(svg) == "AUROC at the largest strength, noise of 8 %: 0.78; blur of 1.5 px: 0.89"
    assert svg == robustness_chart(CONTENT)
    assert svg is not None
    for word in ("noise", "blur", "strength (%)", "strength (px)", "ECE", "sensitivity at the threshold"):
        assert word in svg


def order(aurc: float, gain: dict) -> dict:
    return {"aurc": entry(aurc), "gain": gain, "coverage": [0.5, 1.0], "risk": [0.1, 0.2]}


UNCERTAINTY = {
    "method": "mc_dropout",
    "members": 20,
    "error_rate": 0.2,
    "num_images": 50,
    "orders": {
        "max_probability": order(0.1, entry(0.0)),
        "entropy": order(0.05, entry(0.05, 0.01, 0.09)),
        "mutual_information": order(0.12, entry(-0.02, -0.05, 0.01)),
    },
    "log_loss_gain": entry(-0.1, -0.2, -0.05),
}


def test_an_uncertainty_is_praised_only_where_its_interval_leaves_out_0() -> None:
    assert uncertainty_sentences(UNCERTAINTY) == [
        "Ordered by predictive entropy, errors come later: the mean share of errors changes by -0.050 (gain 0.010 to 0.090).",
        "Ordered by mutual information, errors come no later or earlier than by the plain probability, as far as can be told "
        "(-0.050 to 0.010).",
        "The mean over passes states worse probabilities: the log loss changes by 0.100 (gain -0.200 to -0.050).",
    ]


def test_orders_are_drawn_together() -> None:
    assert label(orders_chart(UNCERTAINTY)) == (
        "Mean errors over all shares answered, ordered by plain probability 0.100, predictive entropy 0.050, mutual information 0.120"
    )
