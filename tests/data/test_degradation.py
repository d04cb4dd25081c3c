"""Images made worse: nothing at strength 0, stated amounts at others, and the same whatever else is in the batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from scanlens.data.degradation import degraded
from scanlens.data.degradation_kinds import KINDS, RobustnessPlan
from scanlens.errors import ConfigError

SIDE = 32
INDICES = [3, 8, 21, 40]


def pictures(channels: int = 1, num: int = len(INDICES)) -> Tensor:
    """A smooth body with texture, in [0, 1]."""
    generator = torch.Generator().manual_seed(5)
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    body = torch.exp(-2 * (1.6 * x**2 + y**2)) * (0.8 + 0.2 * torch.sin(9 * x + 4 * y))
    texture = 0.15 * torch.rand(num, channels, SIDE, SIDE, generator=generator)
    return (0.75 * body + texture).clamp(0, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_strength_0_gives_the_same_bits(kind: str, channels: int) -> None:
    x_BCHW = pictures(channels)
    assert torch.equal(degraded(x_BCHW, kind, 0.0, seed=1, index_B=INDICES), x_BCHW)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_made_worse_alike_alone_in_a_batch_and_in_another_order(kind: str) -> None:
    x_BCHW = pictures()
    strength = KINDS[kind].strengths[2]
    whole = degraded(x_BCHW, kind, strength, seed=1, index_B=INDICES)
    turned = degraded(x_BCHW.flip(0), kind, strength, seed=1, index_B=INDICES[::-1]).flip(0)
    torch.testing.assert_close(turned, whole, atol=1e-6, rtol=0)
    for b, index in enumerate(INDICES):
        alone = degraded(x_BCHW[b : b + 1], kind, strength, seed=1, index_B=[index])
        torch.testing.assert_close(alone[0], whole[b], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_distance_rises_with_the_strength_and_the_range_is_kept(kind: str) -> None:
    x_BCHW = pictures()
    worse = [degraded(x_BCHW, kind, s, seed=1, index_B=INDICES) for s in KINDS[kind].strengths]
    distances = [float((one - x_BCHW).abs().mean()) for one in worse]
    assert distances[0] > 1e-4
    assert distances == sorted(distances), distances
    assert all(float(one.min()) >= 0 and float(one.max()) <= 1 for one in worse)


@pytest.mark.parametrize("kind", ["noise", "bias_field", "motion", "contrast", "rotation"])
def test_another_seed_draws_anew_and_the_same_seed_does_not(kind: str) -> None:
    x_BCHW, strength = pictures(num=12), KINDS[kind].strengths[-1]
    index_B = list(range(12))
    once, again, other = (degraded(x_BCHW, kind, strength, seed=s, index_B=index_B) for s in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_gaussian_noise_of_color_has_the_stated_deviation() -> None:
    x_BCHW = torch.full((4, 3, 64, 64), 0.5)
    noise = degraded(x_BCHW, "noise", 0.08, seed=1, index_B=INDICES) - 0.5
    assert float(noise.std()) == pytest.approx(0.08, rel=0.02)
    assert float(noise.mean()) == pytest.approx(0, abs=0.002)


def test_noise_of_gray_images_is_rician() -> None:
    """Where there is no signal the magnitude of complex noise is Rayleigh: mean s sqrt(pi / 2); where there is much, normal."""
    dark = degraded(torch.zeros(4, 1, 64, 64), "noise", 0.1, seed=1, index_B=INDICES)
    assert float(dark.mean()) == pytest.approx(0.1 * math.sqrt(math.pi / 2), rel=0.01)
    bright = degraded(torch.full((4, 1, 64, 64), 0.5), "noise", 0.05, seed=1, index_B=INDICES)
    assert float(bright.std()) == pytest.approx(0.05, rel=0.02)
    assert float(bright.mean()) == pytest.approx(math.sqrt(0.5**2 + 0.05**2), rel=0.002)


def test_a_quarter_turn_is_a_rotation_by_90_degrees_to_either_side() -> None:
    x_BCHW = pictures(num=12)
    turned = degraded(x_BCHW, "rotation", 90.0, seed=1, index_B=list(range(12)))
    sides = set()
    for x_CHW, found in zip(x_BCHW, turned, strict=True):
        match = [k for k in (1, -1) if torch.allclose(torch.rot90(x_CHW, k, dims=(1, 2)), found, atol=1e-4)]
        assert len(match) == 1
        sides.add(match[0])
    assert sides == {1, -1}


def test_blur_spreads_a_point_by_its_sigma() -> None:
    x_BCHW = torch.zeros(1, 1, 33, 33)
    x_BCHW[..., 16, 16] = 1
    spread_HW = degraded(x_BCHW, "blur", 2.0, seed=1, index_B=[0])[0, 0].double()
    offset = torch.arange(33) - 16.0
    assert float(spread_HW.sum()) == pytest.approx(1, abs=1e-4)
    assert float((spread_HW * offset[None, :] ** 2).sum()) == pytest.approx(4, rel=0.03)


def test_a_bias_field_reaches_its_factor_inside_the_circle() -> None:
    x_BCHW = torch.full((4, 1, SIDE, SIDE), 0.4)
    factor = degraded(x_BCHW, "bias_field", 0.6, seed=1, index_B=INDICES) / 0.4
    line = torch.linspace(-1, 1, SIDE)
    inside = line[:, None] ** 2 + line[None, :] ** 2 <= 1
    for one in factor[:, 0]:
        assert float(one.log().abs()[inside].max()) == pytest.approx(math.log(1.6), rel=1e-3)


def test_contrast_is_a_power_of_the_stated_exponent_or_of_one_over_it() -> None:
    x_BCHW = torch.full((12, 1, 4, 4), 0.3)
    found = degraded(x_BCHW, "contrast", 0.5, seed=1, index_B=list(range(12)))[:, 0, 0, 0]
    exponents = np.log(found.numpy()) / math.log(0.3)
    assert {round(float(one), 3) for one in exponents} == {1.5, 0.667}


def test_a_loss_of_half_the_resolution_leaves_nothing_of_a_checkerboard() -> None:
    checker = (torch.arange(SIDE)[:, None] + torch.arange(SIDE)[None, :]) % 2
    found = degraded(checker[None, None].float(), "resolution", 0.5, seed=1, index_B=[0])
    torch.testing.assert_close(found[..., 4:-4, 4:-4], torch.full((1, 1, SIDE - 8, SIDE - 8), 0.5), atol=0.02, rtol=0)
    flat = torch.full((1, 1, SIDE, SIDE), 0.7)
    torch.testing.assert_close(degraded(flat, "resolution", 0.75, seed=1, index_B=[0]), flat)


def test_motion_along_rows_leaves_what_is_constant_along_them() -> None:
    column = torch.linspace(0.1, 0.9, SIDE)[:, None].expand(SIDE, SIDE)[None, None].contiguous()
    found = degraded(column, "motion", 0.1, seed=1, index_B=[0])
    torch.testing.assert_close(found, column, atol=1e-5, rtol=0)


def test_unknown_kinds_and_strengths_below_0_are_refused() -> None:
    with pytest.raises(ValueError, match=r"kind: expected one of noise, .*got 'fog'"):
        degraded(pictures(), "fog", 1.0, seed=1, index_B=INDICES)
    with pytest.raises(ValueError, match="strength: expected 0 or more, got -1"):
        degraded(pictures(), "blur", -1.0, seed=1, index_B=INDICES)


def test_a_plan_keeps_the_order_of_kinds_and_names_a_typo() -> None:
    assert RobustnessPlan(kinds=["blur", "noise"]).chosen == ["noise", "blur"]
    assert RobustnessPlan().chosen == list(KINDS)
    with pytest.raises(ConfigError, match=r"robustness.kinds: there is no 'blurr'. Did you mean 'blur'"):
        RobustnessPlan(kinds=["blurr"])
    with pytest.raises(ConfigError, match="names none"):
        RobustnessPlan(kinds=[])


def test_every_kind_has_five_rising_strengths() -> None:
    for name, kind in KINDS.items():
        assert len(set(kind.strengths)) == 5, name
        assert list(kind.strengths) == sorted(kind.strengths), name
        assert kind.strengths[0] > 0, name
