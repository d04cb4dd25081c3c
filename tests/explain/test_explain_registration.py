"""A hand-made network whose map lies two cells beside the evidence is put right exactly; an aligned one is left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scanlens.evaluation.explanations.registration import Move, judged_move
from scanlens.evaluation.resampling import group_patients
from scanlens.explain.cam import GradCam, HiResCam
from scanlens.explain.measure import peak_yx
from scanlens.explain.registration import largest_shift, map_peaks, reference_of, registered

SIZE, KERNEL, STRIDE = 48, 11, 2


class OffCenter(nn.Module):
    """One filter that answers to the pixel `off_yx` away from where its answer is noted, on cells of two pixels."""

    head_kind = "flatten"

    def __init__(self, off_yx: tuple[int, int]) -> None:
        super().__init__()
        middle = KERNEL // 2
        self.conv = nn.Conv2d(1, 1, KERNEL, stride=STRIDE, padding=middle, bias=False)
        self.relu = nn.ReLU()
        self.head = nn.Linear((SIZE // STRIDE) ** 2, 1)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, 0, middle + off_yx[0], middle + off_yx[1]] = 1.0
            self.head.weight.fill_(1.0)
            self.head.bias.fill_(-0.5)

    @property
    def feature_layer(self) -> nn.Module:
        return self.relu

    def forward(self, x_BCHW: Tensor) -> Tensor:
        score_B1 = self.head(self.relu(self.conv(x_BCHW)).flatten(1))
        return torch.cat([torch.zeros_like(score_B1), score_B1], dim=1)


def dots(num: int = 24) -> tuple[Tensor, np.ndarray]:
    """Images with one bright pixel each, at even positions away from the border, and these positions."""
    rng = np.random.default_rng(0)
    places = 2 * rng.integers(5, SIZE // 2 - 5, (num, 2))
    x_BCHW = torch.zeros(num, 1, SIZE, SIZE)
    for image_CHW, (row, column) in zip(x_BCHW, places, strict=True):
        image_CHW[0, row, column] = 1.0
    return x_BCHW, places


def moved(network: nn.Module, num: int = 24) -> tuple[Move, np.ndarray]:
    x_BCHW, places = dots(num)
    target_B = torch.ones(num, dtype=torch.int64)
    map_N2, geometry = map_peaks(HiResCam(), network, x_BCHW, target_B)
    reference_N2 = reference_of(network, x_BCHW, target_B).peaks(sigma_px=1.0)
    np.testing.assert_array_equal(reference_N2, places)
    groups = group_patients([str(n // 2) for n in range(num)], np.zeros(num, dtype=np.int64))
    move = judged_move(map_N2, reference_N2, groups, largest_px=largest_shift(geometry, (SIZE, SIZE)), seed=3)
    return move, places


@pytest.mark.parametrize("off_yx", [(4, -2), (-2, 0), (4, 4)])
def test_a_map_that_lies_some_cells_off_is_registered_exactly(off_yx: tuple[int, int]) -> None:
    network = OffCenter(off_yx).eval()
    move, places = moved(network)
    assert move.shift_yx == off_yx
    assert move.is_accepted
    assert move.before_px["value"] == pytest.approx(np.hypot(*off_yx))
    assert move.after_px["value"] == 0
    x_BCHW, _ = dots()
    found = registered(HiResCam(), move.shift_yx).explain(network, x_BCHW, [1] * len(x_BCHW))
    for map_HW, place in zip(found.map_BHW.numpy(), places, strict=True):
        assert peak_yx(map_HW) == tuple(place)
    assert f"Moved by ({off_yx[0]:+.1f}, {off_yx[1]:+.1f}) px" in found.legend


def test_an_aligned_map_is_left_alone() -> None:
    move, _ = moved(OffCenter((0, 0)).eval())
    assert move.shift_yx == (0, 0)
    assert not move.is_accepted
    assert "lies where the reference does" in str(move.reason)


def test_cells_and_covered_area_move_with_the_map_and_the_method_itself_stays() -> None:
    network, (x_BCHW, _) = OffCenter((0, 0)).eval(), dots(2)
    plain = HiResCam()
    before, after = plain.explain(network, x_BCHW, [1, 1]), registered(plain, (4, -6)).explain(network, x_BCHW, [1, 1])
    assert before.geometry.start_yx == (0, 0)
    assert after.geometry.start_yx == (4, -6)
    assert after.geometry.jump_yx == before.geometry.jump_yx == (2, 2)
    torch.testing.assert_close(after.cells_Bhw, before.cells_Bhw)
    torch.testing.assert_close(after.map_BHW[:, 10:30, 10:30], before.map_BHW[:, 6:26, 16:36])
    assert not after.covered_HW[2].any()
    assert after.covered_HW[3, :41].all()
    assert not after.covered_HW[:, 42:].any()
    assert "Moved" not in before.legend
    assert registered(registered(plain, (4, -6)), (0, 0)).legend == plain.legend
    assert plain.shift_yx == (0, 0)


def test_filters_can_be_off_by_half_of_what_they_see() -> None:
    network, (x_BCHW, _) = OffCenter((0, 0)).eval(), dots(1)
    geometry = GradCam().explain(network, x_BCHW, [1]).geometry
    assert largest_shift(geometry, (SIZE, SIZE)) == 5
    assert largest_shift(geometry, (32, 32)) == 4


def test_a_blank_map_has_no_peak() -> None:
    x_BCHW, places = dots(3)
    x_BCHW[1] = 0
    network, target_B = OffCenter((2, 2)).eval(), torch.ones(3, dtype=torch.int64)
    map_N2, _ = map_peaks(HiResCam(), network, x_BCHW, target_B)
    reference_N2 = reference_of(network, x_BCHW, target_B).peaks(sigma_px=1.0)
    assert np.isnan(map_N2[1]).all()
    np.testing.assert_array_equal(map_N2[[0, 2]] + 2, places[[0, 2]])
    np.testing.assert_array_equal(reference_N2[[0, 2]], places[[0, 2]])
    assert np.isnan(reference_N2[1]).all()
