"""Inserted lesions and hand-made networks whose smallest size is known exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fakes.commands import train
from scanlens.evaluation.calibrator import Calibrator
from scanlens.evaluation.explanations.limits import limits_summary
from scanlens.evaluation.operating_point import OperatingPoint
from scanlens.evaluation.resampling import group_patients
from scanlens.evaluation.target_class import TargetClass
from scanlens.evaluation.threshold_rules import Argmax, TargetSensitivity
from scanlens.explain.cam import HiResCam
from scanlens.explain.lesions import Lesion
from scanlens.pipeline.explanations.calls import Caller
from scanlens.pipeline.explanations.command import explain
from scanlens.pipeline.explanations.insertion import Insertion, as_trials

SIZE, GROUND, CONTRAST = 48, 0.2, 0.5
SIZES = [3.0, 4.0, 5.0, 7.0, 9.0, 12.0]
CALLED_FROM = 6.0  # px


class Brightness(nn.Module):
    """Log-odds of the second class: bright pixels counted, less those of a disc of 6 px; the feature map may be off."""

    head_kind = "flatten"

    def __init__(self, *, off_px: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 2 * abs(off_px) + 1, padding=abs(off_px), bias=False)
        self.relu = nn.ReLU()
        self.head = nn.Linear(SIZE * SIZE, 1)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0, off_px + abs(off_px), off_px + abs(off_px)] = 1.0
            self.head.weight.fill_(1.0)
            self.head.bias.fill_(-CONTRAST * math.pi * CALLED_FROM**2 / 4)

    @property
    def feature_layer(self) -> nn.Module:
        return self.relu

    def forward(self, x_BCHW: Tensor) -> Tensor:
        score_B1 = self.head(self.relu(self.conv(x_BCHW - GROUND)).flatten(1))
        return torch.cat([torch.zeros_like(score_B1), score_B1], dim=1)


def point(threshold: float | None) -> OperatingPoint:
    rule = Argmax() if threshold is None else TargetSensitivity()
    return OperatingPoint(rule, "ill", "image", threshold=threshold, reason=None)


def insertion(network: nn.Module, *, tolerance_px: float = 4.0) -> Insertion:
    caller = Caller(network, Calibrator("none", 2), TargetClass("ill", "well", (1,)), point(0.5))  # type: ignore[arg-type]
    return Insertion(caller, HiResCam(), np.array([CONTRAST]), tolerance_px)


def answers(one: Insertion, *, num: int = 24) -> list[Any]:
    x_CHW = np.full((1, SIZE, SIZE), GROUND, dtype=np.float32)
    rng = np.random.default_rng(0)
    places = rng.uniform(12, SIZE - 12, (num, 2))
    return [one.asked(x_CHW, [Lesion((y, x), size) for size in SIZES], device=torch.device("cpu")) for y, x in places]


def test_the_limit_of_detection_of_a_network_that_counts_bright_pixels() -> None:
    found = answers(insertion(Brightness().eval()))
    assert {tuple(one.called_S) for one in found} == {(0, 0, 0, 1, 1, 1)}
    assert {tuple(one.hit_S) for one in found} == {(1,) * 6}
    assert np.allclose([one.kept_S for one in found], 1)
    summary = limits_summary(
        as_trials(SIZES, found),
        group_patients([str(n) for n in range(24)], np.zeros(24, dtype=np.int64)),
        seed=0,
        num_resamples=60,
    )
    assert 5 < summary["detection"]["value"] < 7
    assert summary["localization"]["state"] == "below the smallest"
    for place, row in enumerate(summary["sizes"]):
        assert row["chance"] == pytest.approx(math.pi * SIZES[place] ** 2 / 4 / SIZE**2, rel=0.15)


@pytest.mark.parametrize("contrast", [0.25, 0.5, 0.75])
def test_the_limit_falls_with_the_contrast_as_the_area_that_makes_up_for_it(contrast: float) -> None:
    """What is called is contrast times area, so the limit is 6 px times the root of 0.5 over the contrast."""
    found = answers(replace(insertion(Brightness().eval()), contrast_C=np.array([contrast])))
    limit_px = CALLED_FROM * math.sqrt(CONTRAST / contrast)
    assert {tuple(one.called_S) for one in found} == {tuple(float(size > limit_px) for size in SIZES)}
    groups = group_patients([str(n) for n in range(24)], np.zeros(24, dtype=np.int64))
    summary = limits_summary(as_trials(SIZES, found), groups, seed=0, num_resamples=60)
    below, above = max(size for size in SIZES if size < limit_px), min(size for size in SIZES if size > limit_px)
    assert below < summary["detection"]["value"] < above


def test_a_map_that_is_off_points_near_the_lesion_and_not_on_it() -> None:
    """Evidence lies 5 px beside the lesion, so that only lesions with a larger radius than that can be hit at all."""
    found = answers(insertion(Brightness(off_px=5).eval(), tolerance_px=8.0))
    assert {tuple(one.called_S) for one in found} == {(0, 0, 0, 1, 1, 1)}
    assert np.max([one.hit_S[:4] for one in found]) == 0
    assert np.min([one.near_S for one in found]) == 1


def test_clipping_is_counted() -> None:
    bright = np.full((1, SIZE, SIZE), 0.75, dtype=np.float32)
    lesion = Lesion((20, 20), 8.0)
    one = insertion(Brightness().eval()).asked(bright, [lesion], device=torch.device("cpu"))
    asked_HW = CONTRAST * lesion.cover_HW((SIZE, SIZE))
    assert one.kept_S[0] == pytest.approx(np.minimum(asked_HW, 0.25).sum() / asked_HW.sum(), rel=1e-5)


def test_an_image_is_called_at_the_threshold_and_the_most_probable_member_is_explained() -> None:
    caller = Caller(None, Calibrator("none", 3), TargetClass("ill", "well", (0, 2)), point(0.6))  # type: ignore[arg-type]
    p = np.array([[0.35, 0.4, 0.25], [0.1, 0.41, 0.49], [0.3, 0.2, 0.5]])
    assert caller.is_called(p).tolist() == [True, False, True]
    assert caller.explained(p).tolist() == [0, 2, 2]
    by_name = Caller(None, Calibrator("none", 3), TargetClass("ill", "well", (0, 2)), point(None))  # type: ignore[arg-type]
    assert by_name.is_called(p).tolist() == [True, True, True]
    assert caller.is_negative(["a", "b", "c"], ["a", "b", "c"]) == [False, True, False]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    done = train("experiment=demo", "callbacks.num_explained_cases=2", "run_id=r", cwd=folder, timeout_s=550)
    assert done.returncode == 0, done.stderr
    return folder / "outputs" / "r"


@pytest.mark.slow
def test_limits_of_a_trained_network(trained: Path) -> None:
    found = explain(trained, parts=["limits"], max_cases=50)["limits"]
    called = [one["called"]["value"] for one in found["sizes"]]
    assert called[-1] > called[0] + 0.3, "larger lesions must be called more often"
    assert found["sizes"][-1]["near"]["value"] > 3 * found["sizes"][-1]["chance_near"]


@pytest.mark.slow
def test_a_move_that_validation_accepts_does_no_harm_on_marked_lesions(trained: Path) -> None:
    found = explain(trained, parts=["registration"], max_cases=100)["registration"]
    for one in found["methods"].values():
        assert one["num_estimated"] >= 6
        if one["is_accepted"]:
            assert one["gain_px"]["low"] > 0
            assert one["hits"]["gain"]["value"] > -0.05
