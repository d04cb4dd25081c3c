"""Verdicts on explained cases: written beside their maps, in bounded time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from scanlens.callbacks.case_maps import CaseMap, explain_cases
from scanlens.callbacks.case_verdicts import SCORE_CARD, VerdictWriter, sanity_of
from scanlens.evaluation.explanations.verdict_plan import VerdictPlan
from scanlens.explain.base import Explainer
from scanlens.explain.cam import HiResCam
from scanlens.explain.integrated_gradients import IntegratedGradients

SIZE = 24


class Bright(nn.Module):
    """The brighter the picture, the more of class 1."""

    head_kind = "flatten"

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU())
        self.linear = nn.Linear(SIZE * SIZE, 2, bias=False)
        with torch.no_grad():
            self.features[0].weight.fill_(1.0)  # type: ignore[operator]
            self.linear.weight.copy_(torch.tensor([[0.0], [1.0]]).expand(2, SIZE * SIZE))

    @property
    def feature_layer(self) -> nn.Module:
        return self.features

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.linear(self.features(x_BCHW).flatten(1))


def read(index: int) -> tuple[Tensor, np.ndarray | None]:
    x = 0.2 + 0.2 * torch.rand(1, SIZE, SIZE, generator=torch.Generator().manual_seed(index))
    x[0, 5:9, 5 + index : 9 + index] = 0.9
    return x, None


def judged(folder: Path, plan: VerdictPlan) -> tuple[VerdictWriter, dict[str, list[dict[str, Any]]]]:
    network, explainers = Bright(), [HiResCam(), IntegratedGradients()]
    writer = VerdictWriter(plan, seed=1)
    maps = {one.name: made(one, network) for one in explainers}
    return writer, writer.write(folder, network, explainers, maps, [1, 1], [0, 7])


def made(explainer: Explainer, network: nn.Module) -> list[CaseMap]:
    return explain_cases(explainer, network, [0, 7], ["test-00000", "test-00007"], [1, 1], read)


def test_every_map_gets_a_verdict_with_its_numbers_and_pictures(tmp_path: Path) -> None:
    writer, found = judged(tmp_path, VerdictPlan())
    assert {name: len(ones) for name, ones in found.items()} == {"hires_cam": 2, "integrated_gradients": 2}
    json.dumps(found, allow_nan=False)
    one = found["hires_cam"][0]
    assert one["level"] == "WEAK", "the network was not compared with random weights"
    assert one["measured"]["region"]["p_value"] == 1 / 25
    assert len(one["measured"]["stability"]["changes"]) == 5
    assert one["measured"]["agreement"]["other"] == "Integrated gradients"
    assert found["integrated_gradients"][0]["measured"]["agreement"]["other"] == "Occlusion"
    outlined, removed = (np.asarray(Image.open(tmp_path / one[name])) for name in ("region", "removed"))
    assert outlined.shape == removed.shape
    yellow = (outlined[..., 0] > 200) & (outlined[..., 2] < 100)
    assert yellow.any()
    factor = outlined.shape[0] // SIZE
    assert removed[6 * factor : 8 * factor, 6 * factor : 8 * factor].mean() < 0.75 * 255, "the bright square is gone"
    assert writer.about(tmp_path, found)["num_not_tested"] == 0


def test_a_score_card_that_passed_lifts_what_only_lacked_it_and_one_that_failed_withholds(tmp_path: Path) -> None:
    for status, level in (("PASS", "SUPPORTED"), ("FAIL", "WITHHELD")):
        (tmp_path / SCORE_CARD).write_text(json.dumps({"sanity": {"status": status, "reason": "Why."}}))
        assert judged(tmp_path, VerdictPlan())[1]["hires_cam"][0]["level"] == level
    for broken in ("{", "[]", '{"sanity": 3}'):
        (tmp_path / SCORE_CARD).write_text(broken)
        assert sanity_of(tmp_path).status == "not assessed"


def test_maps_beyond_the_time_are_told_as_not_assessed(tmp_path: Path) -> None:
    writer, found = judged(tmp_path, VerdictPlan(max_minutes=1e-9))
    every = [one for ones in found.values() for one in ones]
    assert [one["level"] for one in every] == [None] * 4
    assert "verdict.max_minutes" in every[0]["reasons"][0]
    assert writer.about(tmp_path, found)["num_not_tested"] == 4
    assert not list(tmp_path.glob("*.png"))


def test_the_same_seed_gives_the_same_verdicts_whatever_cases_stand_beside_them(tmp_path: Path) -> None:
    _, found = judged(tmp_path, VerdictPlan())
    network, writer = Bright(), VerdictWriter(VerdictPlan(), seed=1)
    alone = explain_cases(HiResCam(), network, [7], ["test-00007"], [1], read)
    again = writer.write(tmp_path, network, [HiResCam()], {"hires_cam": alone}, [1], [7])
    assert again["hires_cam"][0]["measured"] == found["hires_cam"][1]["measured"]
