"""What must be true of any correct installation: a signal is found where it is, and nothing where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes.commands import train


def evaluation(folder: Path, *words: str) -> dict:
    done = train("callbacks.num_explained_cases=2", "run_id=r", *words, cwd=folder, timeout_s=550)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "outputs" / "r" / "evaluation.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def signal(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return evaluation(tmp_path_factory.mktemp("signal"), "experiment=demo")


def test_tumors_of_unseen_phantom_patients_are_told_apart(signal: dict) -> None:
    test = signal["splits"]["test"]["slice"]
    assert test["metrics"]["auroc"]["value"] >= 0.95
    assert test["metrics"]["balanced_accuracy"]["value"] > signal["nearest_neighbor"]["balanced_accuracy"] + 0.2


def test_the_peak_of_the_map_lies_in_the_lesion_far_more_often_than_chance(signal: dict) -> None:
    found = signal["localization"]["hires_cam"]
    assert found["num_images"] >= 30
    assert found["hit_rate"]["value"] > 4 * found["chance"]
    assert found["excess"]["low"] > 0, "the interval over patients of hits above chance must not hold zero"
    assert found["p_value"] < 1e-6


def test_without_a_signal_nothing_is_learned(tmp_path: Path) -> None:
    judged = evaluation(tmp_path, "experiment=no_signal")
    auroc = judged["splits"]["test"]["slice"]["metrics"]["auroc"]
    assert auroc["low"] < 0.5 < auroc["high"]
    assert abs(auroc["value"] - 0.5) < 0.2
