from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from scanlens.callbacks.case_choice import choose_classified, choose_scored, random_order
from scanlens.callbacks.predictions import PredictionWriter, case_name, classification_columns
from scanlens.callbacks.slice_profiles import slice_profile
from scanlens.files import read_csv

ROWS = [
    {"index": "0", "id": "a/1.png", "patient": "p1", "target": "cat", "split": "val"},
    {"index": "1", "id": "a/2.png", "patient": "p2", "target": "dog", "split": "test"},
    {"index": "2", "id": "a/3.png", "patient": "", "target": "cat", "split": "test"},
]


def writer(folder: Path) -> PredictionWriter:
    columns = classification_columns(["cat", "dog"])
    return PredictionWriter(folder, splits=["val", "test"], rows=ROWS, to_columns=columns)


def batch(rows: list[list[float]], index: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(rows), torch.tensor(index)


def test_each_image_gets_one_row_in_the_order_of_the_data_set(tmp_path: Path) -> None:
    val = [batch([[0.75, 0.25, 0.0]], [0])]
    test = [batch([[0.5, 0.5, 0.0]], [2]), batch([[0.125, 0.875, 1.0]], [1])]
    writer(tmp_path).write_on_epoch_end(SimpleNamespace(), SimpleNamespace(), [val, test], [])  # type: ignore[arg-type]
    assert read_csv(tmp_path / "test.csv") == [
        {"case": "test-00001", "id": "a/2.png", "patient": "p2", "target": "dog", "predicted": "dog", "prob_cat": "0.125", "prob_dog": "0.875"},
        {"case": "test-00002", "id": "a/3.png", "patient": "", "target": "cat", "predicted": "cat", "prob_cat": "0.5", "prob_dog": "0.5"},
    ]  # fmt: skip


@pytest.mark.parametrize("index", [[1], [1, 1], [1, 2, 2]])
def test_a_missing_or_repeated_image_is_an_error(tmp_path: Path, index: list[int]) -> None:
    val = [batch([[0.75, 0.25, 0.0]], [0])]
    test = [batch([[0.5, 0.5, 0.0]] * len(index), index)]
    with pytest.raises(RuntimeError, match="exactly once"):
        writer(tmp_path).write_on_epoch_end(SimpleNamespace(), SimpleNamespace(), [val, test], [])  # type: ignore[arg-type]


def prediction(index: int, target: str, prob_cat: float) -> dict[str, str]:
    predicted = "cat" if prob_cat >= 0.5 else "dog"
    probabilities = {"prob_cat": str(prob_cat), "prob_dog": str(1 - prob_cat)}
    return {"case": case_name("test", index), "target": target, "predicted": predicted, **probabilities}


def test_the_most_confident_wrong_answers_come_first_and_no_case_twice() -> None:
    rows = [prediction(0, "cat", 0.9), prediction(1, "cat", 0.1), prediction(2, "cat", 0.4), prediction(3, "dog", 0.3)]
    chosen = choose_classified(rows, num=6, seed=1)
    assert [(p["case"], reason) for p, reason in chosen[:3]] == [
        ("test-00001", "worst miss"),
        ("test-00002", "worst miss"),
        ("test-00000", "best hit"),
    ]
    cases = [p["case"] for p, _ in chosen]
    assert len(cases) == len(set(cases)) == 4


def test_misses_of_neighboring_slices_do_not_fill_the_report_with_one_patient() -> None:
    rows = [prediction(i, "dog", 0.99 - i / 1000) | {"patient": "one"} for i in range(20)]
    rows += [prediction(20 + i, "dog", 0.6) | {"patient": f"other-{i}"} for i in range(3)]
    rows += [prediction(23 + i, "cat", 0.9) | {"patient": "cat"} for i in range(20)]
    chosen = choose_classified(rows, num=12, seed=1)
    misses = [p["patient"] for p, reason in chosen if reason == "worst miss"]
    assert misses == ["one", "other-0", "other-1", "other-2"]
    counts = Counter(p["patient"] for p, _ in chosen)
    assert len(chosen) == 12
    assert set(counts) == {"one", "other-0", "other-1", "other-2", "cat"}
    assert max(counts.values()) <= 5, "what is left goes to the two that have more slices, in turn"


def test_the_profile_of_a_slice_runs_along_its_volume_in_order() -> None:
    rows = [prediction(i, "dog" if i == 2 else "cat", [0.9, 0.2, 0.4, 0.7, 0.1][i]) for i in range(5)]
    place_of = {0: ("a", 7), 1: ("a", 3), 2: ("a", 5), 3: ("b", 0)}
    assert slice_profile(rows[2], rows, place_of) == {
        "class": "dog",
        "slice": 5,
        "slices": [3, 5, 7],
        "probabilities": [0.8, 0.6, pytest.approx(0.1)],
        "is_class": [False, True, False],
    }
    assert slice_profile(rows[4], rows, place_of) is None, "the image is no slice of a volume"


def test_choice_is_the_same_for_the_same_seed_whatever_the_order_of_rows() -> None:
    rows = [prediction(i, "cat" if i % 3 else "dog", (i * 37 % 100) / 100) for i in range(40)]
    first, again = choose_classified(rows, num=12, seed=5), choose_classified(rows[::-1], num=12, seed=5)
    assert sorted(p["case"] for p, _ in first) == sorted(p["case"] for p, _ in again)


def test_a_random_order_favors_no_place_in_the_list() -> None:
    rows = [prediction(i, "cat", 0.5) for i in range(2000)]
    first = [int(p["case"][-5:]) for p in sorted(rows, key=random_order(3))[:200]]
    assert 850 < sum(first) / 200 < 1150, "the mean place of 200 of 2,000 is 999.5, give or take 40"
    assert first != [int(p["case"][-5:]) for p in sorted(rows, key=random_order(4))[:200]]


def test_highest_scores_come_first_for_an_autoencoder() -> None:
    rows = [
        {"case": case_name("test", i), "target": "", "mse": str(value)} for i, value in enumerate([0.1, 0.9, 0.5, 0.3])
    ]
    assert [(p["case"], why) for p, why in choose_scored(rows, column="mse", num=3, seed=1)][:2] == [
        ("test-00001", "highest score"),
        ("test-00000", "lowest score"),
    ]
