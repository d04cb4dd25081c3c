"""How far maps of several runs are apart, on maps made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.explanations.map_spread import (
    MEASURES,
    DrawnMap,
    of_one_class,
    other_images,
    pair_of_maps,
    spread_of_answers,
    spread_of_maps,
)

SIZE, CELL = 40, 4.0


def hill(row: float, column: float, *, width: float = 3.0, covered: np.ndarray | None = None) -> DrawnMap:
    """A bell around one place, which is its peak."""
    y, x = np.indices((SIZE, SIZE))
    map_HW = np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
    return DrawnMap(map_HW, np.ones((SIZE, SIZE), bool) if covered is None else covered, (row, column), (CELL, CELL))


BLANK = DrawnMap(np.zeros((SIZE, SIZE)), np.ones((SIZE, SIZE), bool), None, (CELL, CELL))


def measured(one: DrawnMap, other: DrawnMap) -> dict[str, float]:
    return dict(zip(MEASURES, pair_of_maps(one, other).tolist(), strict=True))


def test_a_map_and_itself_are_not_apart() -> None:
    found = measured(hill(10, 12), hill(10, 12))
    assert found == {"distance_px": 0, "further": 0, "outside": 0, "rank": pytest.approx(1)}


@pytest.mark.parametrize(
    ("row", "column", "is_further"), [(14, 12, 0), (14, 16, 0), (15, 12, 1), (10, 17, 1), (6, 8, 0)]
)
def test_elsewhere_is_more_than_one_cell_down_or_right(row: int, column: int, is_further: int) -> None:
    found = measured(hill(10, 12), hill(row, column))
    assert found["further"] == is_further
    assert found["distance_px"] == pytest.approx(np.hypot(row - 10, column - 12))


def test_the_larger_cell_of_two_runs_counts() -> None:
    coarse = DrawnMap(hill(17, 12).map_HW, BLANK.covered_HW, (17, 12), (8.0, 8.0))
    assert measured(hill(10, 12), coarse)["further"] == 0
    assert measured(coarse, hill(10, 12))["further"] == 0


def test_a_peak_lies_outside_of_the_top_region_of_the_other() -> None:
    """5 % of 1600 pixels are a disc of radius 5 around the peak."""
    assert measured(hill(20, 20), hill(20, 24))["outside"] == 0
    assert measured(hill(20, 20), hill(20, 27))["outside"] == 1
    wide = hill(20, 27).map_HW + 0.5 * hill(20, 20).map_HW
    assert measured(hill(20, 20), DrawnMap(wide, BLANK.covered_HW, (20, 27), (CELL, CELL)))["outside"] == 0.5


def test_a_place_that_the_other_does_not_cover_is_outside_and_not_ranked() -> None:
    covered = np.zeros((SIZE, SIZE), bool)
    covered[:, :20] = True
    left = hill(20, 10, covered=covered)
    assert measured(left, hill(20, 30))["outside"] == 1
    right = DrawnMap(np.where(covered, left.map_HW, -5.0), BLANK.covered_HW, (20, 10), (CELL, CELL))
    assert measured(left, right)["rank"] == pytest.approx(1)


def test_ranks_do_not_know_of_scale_and_know_of_sign() -> None:
    one = hill(10, 12)
    louder = DrawnMap(7 * one.map_HW**3, one.covered_HW, (10, 12), (CELL, CELL))
    against = DrawnMap(-one.map_HW, one.covered_HW, (39, 39), (CELL, CELL))
    assert measured(one, louder)["rank"] == pytest.approx(1)
    assert measured(one, against)["rank"] == pytest.approx(-1)


def test_a_map_that_points_nowhere_is_elsewhere_and_two_such_are_left_out() -> None:
    found = measured(hill(10, 12), BLANK)
    assert (found["further"], found["outside"]) == (1, 1)
    assert np.isnan(found["distance_px"])
    assert np.isnan(found["rank"])
    assert np.isnan(pair_of_maps(BLANK, BLANK)).all()


def three_runs(num: int = 12) -> list[list[DrawnMap]]:
    """Run a and b agree; c points 10 px further right in the first quarter of the images."""
    places = [(8 + 2 * n, 8 + n) for n in range(num)]
    moved = [(row, column + 10 * (n < num // 4)) for n, (row, column) in enumerate(places)]
    return [[hill(*place) for place in run] for run in (places, places, moved)]


def test_the_share_of_cases_that_point_elsewhere_is_that_of_pairs_and_images() -> None:
    groups = of_one_class([str(n) for n in range(12)], [None] * 12)
    found = spread_of_maps(three_runs(), ["a", "b", "c"], groups, seed=1)
    assert [(one["first"], one["second"], one["further"]["value"]) for one in found["pairs"]] == [
        ("a", "b", 0),
        ("a", "c", 0.25),
        ("b", "c", 0.25),
    ]
    assert found["overall"]["further"]["value"] == pytest.approx(2 / 3 * 0.25)
    assert found["overall"]["distance_px"]["value"] == pytest.approx(2 / 3 * 2.5)
    assert found["range"]["further"] == {"smallest": 0, "largest": 0.25}
    assert found["overall"]["further"]["low"] < 2 / 3 * 0.25 < found["overall"]["further"]["high"]
    assert found["by_chance"]["further"] > 0.5
    assert (found["num_blank"], found["num_images"], found["num_patients"]) == ([0, 0, 0], 12, 12)


def test_pairs_of_blank_maps_are_left_out_of_the_share() -> None:
    maps = three_runs()[1:]
    maps[0][0] = maps[1][0] = BLANK
    found = spread_of_maps(maps, ["b", "c"], of_one_class([None] * 12, [None] * 12), seed=1)
    assert found["num_blank"] == [1, 1]
    assert found["overall"]["further"]["value"] == pytest.approx(2 / 11)


def test_images_of_one_patient_make_the_interval_wider() -> None:
    maps = [[one for one in run for _ in range(4)] for run in three_runs()]
    alone = spread_of_maps(maps, list("abc"), of_one_class([None] * 48, [None] * 48), seed=1)
    together = spread_of_maps(maps, list("abc"), of_one_class([str(n // 4) for n in range(48)], [None] * 48), seed=1)
    widths = [one["overall"]["further"]["high"] - one["overall"]["further"]["low"] for one in (alone, together)]
    assert widths[1] > 1.3 * widths[0]


def test_chance_is_that_of_maps_of_other_patients() -> None:
    groups = of_one_class([str(n // 3) for n in range(12)], [None] * 12)
    others = other_images(groups, seed=2)
    assert (groups.patient_N[others] != groups.patient_N).all()
    alone = other_images(of_one_class(["p"] * 4, [None] * 4), seed=2)
    assert (alone != np.arange(4)).all()


def test_answers_are_compared_beside_the_maps() -> None:
    probability_RN = np.array([[0.9, 0.8, 0.6, 0.7], [0.8, 0.6, 0.4, 0.5]])
    predicted_RN = np.array([[1, 1, 1, 1], [1, 1, 0, 1]])
    groups = of_one_class(list("wxyz"), [None] * 4)
    found = spread_of_answers(probability_RN, predicted_RN, ["a", "b"], groups)
    assert found["overall"]["difference"]["value"] == pytest.approx(0.175)
    assert found["overall"]["changed"]["value"] == 0.25
    assert found["pairs"][0]["rank"] == pytest.approx(1)
