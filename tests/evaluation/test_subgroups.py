"""Groups of images: their metrics, their largest gap, and the gap that chance makes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scanlens.evaluation.bands import as_numbers, in_bands
from scanlens.evaluation.classification import evaluate_classification
from scanlens.evaluation.subgroups import Subgroups, evaluate_subgroups

NAMES = ["healthy", "ill"]


def cohort(num_patients: int = 120, per_patient: int = 3, *, worse: str = "", seed: int = 0) -> dict[str, Any]:
    """Patients of three sites; the network knows nothing of the site `worse`."""
    generator = np.random.default_rng(seed)
    target_N = np.repeat(np.arange(num_patients) % 2, per_patient)
    labels = np.repeat(np.array(["A", "B", "C"])[(np.arange(num_patients) // 2) % 3], per_patient)
    shared_N = np.repeat(generator.normal(size=num_patients), per_patient)
    signal_N = np.where(labels == worse, 0.0, 2.0)
    score_N = signal_N * (target_N - 0.5) + shared_N + 0.3 * generator.normal(size=len(target_N))
    ill_N = 1 / (1 + np.exp(-score_N))
    patients = [f"p{p}" for p in range(num_patients) for _ in range(per_patient)]
    return {
        "probabilities_NK": np.c_[1 - ill_N, ill_N],
        "target_N": target_N,
        "labels": labels.tolist(),
        "patients": patients,
    }


def judged(data: dict[str, Any], **changes: Any) -> Subgroups:
    settings = {"class_names": NAMES, "seed": 0, "num_resamples": 200, **data, **changes}
    return evaluate_subgroups(
        settings.pop("probabilities_NK"), settings.pop("target_N"), settings.pop("labels"), **settings
    )


def part(data: dict[str, Any], is_meant_N: NDArray) -> dict[str, Any]:
    place = np.flatnonzero(is_meant_N)
    return {
        "probabilities_NK": data["probabilities_NK"][place],
        "target_N": data["target_N"][place],
        "patients": [data["patients"][n] for n in place],
    }


def test_each_group_has_the_metrics_of_its_images_alone() -> None:
    data = cohort()
    found = judged(data)
    assert [(one.name, one.num_images, one.num_patients, one.is_small) for one in found.groups] == [
        (name, 120, 40, False) for name in "ABC"
    ]
    alone = part(data, np.array(data["labels"]) == "B")
    expected = evaluate_classification(
        alone["probabilities_NK"],
        alone["target_N"],
        class_names=NAMES,
        patients=alone["patients"],
        seed=0,
        num_resamples=200,
    )
    assert found.groups[1].metrics == expected["slice"]["metrics"]
    assert found == judged(data)
    json.dumps(found.as_dict(), allow_nan=False)


@pytest.mark.parametrize("metric", ["auroc", "accuracy"])
def test_a_site_that_the_network_knows_nothing_of_is_found(metric: str) -> None:
    found = judged(cohort(worse="B"), metric=metric)
    assert found.gap is not None
    values = {one.name: one.metrics[metric]["value"] for one in found.groups}
    assert found.gap.lowest == "B"
    assert found.gap.value == pytest.approx(max(values.values()) - values["B"])
    assert found.gap.low is not None
    assert found.gap.low > 0
    assert found.gap.p == pytest.approx(1 / 201)
    assert found.gap.by_chance_high is not None
    assert found.gap.by_chance_high < found.gap.value


def test_a_gap_between_groups_drawn_by_lot_is_as_large_as_chance_makes_it() -> None:
    gaps = [judged(cohort(60, seed=seed), num_resamples=40).gap for seed in range(40)]
    known = [gap for gap in gaps if gap is not None and gap.p is not None and gap.by_chance is not None]
    assert len(known) == 40
    assert all(gap.value > 0 for gap in known)
    false_alarms = np.mean([gap.p <= 0.1 for gap in known if gap.p is not None])
    assert false_alarms <= 0.2, false_alarms
    assert np.mean([gap.value for gap in known]) == pytest.approx(
        np.mean([gap.by_chance or 0 for gap in known]), rel=0.2
    )


def test_small_groups_and_unknown_ones_are_shown_and_left_out_of_the_gap() -> None:
    data = cohort()
    labels = np.array(data["labels"], dtype="<U9")
    labels[:27] = "D"  # nine patients
    labels[27:87] = ""
    found = judged(data | {"labels": labels.tolist()})
    assert {one.name: (one.num_patients, one.is_small) for one in found.groups if one.name in ("D", "unknown")} == {
        "D": (9, True),
        "unknown": (20, False),
    }
    assert found.left_out == ("D", "unknown")
    assert found.gap is not None
    assert {found.gap.highest, found.gap.lowest} <= {"A", "B", "C"}


def test_a_group_without_a_class_cannot_be_compared() -> None:
    data = cohort()
    labels = np.where(data["target_N"] == 1, "ill ones", np.array(data["labels"], dtype="<U9"))
    found = judged(data | {"labels": labels.tolist()})
    assert found.gap is None
    assert "images of every class" in str(found.reason)
    assert len(found.groups) == 4


def test_groups_inside_patients_have_no_gap_by_chance() -> None:
    data = cohort()
    labels = ["upper" if n % 3 else "lower" for n in range(360)]
    found = judged(data | {"labels": labels})
    assert found.gap is not None
    assert found.gap.p is None
    assert "patients have images in several groups" in str(found.gap.reason)


def test_groups_come_in_the_order_given_and_are_not_too_many() -> None:
    data = cohort()
    assert [one.name for one in judged(data, order=["C", "Z", "A"]).groups] == ["C", "A", "B"]
    with pytest.raises(ValueError, match="360 different values, at most 50"):
        judged(data | {"labels": [str(n) for n in range(360)]})
    with pytest.raises(ValueError, match="labels: expected one entry for each of 360 images, got 2"):
        judged(data | {"labels": ["a", "b"]})


def test_ages_are_cut_into_decades() -> None:
    bands, order = in_bands([39.9, 40, 49.9, 71, float("nan"), 50], width=10)
    assert bands == ["30 to 40", "40 to 50", "40 to 50", "70 to 80", "", "50 to 60"]
    assert order == ["30 to 40", "40 to 50", "50 to 60", "70 to 80"]


def test_quartiles_hold_a_quarter_each_and_the_highest_number() -> None:
    bands, order = in_bands(np.arange(101))
    assert order == ["0 to 25", "25 to 50", "50 to 75", "75 to 100"]
    assert [bands.count(name) for name in order] == [25, 25, 25, 26]
    assert bands[-1] == "75 to 100"
    assert in_bands([3.0, 3.0]) == (["3 to 4"] * 2, ["3 to 4"])


def test_given_edges_have_room_outside() -> None:
    bands, order = in_bands([5, 10, 99, 100, 400], edges=[10, 100])
    assert bands == ["below 10", "10 to 100", "10 to 100", "100 or more", "100 or more"]
    assert order == ["below 10", "10 to 100", "100 or more"]
    with pytest.raises(ValueError, match="edges: expected at least one number, rising"):
        in_bands([1, 2], edges=[3, 3])


def test_a_column_is_a_measure_or_a_list_of_kinds() -> None:
    numbers = as_numbers(["", *(str(n) for n in range(11))])
    assert numbers is not None
    assert np.isnan(numbers[0])
    assert numbers[1:].tolist() == list(range(11))
    assert as_numbers([str(n % 4) for n in range(30)]) is None
    assert as_numbers([*(str(n) for n in range(30)), "F"]) is None
