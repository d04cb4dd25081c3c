"""What the page says of limits, registration and the spread over training runs, from contents made by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scanlens.evaluation.explanations.limits import Trials, limits_summary
from scanlens.evaluation.explanations.map_spread import DrawnMap, of_one_class, spread_of_answers, spread_of_maps
from scanlens.evaluation.explanations.registration import judged_move, paired_change
from scanlens.evaluation.resampling import group_patients
from scanlens.report.explanations import limits, registration
from scanlens.report.limits_chart import contrast_words, contrasts_chart, limits_chart
from scanlens.report.map_spread import sentences as spread_sentences

SIZES = np.array([2, 4, 6, 9, 13, 20.0])


def content(called_from: int, hit_from: int) -> dict:
    called, hit = np.zeros((30, 6)), np.zeros((30, 6))
    called[:, called_from:], hit[:, hit_from:] = 1, 1
    called[:3, called_from - 1 : called_from] = 1  # a curve, not a step
    trials = Trials(SIZES, called, hit, np.ones_like(hit), np.full_like(hit, 0.02), np.full_like(hit, 0.05))
    groups = group_patients([str(n) for n in range(30)], np.zeros(30, dtype=np.int64))
    return limits_summary(trials, groups, seed=1, num_resamples=60) | {
        "positive": "tumor",
        "unit": "patient",
        "threshold": 0.41,
        "method_title": "HiResCAM",
        "tolerance_px": 4.0,
        "contrast": [0.3],
        "contrast_source": "own lesions",
        "own_lesions": {"num_lesions": 40, "median": [0.3], "low": [0.2], "high": [0.4], "reason": None},
        "contrast_kept": 0.97,
        "false_alarms": {"value": 0.1, "low": 0.0, "high": 0.3, "reason": None, "num_images": 33},
        "image_px": [64, 64],
        "pixel_mm": {"median": 2.0, "smallest": 2.0, "largest": 2.0},
        "picture": None,
    }


def test_limits_are_told_in_pixels_and_millimeters_and_are_called_no_tumors() -> None:
    found = content(2, 4)
    detection, localization, near, ratio, alarms, caution = limits.sentences(found)
    value = found["detection"]["value"]
    assert f"{value:.1f} px" in detection
    assert f"about {2 * value:.1f} mm" in detection
    assert "half of the lesions that are called" in localization
    assert "reached at the smallest size tried already" in near
    assert "times the diameter that the call needs" in ratio
    assert "10\u00a0% of 33 negative test images" in alarms
    assert "no tumors" in caution
    chart = limits_chart(found)
    assert chart is not None
    assert "half pointed at from" in chart


def test_limits_of_several_contrasts_are_told_drawn_and_tabled() -> None:
    strong, weak = content(2, 4), content(6, 6) | {"contrast": [0.1]}
    found = strong | {"by_contrast": [weak, strong], "num_grid_images": 12}
    told = [one for one in limits.sentences(found) if one.startswith("At a contrast")]
    assert told[0].startswith(
        "At a contrast of 0.10: limit of detection not reached within the sizes tried: 10 % at the largest"
    )
    value = strong["detection"]["value"]
    assert told[1].startswith(f"At a contrast of 0.30: limit of detection {value:.1f} px (95 % interval ")
    chart = contrasts_chart(found)
    assert chart is not None
    assert f"contrast 0.30: 90 % called from {value:.1f} px" in chart
    assert contrasts_chart(strong) is None
    page = str(limits.section(SimpleNamespace(path=Path()), found))  # type: ignore[arg-type]
    assert "By contrast" in page
    assert '<th scope="row">0.10</th>' in page
    assert "in 12 images, as many as their cost allows" in page
    assert "By contrast" not in str(limits.section(SimpleNamespace(path=Path()), strong))  # type: ignore[arg-type]
    assert contrast_words({"contrast": [0.1, -0.2, 0.3]}) == "0.10 / -0.20 / 0.30"
    assert contrast_words({"contrast": [0.1, 0.1, 0.1]}) == "0.10"


def test_a_limit_that_is_not_reached_is_told_as_such() -> None:
    found = content(6, 6)
    detection, *_ = limits.sentences(found)
    assert "not reached within the sizes tried" in detection
    assert "0 % at the largest" in detection


@pytest.mark.parametrize(("off", "told"), [((3.0, -1.0), "it is worth moving"), ((0.0, 0.0), "left where it is")])
def test_registration_says_how_far_the_map_is_off_and_what_follows(off: tuple[float, float], told: str) -> None:
    rng = np.random.default_rng(0)
    reference = rng.uniform(5, 50, (40, 2))
    groups = group_patients([str(n // 2) for n in range(40)], np.zeros(40, dtype=np.int64))
    move = judged_move(reference + np.array(off) + rng.normal(0, 0.1, (40, 2)), reference, groups, largest_px=6, seed=1)
    hits = paired_change(np.tile([0.0, 1.0], 20), np.ones(40), groups)
    facts = {"title": "HiResCAM", "cell_px": [2.0, 2.0], "largest_px": 6.0, "sigma_px": 1.0}
    found = {
        "reference": "smoothed integrated gradients",
        "images": "rightly named as 'tumor'",
        "num_images": 40,
        "applied": {},
        "methods": {"hires_cam": facts | move.as_dict() | {"hits": hits}},
    }
    first, second = registration.sentences(found)
    assert told in first
    if off[0]:
        assert "(+3." in first or "(+2.9" in first
    assert "in 50\u00a0% of 40 test images as it is and in 100\u00a0% when moved" in second
    assert registration.sentences({"reason": "no method"}) == ["Offset of the maps: not assessed, no method."]


def test_the_first_sentence_says_how_often_another_run_points_elsewhere() -> None:
    y, x = np.indices((30, 30))

    def hill(row: int, column: int) -> DrawnMap:
        map_HW = np.exp(-((y - row) ** 2 + (x - column) ** 2) / 18)
        return DrawnMap(map_HW, np.ones((30, 30), bool), (row, column), (2.0, 2.0))

    first = [hill(5 + n, 10) for n in range(20)]
    second = [hill(5 + n, 10 + 8 * (n < 5)) for n in range(20)]
    groups = of_one_class([str(n) for n in range(20)], [None] * 20)
    answers = spread_of_answers(np.full((2, 20), 0.9), np.ones((2, 20), dtype=np.int64), ["a", "b"], groups)
    told = spread_sentences(
        {
            "maps": spread_of_maps([first, second], ["a", "b"], groups, seed=1),
            "answers": answers,
            "method_title": "HiResCAM",
            "pixel_mm": {"median": 1.5},
            "runs": [{"hits": {"value": 0.4, "num_images": 20}}, {"hits": {"value": 0.7, "num_images": 20}}],
        }
    )
    assert told[0].startswith(
        "Another training run would have pointed elsewhere, by more than one cell, in 25\u00a0% ("
    )
    assert "moved by 2.0 (" in told[1]
    assert "about 3.0 mm" in told[1]
    assert told[-1].startswith("The peak lies in the marked lesion in 40\u00a0% to 70\u00a0% of 20 images")
