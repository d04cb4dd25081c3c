"""Performance against explanation: who is ahead in both, what may be chance, and what was not assessed."""

from __future__ import annotations

from typing import Any

from scanlens.report.frontier import explanation_scores, frontier


def entry(value: float | None, half: float = 0.02) -> dict[str, Any]:
    return {
        "value": value,
        "low": None if value is None else value - half,
        "high": None if value is None else value + half,
        "reason": None,
    }


def run(name: str, auroc: float, hits: float | None, removal: float | None = None) -> dict[str, Any]:
    scores = {
        "method": "hires_cam",
        "title": "HiResCAM",
        "chance_near": 0.05,
        "hit_near": entry(hits),
        "removal": entry(removal),
    }
    return {
        "name": name,
        "metrics": {"patient": {"auroc": entry(auroc)}},
        "explanations": None if hits is None else scores,
    }


def card(primary: str = "hires_cam") -> dict[str, Any]:
    plausibility, fidelity = {"hit_near": entry(0.86), "chance_near": 0.05}, {"removal": {"advantage": entry(4.0)}}
    own = {
        "name": "hires_cam",
        "title": "HiResCAM",
        "is_control": False,
        "plausibility": plausibility,
        "fidelity": fidelity,
    }
    return {"primary": primary, "methods": [own, own | {"name": "edges", "title": "Edges", "is_control": True}]}


def test_the_scores_are_those_of_the_runs_own_method() -> None:
    found = explanation_scores(card())
    assert found is not None
    assert (found["title"], found["hit_near"]["value"], found["removal"]["value"], found["chance_near"]) == (
        "HiResCAM",
        0.86,
        4.0,
        0.05,
    )
    assert explanation_scores({}) is None
    assert explanation_scores(card("edges")) is None, "a control is no explanation"


def test_a_run_that_is_ahead_in_both_pays_nothing() -> None:
    said = frontier([run("a", 0.9, 0.8), run("b", 0.8, 0.7)], "patient")["sentences"]
    assert said[0] == (
        "Share of peaks near the lesion: a is not behind any other run in AUROC or in this, so neither was paid for with the other here."
    )
    unsure = frontier([run("a", 0.82, 0.8), run("b", 0.8, 0.7)], "patient")["sentences"][0]
    assert unsure.endswith("with the other here; intervals overlap, so this may be chance.")
    assert said[1].startswith("Log-odds lost without the region, more than elsewhere against AUROC: not assessed")


def test_two_ends_are_told_apart_only_by_intervals() -> None:
    sure = frontier([run("a", 0.95, 0.5), run("b", 0.8, 0.9), run("c", 0.7, 0.4)], "patient")["sentences"][0]
    assert sure == (
        "Share of peaks near the lesion: no run is ahead of a and b in both. a has the higher AUROC (0.95, 0.93 to 0.97 against 0.80, "
        "0.78 to 0.82), b more of this (0.90, 0.88 to 0.92 against 0.50, 0.48 to 0.52)."
    )
    unsure = frontier([run("a", 0.82, 0.5), run("b", 0.8, 0.9)], "patient")["sentences"][0]
    assert unsure.endswith("their intervals overlap in at least one of the two, so this may be chance.")


def test_one_point_is_no_frontier_and_none_is_not_assessed() -> None:
    alone = frontier([run("a", 0.9, 0.8), run("b", 0.8, None)], "patient")
    assert "not assessed, it needs scanlens explain parts=score_card" in alone["sentences"][0]
    assert alone["charts"] == []
    assert [row["method"] for row in alone["rows"]] == ["HiResCAM", "not assessed"]
    none = frontier([run("a", 0.9, None), run("b", 0.8, None)], "patient")
    assert (none["rows"], len(none["sentences"])) == ([], 1)
