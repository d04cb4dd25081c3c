"""Pixels in the order of a map, taken away or left alone: curves that can be worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from scanlens.errors import ExplainError
from scanlens.explain.evidence_order import moved_elsewhere, pixel_order, regions
from scanlens.explain.imputation import NOISE, imputed
from scanlens.explain.measure import chance
from scanlens.explain.overlap import above, as_large_as, best_threshold, intersection_over_union
from scanlens.explain.removal_curve import removal_curve

SIDE = 20


def lesion() -> np.ndarray:
    found = np.zeros((SIDE, SIDE), dtype=bool)
    found[4:8, 10:14] = True  # 16 of 400 pixels
    return found


def test_exactly_as_much_is_taken_from_a_sparse_map_as_was_asked_for() -> None:
    sparse = np.zeros((10, 10))
    sparse[3, 7] = 2.0
    taken = regions(pixel_order(sparse, seed=0), [0.05, 0.5], (10, 10))
    assert taken.sum(axis=(1, 2)).tolist() == [5, 50]
    assert taken[:, 3, 7].all()


def test_equals_are_taken_at_random_and_not_by_place() -> None:
    flat = np.ones((10, 10))
    counts = sum(regions(pixel_order(flat, seed=seed), [0.1], (10, 10))[0].astype(int) for seed in range(300))
    assert counts.sum() == 3000
    assert counts.min() > 10  # 30 expected
    assert counts.max() < 55


def test_pixels_that_the_map_cannot_speak_of_come_last_even_after_evidence_against() -> None:
    signed = np.full((4, 4), -1.0)
    signed[0, 0] = 5.0
    covered = np.ones((4, 4), dtype=bool)
    covered[:, 3] = False
    order = pixel_order(signed, covered, seed=1)
    assert order[0] == 0
    assert set(order[-4:]) == {3, 7, 11, 15}
    with pytest.raises(ValueError, match="finite"):
        pixel_order(np.full((4, 4), np.nan), seed=0)


def test_a_moved_map_has_the_same_values_a_quarter_of_a_side_away() -> None:
    spot = np.zeros((16, 12))
    spot[2, 3] = 1.0
    for seed in range(20):
        (row,), (column,) = np.nonzero(moved_elsewhere(spot, seed=seed))
        down, right = (row - 2) % 16, (column - 3) % 12
        assert min(down, 16 - down) >= 4 or min(right, 12 - right) >= 3
    assert np.array_equal(moved_elsewhere(spot, seed=1), moved_elsewhere(spot, seed=1))


class ReadsTheLesion(nn.Module):
    """Log-odds of class 1: 3 times the sum of the pixels of the lesion, less 10."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight_HW", torch.from_numpy(3.0 * lesion()).float())

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        logit_B = (x_BCHW[:, 0] * self.weight_HW).sum(dim=(1, 2)) - 10
        return torch.stack([torch.zeros_like(logit_B), logit_B], dim=1)


@pytest.mark.parametrize("filling", ["blur_noise", "imputed"])
def test_curves_of_a_linear_network_are_known_exactly(filling: str) -> None:
    """A lesion of 16 pixels at 1 on a ground of 0.5: with it gone, 16 * 3 * 0.5 = 24 of the 38 are lost, whatever else goes."""
    x_1HW = torch.full((1, SIDE, SIDE), 0.5)
    x_1HW[0, torch.from_numpy(lesion())] = 1.0
    order = pixel_order(lesion().astype(float), seed=2)
    shares = (0.04, 0.08)
    found = removal_curve(ReadsTheLesion(), x_1HW, order, 1, shares=shares, filling=filling, seed=5)  # type: ignore[arg-type]
    noise = 0.0 if filling == "blur_noise" else 4 * 3 * NOISE * 4  # four deviations of the mean of the noise
    assert found.plain == pytest.approx(38.0)
    assert found.share_S == pytest.approx(shares)
    assert found.without_S == pytest.approx([14.0, 14.0], abs=noise + 1e-4)
    assert found.drop == pytest.approx((24 / 2 * 0.04 + 24 * 0.04) / 0.08, abs=noise + 1e-4)
    assert found.only_S == pytest.approx([38.0, 38.0], abs=1e-4)  # the lesion alone holds everything
    assert found.held == pytest.approx(38.0, abs=1e-4)
    elsewhere = removal_curve(ReadsTheLesion(), x_1HW, order[::-1].copy(), 1, shares=shares, seed=5, keeps_too=False)
    assert elsewhere.without_S == pytest.approx([38.0, 38.0], abs=1e-4)
    assert elsewhere.held is None


def test_shares_must_ascend() -> None:
    with pytest.raises(ValueError, match="ascend"):
        removal_curve(ReadsTheLesion(), torch.rand(1, SIDE, SIDE), np.arange(400), 1, shares=(0.2, 0.1), seed=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_imputation_solves_for_the_weighted_mean_of_the_eight_neighbors(channels: int) -> None:
    """Against the equations solved one pixel at a time, as dense ones; border pixels share the weight of what lies outside."""
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.random((1, channels, 7, 6))).float()
    region = torch.zeros(7, 6, dtype=torch.bool)
    region[2:5, 2:6] = True
    region[0, 0] = True
    places = [tuple(place) for place in region.nonzero().tolist()]
    weight = {(a, b): 1 / 6 if 0 in (a, b) else 1 / 12 for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)}
    matrix, right = np.zeros((len(places), len(places))), np.zeros((len(places), channels))
    for row, (r, c) in enumerate(places):
        for (down, across), w in weight.items():
            near = (r + down, c + across)
            if not (0 <= near[0] < 7 and 0 <= near[1] < 6):
                continue
            matrix[row, row] += w
            if near in places:
                matrix[row, places.index(near)] -= w
            else:
                right[row] += w * x[0, :, near[0], near[1]].numpy()
    expected = np.linalg.solve(matrix, right)
    draws = torch.cat([imputed(x, region[None], seed=seed) for seed in range(60)])
    inside = torch.stack([draws[:, :, r, c] for r, c in places], dim=1).double().numpy()
    assert np.abs(inside.mean(axis=0) - expected).max() < 5 * NOISE / 60**0.5
    assert inside.std(axis=0, ddof=1).mean() == pytest.approx(NOISE, rel=0.15)
    assert torch.equal(draws[0][:, ~region], x[0][:, ~region])
    assert torch.equal(imputed(x, region[None], seed=1), imputed(x, region[None], seed=1))
    with pytest.raises(ExplainError, match="nothing is left"):
        imputed(x, torch.ones(1, 7, 6, dtype=torch.bool), seed=0)


def test_overlap_at_the_area_of_the_lesion_and_at_a_threshold() -> None:
    mask = lesion()
    half = np.roll(mask, 2, axis=1).astype(float)  # 8 of 16 pixels in common
    covered = np.ones_like(mask)
    assert intersection_over_union(as_large_as(half, mask, covered, seed=0), mask) == pytest.approx(8 / 24)
    assert intersection_over_union(as_large_as(mask * 2.0, mask, covered, seed=0), mask) == 1
    assert intersection_over_union(np.zeros((2, 2)), np.zeros((2, 2))) == 0
    hill = mask * 1.0 + np.pad(mask, 2)[2:-2, 2:-2] * 0 + np.roll(mask, 4, axis=0) * 0.45
    assert not above(-hill, 0.5).any()
    assert best_threshold([hill], [mask]) == 0.5  # below, the second hill comes in
    assert best_threshold([], []) is None


def test_chance_counts_only_where_a_peak_can_lie() -> None:
    mask, covered = lesion(), np.zeros((SIDE, SIDE), dtype=bool)
    covered[:, 12:] = True
    assert chance(mask) == pytest.approx(16 / 400)
    assert chance(mask, covered_HW=covered) == pytest.approx(8 / 160)
